"""The registry of fine-tuning runs: what was trained on what, how it went, and what came of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from ragdiag.errors import UnknownName
from ragdiag.store.lake import Lake
from ragdiag.store.tables import insert
from ragdiag.store.times import now_utc

RunKind = Literal["retriever", "reranker", "reader", "generator"]
RunState = Literal["running", "done", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """One run as it stands; ``facts`` is plain JSON: base name and SHA-256, data hash, options,
    curve, scores before and after, cost, verdict of the gate, folder, version."""

    run_id: str
    kind: RunKind
    state: RunState
    facts: Mapping[str, Any] = field(default_factory=dict)
    recorded_at: datetime | None = None


def save_run(lake: Lake, run: TrainingRun) -> None:
    """Say how a run stands now; what was said of it before stays beside it."""
    row = {
        "run_id": run.run_id,
        "recorded_at": now_utc(),
        "kind": run.kind,
        "state": run.state,
        "run": json.dumps(run.facts, sort_keys=True),
    }
    lake.write(lambda cursor: insert(cursor, "training_runs", [row]))


def list_runs(lake: Lake) -> list[TrainingRun]:
    """Every run as it was last said to stand, the newest first."""
    rows = lake.rows(
        "select * from training_runs qualify row_number() over ("
        "partition by run_id order by recorded_at desc, state) = 1 "
        "order by recorded_at desc, run_id"
    )
    return [_run(row) for row in rows]


def find_run(lake: Lake, run_id: str) -> TrainingRun:
    """Raises UnknownName."""
    for run in list_runs(lake):
        if run.run_id == run_id:
            return run
    raise UnknownName(f"there is no training run {run_id!r}", remedy="see: ragdiag tune list")


def _run(row: Mapping[str, Any]) -> TrainingRun:
    return TrainingRun(
        row["run_id"], row["kind"], row["state"], json.loads(row["run"]), row["recorded_at"]
    )
