"""Grading what running versions answer, where a gold answer is known and nobody has graded yet."""

from __future__ import annotations

from datetime import datetime

from ragdiag.metrics.answers import grade_answer
from ragdiag.privacy.hiding import is_hidden
from ragdiag.records import DEFAULT_GRADER, FILTERS
from ragdiag.store.corpus import load_gold_answers
from ragdiag.store.lake import Lake
from ragdiag.store.results import save_findings
from ragdiag.store.times import to_naive_utc

_WORDING = r"trim(regexp_replace(lower(nfc_normalize({})), '[\s?]+', ' ', 'g'))"
_UNGRADED = f"""
    with ungraded as (
        select request_id, question_id, answer, status,
               case when question_id is null and {" and ".join(f"{one} is null" for one in FILTERS)}
                    then {_WORDING.format("question")} end as wording
        from requests
        where version_id = $version_id and asked_at >= $since
          and request_id not in (
              select request_id from grades where grader = $grader and status <> 'no_gold')),
    known as (
        select {_WORDING.format("text")} as wording, min(question_id) as question_id
        from questions where not contains(text, '[')
        group by wording having count(*) = 1)
    select request_id, coalesce(u.question_id, k.question_id) as question_id, answer, status
    from ungraded u left join known k using (wording)
    where coalesce(u.question_id, k.question_id) in (select question_id from gold_answers)
"""


def grade_new_answers(lake: Lake, version_id: str, since: datetime) -> int:
    """Give every request of ``version_id`` since then its default grade (METHODS.md §2), unless it
    has one that rests on a gold answer, its question has none, or either is not stored. Returns how
    many.

    A request that names no question is taken to ask the one with the same text, whatever its case,
    spacing and question marks. Not where there are several, nor where part of the text may have
    been redacted ("[email]"), nor of one that looked for certain passages only: the right answer
    may then be another.
    """
    rows = lake.rows(
        _UNGRADED,
        {"version_id": version_id, "since": to_naive_utc(since), "grader": DEFAULT_GRADER},
    )
    golds = load_gold_answers(lake) if rows else {}
    grades = [
        grade_answer(row["request_id"], row["answer"], row["status"], golds[row["question_id"]])
        for row in rows
        if not is_hidden(row["answer"]) and row["question_id"] in golds
    ]
    save_findings(lake, grades=grades)
    return len(grades)
