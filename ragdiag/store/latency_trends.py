"""Latencies by stage, segment and week: each one where they are few, else how many are how long.

Up to EXACT_ROWS requests every value is read, and a quantile is a value that was measured. Beyond
that the values are counted in buckets, from the rollup where it is kept deep enough and from the
rows where topics or words are asked for; a quantile is then off by timing.RELATIVE_ERROR at most.
Answers from the cache are left out wherever they are not asked for. Each value comes with how many
requests it stands for.
"""

from __future__ import annotations

from typing import Any

from ragdiag.records import LATENCY_STAGES, Weighed
from ragdiag.store.facts import bucket_of
from ragdiag.store.lake import Lake
from ragdiag.store.queries import Filters, Row, counted
from ragdiag.store.trends import Split, segment_of
from ragdiag.store.weighing import weighed, weight_of

EXACT_ROWS = 200_000


def weekly_latency(
    lake: Lake,
    filters: Filters,
    stages: tuple[str, ...] = ("total",),
    split: Split = "version_id",
) -> list[Row]:
    """By week, segment and stage, the latencies in ms: sorted ``values`` with their ``weights``
    (None where all stand for themselves), or ``buckets`` (number of the bucket, None for zero → a
    Weighed count) where the others are None. Several stages are one query."""
    if unknown := set(stages) - set(LATENCY_STAGES):
        raise ValueError(f"no such stage: {min(unknown)}")
    return _read(lake, filters, stages, split, "date_trunc('week', day)::date")


def stage_latency(lake: Lake, filters: Filters, split: Split = "all") -> list[Row]:
    """By stage and segment, in the order in which a request meets the stages; otherwise as
    :func:`weekly_latency`."""
    rows = _read(lake, filters, LATENCY_STAGES, split, "null::date")
    return sorted(rows, key=lambda row: LATENCY_STAGES.index(row["stage"]))


def total_latency(lake: Lake, filters: Filters, split: Split = "all", *, hits: bool) -> list[Row]:
    """By segment, the latencies of the whole request: of answers from the cache alone (``hits``),
    or of all others. Both come as values, or both as buckets; otherwise as
    :func:`weekly_latency`."""
    return _read(lake, filters, ("total",), split, "null::date", hits=hits)


def _read(
    lake: Lake,
    filters: Filters,
    stages: tuple[str, ...],
    split: Split,
    week: str,
    *,
    hits: bool = False,
) -> list[Row]:
    source, parameters = counted(filters)
    (total,) = lake.rows(
        "select coalesce(sum(n), 0) as n, coalesce(sum(n) filter (weight <> 1), 0) as sampled "
        f"from ({source})",
        parameters,
    )
    if total["n"] <= EXACT_ROWS:
        weights = "list(weight order by ms)" if total["sampled"] else "null"
        return _values(lake, filters, stages, split, week, weights, hits)
    return _buckets(lake, filters, stages, split, week, hits, sampled=total["sampled"] > 0)


def _values(
    lake: Lake,
    filters: Filters,
    stages: tuple[str, ...],
    split: Split,
    week: str,
    weights: str,
    hits: bool,
) -> list[Row]:
    rows, parameters = _single(filters, stages, split, hits)
    return lake.rows(
        f"""select {week} as week, segment, stage, list(ms order by ms) as values,
                   {weights} as weights, null as buckets
            from ({rows}) group by all order by week, segment, stage""",
        parameters,
    )


def _buckets(
    lake: Lake,
    filters: Filters,
    stages: tuple[str, ...],
    split: Split,
    week: str,
    hits: bool,
    *,
    sampled: bool,
) -> list[Row]:
    if hits or filters.text or filters.topic is not None or split == "topic":
        single, parameters = _single(filters, stages, split, hits)
        source = f"""
            select day, segment, stage, weight, {bucket_of("ms")} as bucket, 1 as n
            from ({single})"""
    else:
        condition, parameters = filters.where("day")
        source = f"""
            select r.day, {segment_of(split)} as segment, r.stage, r.weight, r.bucket, r.n
            from daily_latency r where {condition} and r.stage in ({_quoted(stages)})"""
    # There are tens of thousands of buckets: of a whole log one sum instead of three, and a row for
    # each cell instead of each bucket.
    told = weighed("n", "n") if sampled else "sum(n) as n"
    rows = lake.rows(
        f"""with alike as (
                select {week} as week, segment, stage, weight, bucket, sum(n) as n
                from ({source}) group by all having sum(n) > 0),
            counted as (
                select week, segment, stage, bucket, {told} from alike group by all)
            select week, segment, stage, null as values, null as weights,
                   list(bucket order by bucket) as buckets, list(n order by bucket) as counts
            from counted group by all order by week, segment, stage""",
        parameters,
    )
    for row in rows:
        counts = row.pop("counts")
        sums = [Weighed(**n) for n in counts] if sampled else map(Weighed.of, counts)
        row["buckets"] = dict(zip(row["buckets"], sums, strict=True))
    return rows


def _single(
    filters: Filters, stages: tuple[str, ...], split: Split, hits: bool
) -> tuple[str, dict[str, Any]]:
    """A SELECT of day, segment, weight, stage and ms of every measured stage of every request."""
    condition, parameters = filters.where()
    columns = ", ".join(f"{stage}_ms" for stage in stages)
    return (
        f"""select day, segment, weight, replace(name, '_ms', '') as stage, ms from (
            unpivot (select r.asked_at::date as day, {segment_of(split)} as segment,
                            {weight_of("r")} as weight, {columns}
                     from requests r
                     where {condition} and r.cache_hit is {"" if hits else "not"} true)
            on {columns} into name name value ms)""",
        parameters,
    )


def _quoted(stages: tuple[str, ...]) -> str:
    return ", ".join(f"'{stage}'" for stage in stages)
