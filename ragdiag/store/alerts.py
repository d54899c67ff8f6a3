"""Alerts: one open alert of a kind about a subject at a time, appended like all that changes."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, replace
from typing import Any

import duckdb

from ragdiag.identifiers import time_ordered_id
from ragdiag.records import Alert, Severity
from ragdiag.store.lake import Lake
from ragdiag.store.results import plain_json
from ragdiag.store.tables import insert
from ragdiag.store.times import now_utc, to_aware_utc, to_naive_utc

_FIELDS = ", ".join(Alert.__dataclass_fields__)


def raise_alert(
    lake: Lake,
    *,
    kind: str,
    subject: str,
    severity: Severity,
    message: str,
    runbook: str,
    details: Mapping[str, Any] | None = None,
) -> Alert:
    """Open an alert, or bring the one up to date that is open: it keeps its id and its time."""
    fresh = Alert(
        alert_id=time_ordered_id(),
        raised_at=to_aware_utc(now_utc()),
        kind=kind,
        severity=severity,
        subject=subject,
        message=message,
        runbook=runbook,
        details=plain_json(details or {}),
    )

    def put(cursor: duckdb.DuckDBPyConnection) -> Alert:
        known = [one for one in _open(cursor) if (one.kind, one.subject) == (kind, subject)]
        if not known:
            _append(cursor, fresh)
            return fresh
        kept = replace(fresh, alert_id=known[0].alert_id, raised_at=known[0].raised_at)
        if kept != known[0]:
            _append(cursor, kept)
        return kept

    return lake.write(put)


def resolve_alerts(lake: Lake, *, subject: str, kinds: Collection[str]) -> int:
    """Close the open alerts of these kinds about a subject; returns how many there were."""
    if not any(one.subject == subject and one.kind in kinds for one in open_alerts(lake)):
        return 0

    def close(cursor: duckdb.DuckDBPyConnection) -> int:
        found = [one for one in _open(cursor) if one.subject == subject and one.kind in kinds]
        now = to_aware_utc(now_utc())
        for one in found:
            _append(cursor, replace(one, resolved_at=now))
        return len(found)

    return lake.write(close)


def open_alerts(lake: Lake) -> list[Alert]:
    """What has been raised and not resolved: the critical first, then the newest."""
    return lake.read(_open)


def _open(cursor: duckdb.DuckDBPyConnection) -> list[Alert]:
    rows = cursor.execute(
        f"select {_FIELDS} from latest_alerts where resolved_at is null "
        "order by severity, raised_at desc, alert_id"  # "critical" comes before "warning"
    ).fetchall()
    found = [Alert(*row) for row in rows]
    return [
        replace(one, raised_at=to_aware_utc(one.raised_at), details=json.loads(str(one.details)))
        for one in found
    ]


def _append(cursor: duckdb.DuckDBPyConnection, alert: Alert) -> None:
    row = {
        **asdict(alert),
        "raised_at": to_naive_utc(alert.raised_at),
        "resolved_at": alert.resolved_at and to_naive_utc(alert.resolved_at),
        "details": json.dumps(dict(alert.details)),
        "noted_at": now_utc(),
    }
    insert(cursor, "alerts", [row])
