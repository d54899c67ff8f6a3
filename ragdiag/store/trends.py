"""Counts and sums by week and segment, for the pages and reports that watch them over time.

Sums come with their squares, so that whoever draws them can give a mean its interval without
reading the requests again; each is a Weighed, since of a sampled log a request stands for several.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Literal

from ragdiag.records import Weighed
from ragdiag.store.authority import decisions
from ragdiag.store.facts import BETWEEN, cells
from ragdiag.store.lake import Lake
from ragdiag.store.queries import NOT_DIAGNOSED, Filters, Row, counted, failed
from ragdiag.store.weighing import read_weighed, weighed, weight_of

Split = Literal["all", "topic", "version_id"]
Segments = Literal["topic", "version_id", "week"]

_WEEK = "date_trunc('week', r.{})::date"


def weekly_outcomes(lake: Lake, filters: Filters, split: Split = "all") -> list[Row]:
    """By week and segment: requests, answers right and wrong, abstentions, ranking sums.

    ``judged`` counts requests whose question has a relevant passage; ``mrr`` and ``recall`` are
    sums over them of reciprocal rank and recall within the first ten hits, ``mrr2`` and
    ``recall2`` the sums of squares.
    """
    return _weekly(
        lake,
        filters,
        split,
        *("n", "graded", "correct", "no_answer", "errors"),
        *("judged", "mrr", "mrr2", "recall", "recall2"),
    )


def weekly_feedback(lake: Lake, filters: Filters, split: Split = "all") -> list[Row]:
    """By week of the request and segment: who clicked, succeeded, and gave thumbs.

    A request counts once for each kind: its last thumbs, its last task outcome, any click.
    """
    return _weekly(
        lake,
        filters,
        split,
        *("n", "clicked", "tasks", "task_successes", "thumbs", "thumbs_up"),
    )


OWNED: Mapping[str, tuple[str, str]] = {
    "correct": ("correct", "graded"),
    "no_answer": ("no_answer", "n"),
    "MRR@10": ("mrr", "judged"),
    "recall@10": ("recall", "judged"),
    "click_rate": ("clicked", "n"),
    "task_success": ("task_successes", "tasks"),
    "thumbs_up": ("thumbs_up", "thumbs"),
}
"""Weekly measure → the sum and the count of facts.py that it divides."""

MOST_READ = 50_000
"""Requests by which it is told how users scatter: more say it hardly better, and take seconds."""
FEWEST_READ = 200
"""Users of a segment who are read however much they ask, where it has as many."""


def scatter_by_user(
    lake: Lake, filters: Filters, weeks: Sequence[date], split: Split = "all"
) -> list[Row]:
    """By segment, and for each measure of OWNED, how the users of these weeks (Mondays) scatter,
    over all the weeks together: what stats.scatter.Scatter is made of. A request without a user is
    of a user of its own.

    Only the requests of the weeks are read: the rollups do not tell users apart. Where a segment
    has more than its part of MOST_READ, and more than FEWEST_READ users, one of so many is read, by
    chance, with all of their requests: its sums are then those times as many, so that the error
    they give is that of all, and ``owners`` are those who were read.
    """
    if not weeks:
        return []
    scope, parameters = _of_weeks(filters, weeks, split)
    found = lake.rows(
        f"""select topic as segment, count(*) as n, count(distinct version_id) as owners,
                   min(request_id) as low, max(request_id) as high
            from ({scope}) group by topic""",
        parameters,
    )
    if not found:
        return []
    sums = {name for pair in OWNED.values() for name in pair}
    weighed_sums = ", ".join(f"sum(weight * {name}) as {name}" for name in sorted(sums))
    plain = ", ".join(f"sum({n}) as {n}_plain" for n in sorted({n for _, n in OWNED.values()}))
    told = ", ".join(_scatter(name, y, n) for name, (y, n) in OWNED.items())
    return lake.rows(
        f"""with owned as (
                select topic as segment, version_id as owner, {weighed_sums}, {plain}
                from ({cells(_DRAWN.format(scope), BETWEEN)}) group by all)
            select owned.segment, {told}
            from owned join {_DRAWING} d on d.segment is not distinct from owned.segment
            group by owned.segment order by owned.segment""",
        {
            **parameters,
            "low": min(row["low"] for row in found),
            "high": max(row["high"] for row in found),
            "segments": [row["segment"] for row in found],
            "every": [_one_of(row["n"], row["owners"], len(found)) for row in found],
        },
    )


def _one_of(n: int, owners: int, segments: int) -> int:
    """Of how many users of a segment with ``n`` requests one is read."""
    return max(min(math.ceil(n * segments / MOST_READ), owners // FEWEST_READ), 1)


_DRAWING = """(select unnest($segments::varchar[]) as segment, unnest($every::bigint[]) as every)"""
_DRAWN = f"""select r.* from ({{}}) r join {_DRAWING} d on d.segment is not distinct from r.topic
    where hash(r.version_id) % d.every = 0"""


def _of_weeks(filters: Filters, weeks: Sequence[date], split: Split) -> tuple[str, dict[str, Any]]:
    """A SELECT of the requests of ``weeks`` in which the segment stands in place of the topic, and
    whose request it is in place of the version: facts.py adds up by these."""
    condition, parameters = filters.where()
    return (
        f"""select r.* replace ({segment_of(split)} as topic,
                               coalesce(r.user_key, r.request_id) as version_id)
            from requests r
            where {condition} and {_WEEK.format("asked_at")} in (select unnest($weeks::date[]))
              and r.asked_at >= $first::timestamp
              and r.asked_at < $last::timestamp + interval 7 day""",
        {**parameters, "weeks": list(weeks), "first": min(weeks), "last": max(weeks)},
    )


def _scatter(name: str, y: str, n: str) -> str:
    """A column of what the weighted sums of the users who were read come to for all."""
    sums = {"n": n, "y": y, "nn": f"{n} * {n}", "yn": f"{y} * {n}", "yy": f"{y} * {y}"}
    columns = ", ".join(f"'{key}': any_value(every) * sum({x})::double" for key, x in sums.items())
    return f"""{{'owners': count(*) filter ({n} > 0),
        'largest': coalesce(max({n}_plain), 0)::bigint, {columns}}} as "{name}\""""


