"""What was measured of index builds: what they take and give."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ragdiag.store.lake import Lake
from ragdiag.store.tables import insert
from ragdiag.store.times import now_utc


def save_measurement(
    lake: Lake, version_id: str, build_id: str, measured: Mapping[str, Any]
) -> None:
    """Keep a measurement (plain JSON)."""
    row = {
        "version_id": version_id,
        "build_id": build_id,
        "measured_at": now_utc(),
        "measured": json.dumps(measured, sort_keys=True),
    }
    lake.write(lambda cursor: insert(cursor, "index_measurements", [row]))


def latest_measurements(lake: Lake) -> list[dict[str, Any]]:
    """The newest of each version and build, newest first: version_id, build_id, measured_at (naive
    UTC) and ``measured``."""
    rows = lake.rows(
        "select * from index_measurements qualify row_number() over ("
        "partition by version_id, build_id order by measured_at desc, measured) = 1 "
        "order by measured_at desc, version_id, build_id"
    )
    return [{**row, "measured": json.loads(row["measured"])} for row in rows]
