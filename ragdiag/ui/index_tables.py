"""Indexes as tables: every index, the builds of one, and what they take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import streamlit as st

from ragdiag.records import Estimate
from ragdiag.ui import tables, words
from ragdiag.ui.index_health import STATUSES
from ragdiag.workflows.indexing.state import IndexState

_WHEN = st.column_config.DatetimeColumn(format="D MMM YYYY, HH:mm", width=130)


def every_index(states: Sequence[IndexState]) -> None:
    """One row an index: what serves which versions, and how it was found."""
    none = ["cannot be read" if state.fault else "none" for state in states]
    fresh = [state.looks.get("freshness") for state in states]
    tables.show(
        {
            "Serves": [", ".join(state.names) for state in states],
            "Build": [state.serving or said for state, said in zip(states, none, strict=True)],
            "Since (UTC)": [
                None
                if state.published is None
                else state.published.published_at.replace(tzinfo=None)
                for state in states
            ],
            "Last check": [STATUSES[state.status] for state in states],
            **{
                name.capitalize(): [None if look is None else look.measured[name] for look in fresh]
                for name in ("missing", "changed", "ghosts")
            },
            "Open alerts": [len(state.alerts) for state in states],
        },
        key="every_index",
        config={"Since (UTC)": _WHEN},
    )


def builds(state: IndexState) -> None:
    """The builds of one index, the newest first."""
    rows = state.builds
    tables.show(
        {
            "Build": [row["build_id"] for row in rows],
            "Serves": ["yes" if row["serves"] else "" for row in rows],
            "Passages": [row["passages"] for row in rows],
            "Kind": [row["kind"] or "no vectors" for row in rows],
            "Size": [words.megabytes(row["bytes"]) for row in rows],
            "Took": [f"{row['seconds']:,.1f}{words.NBSP}s" for row in rows],
            "Built (UTC)": [_utc(row["built_at"]) for row in rows],
            "Published (UTC)": [_utc(row["published_at"]) for row in rows],
            "Last check": [STATUSES[row["status"]] for row in rows],
            "Files": ["on disk" if row["on_disk"] else "gone" for row in rows],
        },
        key="builds",
        config={"Built (UTC)": _WHEN, "Published (UTC)": _WHEN},
    )


def takes(rows: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> None:
    """What builds were measured to take and give."""
    found = [row["measured"] for row in rows]
    tables.show(
        {
            "Version": [names.get(row["version_id"], row["version_id"]) for row in rows],
            "Build": [row["build_id"] for row in rows],
            "Vectors": [words.megabytes(one["vector_bytes"]) for one in found],
            "Words": [words.megabytes(one["lexical_bytes"]) for one in found],
            "Memory": [
                words.megabytes(1e6 * one["memory_mb"]) if one["memory_mb"] >= 1 else "–"
                for one in found
            ],
            "Questions a second": [round(one["questions_per_second"]) for one in found],
            "p95 (95 % interval, n)": [
                words.with_interval(Estimate.from_json(one["p95_ms"]), "ms") for one in found
            ],
            "Measured (UTC)": [row["measured_at"] for row in rows],
        },
        key="takes",
        config={"Measured (UTC)": _WHEN},
    )
    machines = sorted({one["machine"] for one in found})
    st.caption(
        f"Retrieval alone, one question at a time, on {', '.join(machines)}. Memory is what "
        "loading index and encoder adds to a process; – where it had loaded them before."
    )


def _utc(iso: str | None) -> datetime | None:
    return None if iso is None else datetime.fromisoformat(iso).replace(tzinfo=None)
