"""The log of deployments: rows are only added, and the last one says what holds."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import duckdb

from ragdiag.errors import InputError
from ragdiag.records import Deployment, DeploymentEvent, DeploymentKind
from ragdiag.store.lake import Lake
from ragdiag.store.results import plain_json
from ragdiag.store.times import now_utc, to_aware_utc

_STATE = tuple(Deployment.__dataclass_fields__)
_COLUMNS = ("number", "happened_at", "kind", *_STATE, "actor", "evidence")


def append_deployment(
    lake: Lake,
    kind: DeploymentKind,
    change: Callable[[Deployment | None], Deployment],
    *,
    actor: str,
    evidence: Mapping[str, Any],
    after: int | None = None,
) -> DeploymentEvent:
    """Add what ``change`` makes of the state that holds, read in the same transaction.

    ``after`` is the number of the event that the decision rests on: raises InputError where
    another one has come since. What ``change`` raises passes through, and nothing is added.
    """

    def append(cursor: duckdb.DuckDBPyConnection) -> DeploymentEvent:
        last = _last(cursor)
        number = 0 if last is None else last.number
        if after is not None and after != number:
            raise InputError(
                "the deployment has changed in the meantime", remedy="look again and decide anew"
            )
        event = DeploymentEvent(
            number=number + 1,
            happened_at=to_aware_utc(now_utc()),
            kind=kind,
            deployment=change(None if last is None else last.deployment),
            actor=actor,
            evidence=plain_json(evidence),
        )
        row = {
            **asdict(event),
            **asdict(event.deployment),
            "happened_at": event.happened_at.replace(tzinfo=None),
            "evidence": json.dumps(event.evidence),
        }
        marks = ", ".join(f"${name}" for name in _COLUMNS)
        cursor.execute(
            f"insert into deployments({', '.join(_COLUMNS)}) values ({marks})",
            {name: row[name] for name in _COLUMNS},
        )
        return event

    return lake.write(append)


def load_deployments(lake: Lake) -> list[DeploymentEvent]:
    """Every event, oldest first."""
    return [_read(row) for row in lake.rows("select * from deployments order by number")]


def current_deployment(lake: Lake) -> Deployment | None:
    """Who is answered by which version now; None before the first event."""
    last = lake.read(_last)
    return None if last is None else last.deployment


def _last(cursor: duckdb.DuckDBPyConnection) -> DeploymentEvent | None:
    found = cursor.execute(
        f"select {', '.join(_COLUMNS)} from deployments order by number desc limit 1"
    ).fetchall()
    return _read(dict(zip(_COLUMNS, found[0], strict=True))) if found else None


def _read(row: Mapping[str, Any]) -> DeploymentEvent:
    return DeploymentEvent(
        number=row["number"],
        happened_at=to_aware_utc(row["happened_at"]),
        kind=row["kind"],
        deployment=Deployment(**{name: row[name] for name in _STATE}),
        actor=row["actor"],
        evidence=json.loads(row["evidence"]),
    )
