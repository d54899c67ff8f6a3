"""Counts and sums by week and segment, for the pages and reports that watch them over time.

Sums come with their squares, so that whoever draws them can give a mean its interval without
reading the requests again.
"""

from __future__ import annotations

from typing import Literal

from ragdiag.records import DEFAULT_GRADER, LATENCY_STAGES
from ragdiag.store.lake import Lake
from ragdiag.store.queries import Filters, Row

Split = Literal["all", "topic", "version_id"]

RANKING_DEPTH = 10
"""Production logs ten hits of each stage, so nothing deeper can be compared over time."""


def weekly_outcomes(lake: Lake, filters: Filters, split: Split = "all") -> list[Row]:
    """By week and segment: requests, answers right and wrong, abstentions, ranking sums.

    ``judged`` counts requests whose question has a relevant passage; ``mrr`` and ``recall`` are
    sums over them of reciprocal rank and recall within the first ten hits, ``mrr2`` and
    ``recall2`` the sums of squares.
    """
    condition, parameters = filters.where()
    return lake.rows(
        f"""
        with relevant as (
            select question_id, count(distinct passage_id) as n_relevant
            from judgments where grade > 0 group by question_id),
        scored as (
            select date_trunc('week', r.asked_at)::date as week, {_segment(split)} as segment,
                   r.status, g.y, r.rel is not null and j.n_relevant > 0 as judged,
                   list_transform(r.rel[1:{RANKING_DEPTH}], lambda x: x > 0) as hits, j.n_relevant
            from requests r
            left join latest_grades g on g.request_id = r.request_id and g.grader = $grader
            left join relevant j on j.question_id = r.question_id
            where {condition}),
        numbers as (
            select *,
                   case when judged
                        then coalesce(1.0 / nullif(list_position(hits, true), 0), 0) end as rr,
                   case when judged
                        then len(list_filter(hits, lambda x: x)) / n_relevant end as found
            from scored)
        select week, segment, count(*) as n, count(y) as graded, coalesce(sum(y), 0) as correct,
               count(*) filter (status = 'no_answer') as no_answer,
               count(*) filter (status = 'error') as errors,
               count(rr) as judged, coalesce(sum(rr), 0) as mrr, coalesce(sum(rr * rr), 0) as mrr2,
               coalesce(sum(found), 0) as recall, coalesce(sum(found * found), 0) as recall2
        from numbers group by all order by week, segment""",
        {**parameters, "grader": DEFAULT_GRADER},
    )


def weekly_feedback(lake: Lake, filters: Filters, split: Split = "all") -> list[Row]:
    """By week of the request and segment: who clicked, succeeded, and gave thumbs.

    A request counts once for each kind: its last thumbs, its last task outcome, any click.
    """
    condition, parameters = filters.where()
    return lake.rows(
        f"""
        with said as (
            select request_id, max(1) filter (kind = 'click') as clicked,
                   arg_max(value, given_at) filter (kind = 'task_success') as task,
                   arg_max(value, given_at) filter (kind = 'thumbs') as thumbs
            from feedback group by request_id)
        select date_trunc('week', r.asked_at)::date as week, {_segment(split)} as segment,
               count(*) as n, coalesce(sum(s.clicked), 0) as clicked,
               count(s.task) as tasks, count(*) filter (s.task > 0) as task_successes,
               count(s.thumbs) as thumbs, count(*) filter (s.thumbs > 0) as thumbs_up
        from requests r left join said s on s.request_id = r.request_id
        where {condition} group by all order by week, segment""",
        parameters,
    )


def weekly_latency(
    lake: Lake, filters: Filters, stage: str = "total", split: Split = "version_id"
) -> list[Row]:
    """By week and segment, every latency of one stage in ms as the list ``values``, sorted."""
    if stage not in LATENCY_STAGES:
        raise ValueError(f"no such stage: {stage}")
    condition, parameters = filters.where()
    return lake.rows(
        f"""select date_trunc('week', r.asked_at)::date as week, {_segment(split)} as segment,
                   list(r.{stage}_ms order by r.{stage}_ms) as values
            from requests r
            where {condition} and r.{stage}_ms is not null and r.cache_hit is not true
            group by all order by week, segment""",
        parameters,
    )


def stage_latency(lake: Lake, filters: Filters, split: Split = "all") -> list[Row]:
    """By stage and segment, every latency in ms as the sorted list ``values``."""
    condition, parameters = filters.where()
    stages = " union all ".join(
        f"select '{stage}' as stage, segment, {stage}_ms as ms from chosen"
        for stage in LATENCY_STAGES
    )
    rows = lake.rows(
        f"""with chosen as (
                select {_segment(split)} as segment,
                       {", ".join(f"r.{stage}_ms" for stage in LATENCY_STAGES)}
                from requests r where {condition} and r.cache_hit is not true)
            select stage, segment, list(ms order by ms) as values
            from ({stages}) where ms is not null group by all order by segment""",
        parameters,
    )
    return sorted(rows, key=lambda row: LATENCY_STAGES.index(row["stage"]))


def weekly_failures(lake: Lake, filters: Filters) -> list[Row]:
    """By week: failed requests with each verdict and cause (null where not diagnosed)."""
    condition, parameters = filters.where()
    return lake.rows(
        f"""select date_trunc('week', r.asked_at)::date as week, v.verdict, v.cause, count(*) as n
            from requests r
            join latest_grades g
                on g.request_id = r.request_id and g.grader = $grader and g.y = 0
            left join latest_verdicts v on v.request_id = r.request_id
            where {condition} group by all order by week, n desc""",
        {**parameters, "grader": DEFAULT_GRADER},
    )


def _segment(split: Split) -> str:
    """The column to split by; a constant where there is no split."""
    return {"all": "'all'", "topic": "r.topic", "version_id": "r.version_id"}[split]
