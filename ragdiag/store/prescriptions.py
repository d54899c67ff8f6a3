"""What was prescribed for a version, as it was told last."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ragdiag.store.lake import Lake
from ragdiag.store.tables import insert
from ragdiag.store.times import now_utc


def save_prescription(lake: Lake, version_id: str, split: str, told: Mapping[str, Any]) -> None:
    """Keep it (plain JSON); earlier ones stay beside it."""
    row = {
        "version_id": version_id,
        "split": split,
        "prescribed_at": now_utc(),
        "prescription": json.dumps(told, sort_keys=True, allow_nan=False),
    }
    lake.write(lambda cursor: insert(cursor, "prescriptions", [row]))


def latest_prescriptions(lake: Lake) -> list[dict[str, Any]]:
    """The last of every version, newest first: version_id, split, prescribed_at (naive UTC) and
    ``prescription``."""
    rows = lake.rows(
        "select * from prescriptions qualify row_number() over ("
        "partition by version_id order by prescribed_at desc, prescription) = 1 "
        "order by prescribed_at desc, version_id"
    )
    return [{**row, "prescription": json.loads(row["prescription"])} for row in rows]
