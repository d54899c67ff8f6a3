"""Latencies by stage, segment and week: each one where they are few, else how many are how long.

Up to EXACT_ROWS requests every value is read, and a quantile is a value that was measured. Beyond
that the values are counted in buckets, from the rollup where it is kept deep enough and from the
rows where topics or words are asked for; a quantile is then off by timing.RELATIVE_ERROR at most.
Answers from the cache are left out.
"""

from __future__ import annotations

from typing import Any

from ragdiag.records import LATENCY_STAGES
from ragdiag.store.facts import bucket_of
from ragdiag.store.lake import Lake
from ragdiag.store.queries import Filters, Row, counted
from ragdiag.store.trends import Split, segment_of

EXACT_ROWS = 200_000


def weekly_latency(
    lake: Lake, filters: Filters, stage: str = "total", split: Split = "version_id"
) -> list[Row]:
    """By week and segment, the latencies of one stage in ms: sorted ``values``, or ``buckets``
    (number of the bucket, None for zero → requests) where the other is None."""
    if stage not in LATENCY_STAGES:
        raise ValueError(f"no such stage: {stage}")
    return _read(lake, filters, (stage,), split, "date_trunc('week', day)::date")


def stage_latency(lake: Lake, filters: Filters, split: Split = "all") -> list[Row]:
    """By stage and segment, in the order in which a request meets the stages; otherwise as
    :func:`weekly_latency`."""
    rows = _read(lake, filters, LATENCY_STAGES, split, "null::date")
    return sorted(rows, key=lambda row: LATENCY_STAGES.index(row["stage"]))


def _read(
    lake: Lake, filters: Filters, stages: tuple[str, ...], split: Split, week: str
) -> list[Row]:
    source, parameters = counted(filters)
    (total,) = lake.rows(f"select coalesce(sum(n), 0) as n from ({source})", parameters)
    if total["n"] <= EXACT_ROWS:
        return _values(lake, filters, stages, split, week)
    return _buckets(lake, filters, stages, split, week)


def _values(
    lake: Lake, filters: Filters, stages: tuple[str, ...], split: Split, week: str
) -> list[Row]:
    rows, parameters = _single(filters, stages, split)
    return lake.rows(
        f"""select {week} as week, segment, stage, list(ms order by ms) as values, null as buckets
            from ({rows}) group by all order by week, segment, stage""",
        parameters,
    )


def _buckets(
    lake: Lake, filters: Filters, stages: tuple[str, ...], split: Split, week: str
) -> list[Row]:
    if filters.text or filters.topic is not None or split == "topic":
        rows, parameters = _single(filters, stages, split)
        source = f"select day, segment, stage, {bucket_of('ms')} as bucket, 1 as n from ({rows})"
    else:
        condition, parameters = filters.where("day")
        source = f"""
            select r.day, {segment_of(split)} as segment, r.stage, r.bucket, r.n
            from daily_latency r where {condition} and r.stage in ({_quoted(stages)})"""
    found: dict[tuple[Any, ...], Row] = {}
    for row in lake.rows(
        f"""select {week} as week, segment, stage, bucket, sum(n) as n
            from ({source}) group by all having sum(n) > 0 order by week, segment, stage""",
        parameters,
    ):
        bucket, n = row.pop("bucket"), row.pop("n")
        cell = found.setdefault(tuple(row.values()), {**row, "values": None, "buckets": {}})
        cell["buckets"][bucket] = n
    return list(found.values())


def _single(filters: Filters, stages: tuple[str, ...], split: Split) -> tuple[str, dict[str, Any]]:
    """A SELECT of day, segment, stage and ms of every measured stage of every request."""
    condition, parameters = filters.where()
    columns = ", ".join(f"{stage}_ms" for stage in stages)
    return (
        f"""select day, segment, replace(name, '_ms', '') as stage, ms from (
            unpivot (select r.asked_at::date as day, {segment_of(split)} as segment, {columns}
                     from requests r where {condition} and r.cache_hit is not true)
            on {columns} into name name value ms)""",
        parameters,
    )


def _quoted(stages: tuple[str, ...]) -> str:
    return ", ".join(f"'{stage}'" for stage in stages)
