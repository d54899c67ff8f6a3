"""What was measured of index settings, kept as it is measured: an interrupted sweep goes on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ragdiag.store.lake import Lake
from ragdiag.store.tables import insert
from ragdiag.store.times import now_utc


def save_trials(lake: Lake, tuning_id: str, trials: Sequence[Mapping[str, Any]]) -> None:
    """Keep trials (plain JSON) of one sweep."""
    now = now_utc()
    rows = [
        {"tuning_id": tuning_id, "tried_at": now, "trial": json.dumps(trial, sort_keys=True)}
        for trial in trials
    ]
    lake.write(lambda cursor: insert(cursor, "index_trials", rows))


def load_trials(lake: Lake, tuning_id: str) -> list[dict[str, Any]]:
    """The trials of one sweep, in the order in which they were made."""
    rows = lake.rows(
        "select trial from index_trials where tuning_id = ? order by tried_at, trial", [tuning_id]
    )
    return [json.loads(row["trial"]) for row in rows]


def save_tuning(lake: Lake, tuning_id: str, version_id: str, tuning: Mapping[str, Any]) -> None:
    """Keep the outcome of a sweep (plain JSON, without its trials)."""
    row = {
        "tuning_id": tuning_id,
        "version_id": version_id,
        "tuned_at": now_utc(),
        "tuning": json.dumps(tuning, sort_keys=True),
    }
    lake.write(lambda cursor: insert(cursor, "index_tunings", [row]))


def list_tunings(lake: Lake) -> list[dict[str, Any]]:
    """Outcomes, newest first: tuning_id, version_id, tuned_at (naive UTC) and ``tuning``."""
    rows = lake.rows("from index_tunings order by tuned_at desc, tuning_id")
    return [{**row, "tuning": json.loads(row["tuning"])} for row in rows]


def latest_tuning(lake: Lake, version_id: str) -> tuple[datetime, dict[str, Any]] | None:
    """When the newest sweep for a version ended, and its outcome."""
    for row in list_tunings(lake):
        if row["version_id"] == version_id:
            return row["tuned_at"], {"tuning_id": row["tuning_id"], **row["tuning"]}
    return None
