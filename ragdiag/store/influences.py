"""What parts of a context did to an answer: the trials, kept as they are made, and what they told.

An interrupted run goes on from its trials; pages read what was told, never a model.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ragdiag.privacy.screening import open_screen
from ragdiag.records import ContextTrial
from ragdiag.store.intake.screening import redact_fields
from ragdiag.store.lake import Lake
from ragdiag.store.results import plain_json
from ragdiag.store.tables import insert
from ragdiag.store.times import now_utc


def save_trials(lake: Lake, trials: Sequence[ContextTrial]) -> None:
    """Append trials; their answers are redacted as the log's are."""
    now = now_utc()
    screened = redact_fields(open_screen(lake.workspace), trials, "answer")
    rows = [{**asdict(trial), "tried_at": now} for trial in screened]
    if rows:
        lake.write(lambda cursor: insert(cursor, "context_trials", rows))


def load_trials(lake: Lake, request_id: str, setting: str) -> list[ContextTrial]:
    """The trials of a request in one setting, the first of each context and draw."""
    rows = lake.rows(
        "select * exclude (tried_at) from context_trials where request_id = ? and setting = ?"
        " qualify row_number() over (partition by removed, draw order by tried_at) = 1"
        " order by draw, len(removed), removed",
        [request_id, setting],
    )
    return [
        ContextTrial(
            **{
                **row,
                "removed": tuple(row["removed"] or ()),
                "citations": tuple(row["citations"] or ()),
            }
        )
        for row in rows
    ]


def save_influence(lake: Lake, request_id: str, method: str, found: Mapping[str, Any]) -> None:
    """Keep what ``method`` found about a request, as plain JSON; its last holds."""
    row = {
        "request_id": request_id,
        "method": method,
        "found": json.dumps(plain_json(found)),
        "found_at": now_utc(),
    }
    lake.write(lambda cursor: insert(cursor, "influences", [row]))


def latest_influences(lake: Lake, request_id: str) -> dict[str, dict[str, Any]]:
    """Method → what it last found about a request."""
    rows = lake.rows(
        "select method, found from influences where request_id = ?"
        " qualify row_number() over (partition by method order by found_at desc) = 1"
        " order by method",
        [request_id],
    )
    return {row["method"]: json.loads(row["found"]) for row in rows}
