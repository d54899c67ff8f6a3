"""How far verdicts can be trusted: the last validation by known causes, and the last estimate of
sufficiency. What is kept is plain JSON; diagnosis reads the second alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ragdiag.store.lake import Lake
from ragdiag.store.tables import insert
from ragdiag.store.times import now_utc


def save_validation(lake: Lake, version_id: str, split: str, found: Mapping[str, Any]) -> None:
    """Keep it; earlier ones of the version stay beside it."""
    _save(lake, "validations", {"version_id": version_id, "split": split}, "validated_at", found)


def load_validation(lake: Lake, version_id: str | None = None) -> dict[str, Any] | None:
    """The last validation of a version, else of any; with ``version_id`` and ``validated_at``
    (naive UTC) beside what was found. None where there is none."""
    rows = lake.rows(
        """select version_id, validated_at, found from validations
           where $version_id is null or version_id = $version_id
           order by validated_at desc limit 1""",
        {"version_id": version_id},
    )
    return {**json.loads(rows[0].pop("found")), **rows[0]} if rows else None


def load_validations(lake: Lake) -> list[dict[str, Any]]:
    """The last validation of every version, and of every version with another's generator, the
    newest first; each as :func:`load_validation` returns it."""
    rows = lake.rows(
        """select version_id, validated_at, found from validations
           qualify row_number() over (partition by version_id order by validated_at desc) = 1
           order by validated_at desc"""
    )
    return [{**json.loads(row.pop("found")), **row} for row in rows]


def save_sufficiency(lake: Lake, version_id: str, found: Mapping[str, Any]) -> None:
    """Keep it; the last one of the workspace holds."""
    _save(lake, "sufficiency_models", {"version_id": version_id}, "calibrated_at", found)


def load_sufficiency(lake: Lake) -> dict[str, Any] | None:
    """The last one, as it was given to :func:`save_sufficiency`; None where there is none."""
    rows = lake.rows("select found from sufficiency_models order by calibrated_at desc limit 1")
    return json.loads(rows[0]["found"]) if rows else None


def _save(
    lake: Lake, table: str, row: Mapping[str, Any], time: str, found: Mapping[str, Any]
) -> None:
    told = json.dumps(found, sort_keys=True, allow_nan=False)
    whole = {**row, time: now_utc(), "found": told}
    lake.write(lambda cursor: insert(cursor, table, [whole]))
