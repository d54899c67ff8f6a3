"""What looks at index builds have found: appended, never changed, read without any model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ragdiag.records import Finding, IndexCheck
from ragdiag.store.lake import Lake
from ragdiag.store.results import plain_json
from ragdiag.store.tables import insert
from ragdiag.store.times import to_aware_utc, to_naive_utc


def save_check(lake: Lake, check: IndexCheck) -> None:
    document = plain_json(check.to_json())
    row = {
        "build_id": check.build_id,
        "index_key": check.index_key,
        "version_id": check.version_id,
        "checked_at": to_naive_utc(check.checked_at),
        "checked_by": check.by,
        "status": check.status,
        "findings": json.dumps(document["findings"]),
        "details": json.dumps(document["details"]),
    }
    lake.write(lambda cursor: insert(cursor, "index_checks", [row]))


def load_checks(lake: Lake, build_id: str, version_id: str | None = None) -> list[IndexCheck]:
    """Every look at a build, or those as one version uses it; oldest first."""
    rows = lake.rows(
        "select * exclude (status) from index_checks where build_id = $build "
        "and ($version is null or version_id = $version) order by checked_at",
        {"build": build_id, "version": version_id},
    )
    return [_read_check(row) for row in rows]


def latest_checks(lake: Lake, index_key: str) -> dict[str, IndexCheck]:
    """Build → the newest look at it, of the builds with these index settings."""
    rows = lake.rows(
        "select * exclude (status) from index_checks where index_key = ? "
        "qualify row_number() over (partition by build_id order by checked_at desc) = 1",
        [index_key],
    )
    return {row["build_id"]: _read_check(row) for row in rows}


def _read_check(row: Mapping[str, Any]) -> IndexCheck:
    return IndexCheck(
        build_id=row["build_id"],
        index_key=row["index_key"],
        version_id=row["version_id"],
        checked_at=to_aware_utc(row["checked_at"]),
        by=row["checked_by"],
        findings=tuple(Finding(**finding) for finding in json.loads(row["findings"])),
        details=json.loads(row["details"]),
    )
