"""The SELECTs behind the pages: rows, counts and ids; never an interval, never a model.

Every function takes the lake first and plain, hashable parameters, so that a page can cache its
answer by them. Times are naive UTC; a week is named by its Monday.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal, get_args

from ragdiag.records import Cause
from ragdiag.store.facts import NOT_DIAGNOSED as NOT_DIAGNOSED
from ragdiag.store.facts import NOT_OF_A_FAILURE, cells
from ragdiag.store.lake import Lake
from ragdiag.store.logged_passages import logged_passages_at
from ragdiag.store.weighing import read_weighed, weighed

Row = dict[str, Any]
FailureColumn = Literal["verdict", "cause", "topic", "version_id"]

FAILURE_VERDICTS = (
    "retrieval",
    "generator",
    "corpus",
    "packing",
    "distraction",
    "label_suspect",
    "undetermined",
    NOT_DIAGNOSED,
)
FAILURE_CAUSES: tuple[str, ...] = (*get_args(Cause), NOT_DIAGNOSED)

ORDERS: dict[str, str] = {
    "newest first": "asked_at desc",
    "oldest first": "asked_at",
    "worst answer first": "score nulls first, asked_at desc",
    "nearest miss first": "score desc nulls last, asked_at desc",
    "slowest first": "total_ms desc nulls last, asked_at desc",
    "topic": "topic, asked_at desc",
    "verdict": "verdict, cause, asked_at desc",
}
"""Sort orders of the triage table, by the words the page offers; ties break by request id."""


@dataclass(frozen=True, slots=True)
class Filters:
    """Which requests a page looks at; None means all. ``week`` is a Monday."""

    traffic: str | None = None
    version_id: str | None = None
    topic: str | None = None
    week: date | None = None
    verdict: str | None = None
    cause: str | None = None
    second_level: str | None = None
    text: str | None = None

    def where(self, time: str = "asked_at") -> tuple[str, dict[str, Any]]:
        """A condition on ``requests r`` and its named parameters.

        It fits every relation ``r`` with the columns it asks for, whose ``time`` says when.
        """
        conditions, parameters = ["true"], dict[str, Any]()
        for column in ("traffic", "version_id", "topic"):
            if (wanted := getattr(self, column)) is not None:
                conditions.append(f"r.{column} = ${column}")
                parameters[column] = wanted
        if self.week is not None:
            conditions.append(f"r.{time} >= $week::timestamp")
            conditions.append(f"r.{time} < $week::timestamp + interval 7 day")
            parameters["week"] = self.week
        if self.text:
            conditions.append("contains(lower(r.question), lower($text))")
            parameters["text"] = self.text
        return " and ".join(conditions), parameters


def inventory(lake: Lake) -> Row:
    """How much of everything there is, and when a user last asked (else an evaluation).

    ``sampled`` requests were logged by chance; with the others they stand for ``meant`` requests
    (the sum of weights).
    """
    return lake.rows("""
        select (select count(*) from current_passages) as passages,
               (select count(*) from questions) as questions,
               (select count(distinct version_id) from versions) as versions,
               (select count(*) from index_builds) as builds,
               count(*) as requests,
               coalesce(max(asked_at) filter (traffic not in ('evaluation', 'replay')),
                        max(asked_at)) as last_asked_at,
               (select coalesce(sum(n), 0) from daily where weight > 1) as sampled,
               (select sum(weight * n) from daily) as meant
        from requests""")[0]


def traffic_kinds(lake: Lake) -> list[Row]:
    """``traffic``, its number of requests and how many of them are graded, the largest first."""
    return lake.rows("""
        select traffic, sum(n) as n, sum(graded) as graded from daily
        group by traffic having sum(n) > 0 order by n desc, traffic""")


def version_names(lake: Lake) -> dict[str, str]:
    """The latest name of every version that was saved or has served a request, oldest first."""
    rows = lake.rows("""
        select r.version_id, v.name
        from (select version_id from daily group by 1 having sum(n) > 0
              union select version_id from versions) r
        left join (select version_id, arg_max(name, created_at) as name, min(created_at) as first_at
                   from versions group by version_id) v using (version_id)
        order by v.first_at nulls last, coalesce(v.name, r.version_id)""")
    return {row["version_id"]: row["name"] or row["version_id"] for row in rows}


def weeks(lake: Lake, traffic: str) -> list[Row]:
    """Weeks with this traffic, the newest first, with n and the first and last day seen."""
    return lake.rows(
        """with days as (
               select day, sum(n) as n from daily where traffic = $traffic
               group by day having sum(n) > 0)
           select date_trunc('week', day)::date as week, sum(n) as n,
                  min(day) as first_day, max(day) as last_day
           from days group by 1 order by 1 desc""",
        {"traffic": traffic},
    )


def topics(lake: Lake, traffic: str) -> list[str]:
    rows = lake.rows(
        "select topic from daily where traffic = $traffic and topic <> '' "
        "group by topic having sum(n) > 0 order by 1",
        {"traffic": traffic},
    )
    return [row["topic"] for row in rows]


def evaluated(lake: Lake) -> dict[str, list[str]]:
    """Version id → the splits of which it has evaluated a question."""
    rows = lake.rows("""
        select distinct r.version_id, j.split
        from (select distinct version_id, question_id from requests
              where traffic = 'evaluation') r
        join split_questions j using (question_id)
        order by 1, 2""")
    splits: dict[str, list[str]] = {}
    for row in rows:
        splits.setdefault(row["version_id"], []).append(row["split"])
    return splits


def failures(
    lake: Lake, filters: Filters, *, order: str = "newest first", limit: int = 50, offset: int = 0
) -> list[Row]:
    """One page of failed requests (y = 0) with verdict and cause."""
    condition, parameters = failed(filters)
    return lake.rows(
        f"""select * from failures r where {condition}
            order by {ORDERS[order]}, request_id limit $limit offset $offset""",
        {**parameters, "limit": limit, "offset": offset},
    )


def failure_counts(lake: Lake, filters: Filters, column: FailureColumn) -> list[Row]:
    """Failed requests by one column: ``name``, ``n`` that were logged and ``weighed`` (a Weighed),
    the most frequent first."""
    condition, parameters = failed(filters)
    return read_weighed(
        lake.rows(
            f"""select {column} as name, count(*) as n, {weighed("1", "weighed")}
                from failures r where {condition} group by 1 order by n desc, 1""",
            parameters,
        )
    )


def second_levels(lake: Lake, request_ids: Sequence[str]) -> dict[str, str]:
    """What splits the cause of each of these failures, by request id; of those that have one."""
    rows = lake.rows(
        "select request_id, second_level from latest_verdicts "
        f"where second_level is not null and not {NOT_OF_A_FAILURE} "
        "and request_id in (select unnest($ids::varchar[]))",
        {"ids": list(request_ids)},
    )
    return {row["request_id"]: row["second_level"] for row in rows}


def replayed_failures(lake: Lake, filters: Filters, most: int) -> list[Row]:
    """The ``most`` recent failed requests that are diagnosed: ``question_id, topic,
    verified_fix`` and ``evidence``, as JSON text."""
    condition, parameters = failed(filters)
    return lake.rows(
        f"""with chosen as (
                select request_id, asked_at, topic, verified_fix from failures r
                where {condition} and r.verdict <> '{NOT_DIAGNOSED}'
                order by asked_at desc, request_id limit $most)
            select c.* exclude (asked_at), r.question_id, v.evidence
            from chosen c join latest_verdicts v using (request_id)
            join requests r using (request_id)
            order by c.asked_at desc, c.request_id""",
        {**parameters, "most": most},
    )


def recent_with_judgments(lake: Lake, filters: Filters, most: int) -> list[str]:
    """The ``most`` recent requests that did not fail and whose question has a relevant passage;
    verdict and cause ignored."""
    condition, parameters = filters.where()
    rows = lake.rows(
        f"""select request_id from requests r
            where {condition} and r.status <> 'error'
              and r.question_id in (select question_id from judgments where grade > 0)
            order by asked_at desc, request_id limit $most""",
        {**parameters, "most": most},
    )
    return [row["request_id"] for row in rows]


def tier_counts(lake: Lake, filters: Filters) -> list[Row]:
    """Failed requests that are diagnosed, by the ``tier`` of their evidence: ``tier`` and ``n``."""
    condition, parameters = failed(filters)
    return lake.rows(
        f"""select v.tier, count(*) as n from failures r join latest_verdicts v using (request_id)
            where {condition} and r.verdict <> '{NOT_DIAGNOSED}' group by 1 order by 1""",
        parameters,
    )


def graded_counts(lake: Lake, filters: Filters) -> Row:
    """``n`` logged requests, ``graded`` ones (y known) and ``failed`` ones; by weight, how many are
    ``meant``, ``meant_graded`` and ``meant_correct``. Verdict and cause ignored."""
    source, parameters = counted(filters)
    return lake.rows(
        f"""select coalesce(sum(n), 0) as n, coalesce(sum(graded), 0) as graded,
                   coalesce(sum(graded) - sum(correct), 0) as failed,
                   coalesce(sum(weight * n), 0) as meant,
                   coalesce(sum(weight * graded), 0) as meant_graded,
                   coalesce(sum(weight * correct), 0) as meant_correct
            from ({source})""",
        parameters,
    )[0]


def gold_of(lake: Lake, question_id: str) -> Row:
    """``grades`` {passage_id: relevance} of the judged passages, and the accepted ``answers``."""
    judged = lake.rows(
        """select passage_id, max(grade) as grade from judgments
           where question_id = $question_id group by passage_id order by grade desc, passage_id""",
        {"question_id": question_id},
    )
    answers = lake.rows(
        """select answers from gold_answers where question_id = $question_id
           order by added_at desc limit 1""",
        {"question_id": question_id},
    )
    return {
        "grades": {row["passage_id"]: row["grade"] for row in judged},
        "answers": tuple(answers[0]["answers"]) if answers else (),
    }


def passages_at(lake: Lake, passage_ids: Sequence[str], at: datetime) -> dict[str, Row]:
    """Title, text and document of passages as they were ``at`` a time (else the nearest later);
    of those that the corpus never had, as the service logged them."""
    rows = lake.rows(
        """select passage_id, document_id, title, text, removed_at from passages
           where list_contains($ids::varchar[], passage_id)
           qualify row_number() over (
               partition by passage_id
               order by ingested_at <= $at::timestamp desc, abs(epoch(ingested_at - $at::timestamp))
           ) = 1""",
        {"ids": list(passage_ids), "at": at.replace(tzinfo=None)},
    )
    found = {row["passage_id"]: row for row in rows}
    unknown = [passage_id for passage_id in passage_ids if passage_id not in found]
    return found | logged_passages_at(lake, unknown, at) if unknown else found


def said_about(lake: Lake, request_id: str) -> dict[str, list[Row]]:
    """Everything said about one request: ``grades, verdicts, replays, feedback``."""
    statements = {
        "grades": """select grader, y, score, status, reason, sentences, graded_at
                     from latest_grades where request_id = $id order by grader""",
        "verdicts": """select cause, verdict, verified_fix, tier, evidence, second_level,
                              diagnosed_at
                       from latest_verdicts where request_id = $id""",
        "replays": """select arm, draw, answer, y, score, passage_ids from replays
                      where request_id = $id
                      qualify row_number() over (
                          partition by arm, draw order by replayed_at desc) = 1
                      order by arm, draw""",
        "feedback": """select kind, value, passage_id, given_at from feedback
                       where request_id = $id order by given_at, feedback_id""",
    }
    return {name: lake.rows(sql, {"id": request_id}) for name, sql in statements.items()}


def counted(filters: Filters) -> tuple[str, dict[str, Any]]:
    """A SELECT of facts.py's measures by facts.CELL, and its parameters.

    Days are read from their rollup; words in a question can only be looked for in the rows.
    """
    if filters.text:
        condition, parameters = filters.where()
        return cells(f"select r.* from requests r where {condition}"), parameters
    condition, parameters = filters.where("day")
    return f"select * from daily r where {condition}", parameters


def failed(filters: Filters) -> tuple[str, dict[str, Any]]:
    """A condition on ``failures r`` and its parameters."""
    condition, parameters = filters.where()
    for column in ("verdict", "cause"):
        if (wanted := getattr(filters, column)) is not None:
            condition += f" and r.{column} = ${column}"
            parameters[column] = wanted
    if filters.second_level is not None:
        condition += (
            " and r.request_id in "
            "(select request_id from latest_verdicts where second_level = $second_level "
            f"and not {NOT_OF_A_FAILURE})"
        )
        parameters["second_level"] = filters.second_level
    return condition, parameters
