"""What a version is asked again behind production's back, and what it was asked already."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ragdiag.records import Request
from ragdiag.store.lake import Lake
from ragdiag.store.results import load_requests
from ragdiag.store.times import to_naive_utc


def load_last_answered(lake: Lake, version_id: str, n: int) -> list[Request]:
    """The last ``n`` production requests of a version, oldest first."""
    rows = lake.rows(
        "select request_id from requests where traffic = 'production' and version_id = ? "
        "order by asked_at desc, request_id desc limit ?",
        [version_id, n],
    )
    return load_requests(lake, request_ids=[row["request_id"] for row in rows])


def shadowed_ids(
    lake: Lake, version_id: str, request_ids: Sequence[str], since: datetime
) -> set[str]:
    """Those of ``request_ids`` that are logged as shadow requests of a version asked since then."""
    rows = lake.rows(
        "select request_id from requests where version_id = ? and traffic = 'shadow' "
        "and request_id in (select unnest(?::varchar[])) and asked_at >= ?::timestamp",
        [version_id, list(request_ids), to_naive_utc(since)],
    )
    return {row["request_id"] for row in rows}
