"""Questions by their ids, with a request that shows each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ragdiag.store.lake import Lake
from ragdiag.store.times import to_aware_utc


@dataclass(frozen=True, slots=True)
class AskedQuestion:
    """``request_id`` is its last request, by the version asked for where there is one; None where
    it was never asked."""

    text: str
    request_id: str | None


def asked_times(lake: Lake, request_ids: Sequence[str]) -> dict[str, datetime]:
    """When each of these requests was asked; ids that are not logged are left out."""
    rows = lake.rows(
        "select request_id, asked_at from requests "
        "where request_id in (select unnest(?::varchar[]))",
        [list(request_ids)],
    )
    return {row["request_id"]: to_aware_utc(row["asked_at"]) for row in rows}


def last_asked(
    lake: Lake, question_ids: Sequence[str], version_id: str | None = None
) -> dict[str, AskedQuestion]:
    """Question id → its text and its last request; ids that are not there are left out."""
    rows = lake.rows(
        """
        select q.question_id, q.text,
               arg_max(r.request_id, {'own': coalesce(r.version_id = $version_id, false),
                                      'at': r.asked_at, 'id': r.request_id}) as request_id
        from questions q left join requests r using (question_id)
        where q.question_id in (select unnest($ids::varchar[]))
        group by q.question_id, q.text""",
        {"ids": list(question_ids), "version_id": version_id},
    )
    return {row["question_id"]: AskedQuestion(row["text"], row["request_id"]) for row in rows}
