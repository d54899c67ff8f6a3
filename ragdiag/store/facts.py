"""What one request adds to the counts that pages show: the one definition, in SQL.

The rollups are sums of these facts, kept up to date; where a filter goes deeper than the rollups,
the pages sum the facts themselves. Everything here can be added up, so that a change is a
difference: what the touched requests were worth before, taken from what they are worth now.
"""

from __future__ import annotations

from collections.abc import Mapping

from ragdiag.records import LATENCY_STAGES
from ragdiag.store.authority import decisions
from ragdiag.store.cost_sums import AMOUNTS, COST_MEASURES, OUTSIZED
from ragdiag.store.weighing import weight_of
from ragdiag.timing import BUCKET_BASE

NOT_DIAGNOSED = "not_diagnosed"
"""Stands for the verdict and the cause of a failure that no diagnosis has looked at."""

RANKING_DEPTH = 10
"""Production logs ten hits of each stage, so nothing deeper can be compared over time."""

MEASURES: Mapping[str, str] = {
    "n": "1",
    "no_answer": "(s.status = 'no_answer')::int",
    "errors": "(s.status = 'error')::int",
    "prompt_tokens": "coalesce(s.prompt_tokens, 0)",
    "completion_tokens": "coalesce(s.completion_tokens, 0)",
    "priced": "(s.cost_usd is not null)::int",
    "cost_usd": "coalesce(s.cost_usd, 0)",
    "graded": "(o.found.y is not null)::int",
    "correct": "coalesce(o.found.y, 0)",
    "judged": "s.judged::int",
    "mrr": "coalesce(s.rr, 0)",
    "mrr2": "coalesce(s.rr * s.rr, 0)",
    "recall": "coalesce(s.recall, 0)",
    "recall2": "coalesce(s.recall * s.recall, 0)",
    "clicked": "coalesce(f.clicked, 0)",
    "tasks": "(f.task.value is not null)::int",
    "task_successes": "coalesce((f.task.value > 0)::int, 0)",
    "thumbs": "(f.thumbs.value is not null)::int",
    "thumbs_up": "coalesce((f.thumbs.value > 0)::int, 0)",
    "outsized": f"{OUTSIZED}::int",
    **{name: f"case when {OUTSIZED} then 0 else {sql} end" for name, sql in COST_MEASURES.items()},
}
"""Of one request: counts, sums, and sums of squares of what is averaged. ``judged`` are requests
whose question has a relevant passage; reciprocal rank and recall are those of the first
RANKING_DEPTH hits. A request's last thumbs and last task outcome count, and any click. The costs of
an ``outsized`` one are in none of the COST_MEASURES."""

CELL = ("day", "version_id", "topic", "traffic", "weight")
"""What a rollup is kept by. A service draws its requests with one chance or a few, so the weights
add few rows; a chance of its own for each request would give each a row of its own."""

EVERYWHERE = "true"
BETWEEN = "request_id >= $low and request_id <= $high"
"""Where to look for what is said about requests. Bounds let files be passed over unopened."""


NOT_OF_A_FAILURE = """(verdict in ('ok', 'lucky') or contains(evidence, '"y": 1')
                     or contains(evidence, '"y": null'))"""
"""Of a row of verdicts: found while the answer counted as right, or as unknown."""


def opinions(scope: str, where: str) -> str:
    """A SELECT of what counts of the answers of ``scope`` (authority.py), for who counts them in
    more than one way: ``decided`` of the others names the table that it was kept in."""
    return f"with subject as ({scope}), {decisions(where)} select * from opinions"


def cells(scope: str, where: str = EVERYWHERE, decided: str | None = None) -> str:
    """A SELECT of CELL and the sums of MEASURES over ``scope``, a SELECT of rows of requests."""
    sums = ", ".join(f"sum({sql}) as {name}" for name, sql in MEASURES.items())
    return f"""
        with subject as ({scope}),
        relevant as (
            select question_id, count(distinct passage_id) as n_relevant
            from judgments
            where grade > 0 and question_id in (select question_id from subject)
            group by question_id),
        ranked as (
            select s.*, {AMOUNTS}, r.n_relevant,
                   s.rel is not null and coalesce(r.n_relevant, 0) > 0 as judged,
                   list_transform(s.rel[1:{RANKING_DEPTH}], lambda grade: grade > 0) as hits
            from subject s left join relevant r using (question_id)),
        scored as (
            select *,
                   case when judged
                        then coalesce(1.0::double / nullif(list_position(hits, true), 0), 0)
                        end as rr,
                   case when judged
                        then len(list_filter(hits, lambda hit: hit))::double / n_relevant
                        end as recall
            from ranked),
        {_decided(where, decided)},
        said as (
            select request_id, max(1) filter (kind = 'click') as clicked,
                   max({{'at': given_at, 'id': feedback_id, 'value': value}})
                       filter (kind = 'task_success') as task,
                   max({{'at': given_at, 'id': feedback_id, 'value': value}})
                       filter (kind = 'thumbs') as thumbs
            from feedback
            where {where} and request_id in (select request_id from subject)
            group by request_id)
        select s.asked_at::date as day, s.version_id, s.topic, s.traffic,
               {weight_of("s")} as weight, {sums}
        from scored s
        left join opinions o using (request_id)
        left join said f using (request_id)
        group by all"""


def failing(scope: str, where: str, decided: str) -> str:
    """A SELECT of the rows of ``failures``: those of ``scope`` whose answer counts as wrong now. A
    verdict that was found while it counted as right, or as unknown, is none on this failure."""
    return f"""
        with subject as ({scope}),
        {_decided(where, decided)},
        diagnoses as (
            select request_id,
                   arg_max({{'verdict': verdict, 'cause': cause, 'fix': verified_fix,
                             'outdated': {NOT_OF_A_FAILURE}}},
                           {{'at': diagnosed_at, 'v': verdict, 'c': cause, 'f': verified_fix}}
                   ) as found
            from verdicts
            where {where} and request_id in (select request_id from subject)
            group by request_id)
        select s.request_id, s.asked_at, s.version_id, s.topic, s.traffic, s.question, s.status,
               s.total_ms, {weight_of("s")} as weight, o.found.score as score,
               coalesce(d.found.verdict, '{NOT_DIAGNOSED}') as verdict,
               coalesce(d.found.cause, '{NOT_DIAGNOSED}') as cause,
               coalesce(d.found.fix, '') as verified_fix
        from subject s
        join opinions o on o.request_id = s.request_id and o.found.y = 0
        left join diagnoses d on d.request_id = s.request_id and not d.found.outdated"""


def _decided(where: str, decided: str | None) -> str:
    return f"opinions as (select * from {decided})" if decided else decisions(where)


def latencies(scope: str) -> str:
    """A SELECT of how many requests of ``scope`` fell into each bucket of each stage's latency, by
    day, version, traffic and weight. Answers from the cache are left out: they took no stage's
    time."""
    columns = ", ".join(f"{stage}_ms" for stage in LATENCY_STAGES)
    return f"""
        with measured as (
            select asked_at::date as day, version_id, traffic, {weight_of("s")} as weight,
                   {columns}
            from ({scope}) s where cache_hit is not true)
        select day, version_id, traffic, weight, replace(name, '_ms', '') as stage,
               {bucket_of("ms")} as bucket, count(*) as n
        from (unpivot measured on {columns} into name name value ms)
        group by all"""


def bucket_of(ms: str) -> str:
    """The number of the histogram's bucket that holds a latency; null for zero."""
    return f"case when {ms} > 0 then ceil(ln({ms}) / ln({BUCKET_BASE!r}))::int end"