def weekly_failures(lake: Lake, filters: Filters) -> list[Row]:
    """By week: failed requests with each verdict and cause (null where not diagnosed)."""
    condition, parameters = failed(filters)
    return read_weighed(
        lake.rows(
            f"""select date_trunc('week', r.asked_at)::date as week,
                       nullif(r.verdict, '{NOT_DIAGNOSED}') as verdict,
                       nullif(r.cause, '{NOT_DIAGNOSED}') as cause, {weighed("1", "n")}
                from failures r where {condition} group by all
                order by week, count(*) desc, verdict, cause""",
            parameters,
        )
    )


def failing_segments(lake: Lake, filters: Filters, by: Segments) -> list[Row]:
    """By topic, version or week (its Monday): ``graded`` answers and ``failed`` ones.

    ``graded`` heeds neither verdict nor cause, so that a share of it says how often a request of
    the segment fails in this way.
    """
    column = {"topic": "r.topic", "version_id": "r.version_id"}.get(by)
    source, parameters = counted(filters)
    condition, more = failed(filters)
    rows = read_weighed(
        lake.rows(
            f"""with totals as (
                    select {column or _WEEK.format("day")} as name, {weighed("graded", "graded")}
                    from ({source}) r group by 1),
                wrong as (
                    select {column or _WEEK.format("asked_at")} as name, {weighed("1", "failed")}
                    from failures r where {condition} group by 1)
                select name, graded, failed
                from totals left join wrong using (name) where graded.plain > 0 order by name""",
            {**parameters, **more},
        )
    )
    return [{**row, "failed": row["failed"] or Weighed.of(0)} for row in rows]


def failing_questions(lake: Lake, filters: Filters) -> list[Row]:
    """By ``question_id``, as :func:`failing_segments`; requests that name no question are left
    out."""
    condition, parameters = filters.where()
    failures, more = failed(filters)
    rows = read_weighed(
        lake.rows(
            f"""with asked as (
                    select r.request_id, r.question_id, {weight_of("r")} as weight
                    from requests r where r.question_id is not null and {condition}),
                {decisions("true", "select request_id from asked")},
                totals as (
                    select question_id, {weighed("1", "graded")}
                    from asked join opinions o using (request_id)
                    where o.found.y is not null group by 1),
                wrong as (
                    select asked.question_id, {weighed("1", "failed")}
                    from asked join (select request_id from failures r where {failures}) f
                    using (request_id) group by 1)
                select question_id, graded, failed from totals left join wrong using (question_id)
                order by question_id""",
            {**parameters, **more},
        )
    )
    return [{**row, "failed": row["failed"] or Weighed.of(0)} for row in rows]


def segment_of(split: Split) -> str:
    """The column of ``r`` to split by; a constant where there is no split."""
    return {"all": "'all'", "topic": "r.topic", "version_id": "r.version_id"}[split]


def _weekly(lake: Lake, filters: Filters, split: Split, *measures: str) -> list[Row]:
    source, parameters = counted(filters)
    sums = ", ".join(f"sum({name}) as {name}" for name in measures)
    told = ", ".join(weighed(name, name) for name in measures)
    return read_weighed(
        lake.rows(
            f"""with alike as (
                    select {_WEEK.format("day")} as week, {segment_of(split)} as segment, weight,
                           {sums}
                    from ({source}) r group by all having sum(n) > 0)
                select week, segment, {told} from alike group by all order by week, segment""",
            parameters,
        )
    )
