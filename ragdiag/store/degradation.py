"""Requests that were answered with less than all parts of their version, by week and reason."""

from __future__ import annotations

from ragdiag.store.lake import Lake
from ragdiag.store.queries import Filters, Row
from ragdiag.store.weighing import read_weighed, weighed, weight_of


def weekly_degradation(lake: Lake, filters: Filters) -> list[Row]:
    """By ``week`` and ``reason`` the requests (``n``) that name it, of ``total`` in that week; both
    are Weighed.

    Reasons are told apart by "; ": a request with two counts once for each. Every week has a row
    with the reason null, for the requests that name any.
    """
    condition, parameters = filters.where()
    return read_weighed(
        lake.rows(
            f"""with scope as (
                    select date_trunc('week', r.asked_at)::date as week, {weight_of("r")} as weight,
                           list_distinct(list_filter(
                               list_transform(string_split(r.degraded_reason, ';'),
                                              one -> trim(one)),
                               one -> one <> '')) as reasons
                    from requests r where {condition}),
                weeks as (
                    select week, {weighed("1", "total")},
                           {weighed("coalesce(len(reasons) > 0, false)::int", "degraded")}
                    from scope group by week),
                named as (
                    select week, reason, {weighed("1", "n")}
                    from (select week, weight, unnest(reasons) as reason from scope) group by all)
                select week, reason, n, total from named join weeks using (week)
                union all select week, null, degraded, total from weeks
                order by week, reason nulls first""",
            parameters,
        )
    )
