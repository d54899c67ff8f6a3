"""Answers that a gold answer is known to, and that no grade rests on yet."""

from __future__ import annotations

from datetime import datetime

from ragdiag.records import FILTERS
from ragdiag.store.authority import OWN_NEWEST
from ragdiag.store.lake import Lake
from ragdiag.store.queries import Row
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
              select request_id from grades where {OWN_NEWEST} and status <> 'no_gold')),
    known as (
        select {_WORDING.format("text")} as wording, min(question_id) as question_id
        from questions where not contains(text, '[')
        group by wording having count(*) = 1)
    select request_id, coalesce(u.question_id, k.question_id) as question_id, answer, status
    from ungraded u left join known k using (wording)
    where coalesce(u.question_id, k.question_id) in (select question_id from gold_answers)
"""


def load_ungraded(lake: Lake, version_id: str, since: datetime) -> list[Row]:
    """``request_id, question_id, answer, status`` of the requests of a version since then whose
    question has a gold answer and that have no default grade but one that found no gold, or one of
    an earlier version: two versions are compared by one grader.

    A request that names no question is taken to ask the one with the same text, whatever its case,
    spacing and question marks. Not where there are several, nor where part of the text may have
    been redacted ("[email]"), nor of one that looked for certain passages only: the right answer
    may then be another.
    """
    return lake.rows(
        _UNGRADED,
        {"version_id": version_id, "since": to_naive_utc(since)},
    )
