"""Requests that were answered with less than all parts of their version, by week and reason."""

from __future__ import annotations

from ragdiag.store.lake import Lake
from ragdiag.store.queries import Filters, Row


def weekly_degradation(lake: Lake, filters: Filters) -> list[Row]:
    """By ``week`` and ``reason`` the requests (``n``) that name it, of ``total`` in that week.

    Reasons are told apart by "; ": a request with two counts once for each. Every week has a row
    with the reason null, for the requests that name any.
    """
    condition, parameters = filters.where()
    return lake.rows(
        f"""with scope as (
                select date_trunc('week', r.asked_at)::date as week,
                       list_distinct(list_filter(
                           list_transform(string_split(r.degraded_reason, ';'), one -> trim(one)),
                           one -> one <> '')) as reasons
                from requests r where {condition}),
            weeks as (
                select week, count(*) as total, count(*) filter (len(reasons) > 0) as degraded
                from scope group by week),
            named as (
                select week, reason, count(*) as n
                from (select week, unnest(reasons) as reason from scope) group by all)
            select week, reason, n, total from named join weeks using (week)
            union all select week, null, degraded, total from weeks
            order by week, reason nulls first""",
        parameters,
    )
