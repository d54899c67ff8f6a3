"""Failures by verdict or cause: bars, what each name means, and what is still to diagnose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import streamlit as st

from ragdiag.records import Weighed
from ragdiag.stats.weighted import weighted_rate
from ragdiag.store.queries import NOT_DIAGNOSED, Filters, Row, failure_counts, version_names
from ragdiag.ui import charts, palette, terms, words
from ragdiag.ui.cached import fetch
from ragdiag.ui.charts import Bar
from ragdiag.ui.commands import diagnose_command
from ragdiag.ui.safe import draw
from ragdiag.ui.view import View


def fault_bars(
    rows: Sequence[Row], failed: int, meanings: Mapping[str, str], *, key: str, owners: bool
) -> None:
    """Share of failures by name, each with its count, its meaning and (verdicts) who mends it."""
    whole = sum((row["weighed"] for row in rows), Weighed.of(0))
    bars = [
        Bar(
            name=terms.spoken(row["name"]),
            share=weighted_rate(row["weighed"], whole),
            colour=palette.FAULT_COLOURS.get(row["name"], palette.GREY),
            text=f"{row['n']:,} of {failed:,}: {meanings.get(row['name'], '')}",
        )
        for row in rows
    ]
    charts.show(
        charts.share_bars(bars, f"share of failed requests (n = {failed:,})"),
        key=key,
        alt="; ".join(f"{bar.name} {bar.text}" for bar in bars),
    )
    _legend(
        [
            (
                row["name"],
                f"{row['n']:,}",
                meanings.get(row["name"], ""),
                terms.owner(row["name"]) if owners else "",
            )
            for row in rows
        ]
    )


def meaning_list(names: Sequence[str]) -> None:
    """What each fault of a mixed list of causes and verdicts means, and who mends it."""
    known = dict.fromkeys(names)
    _legend(
        [
            (name, "", terms.CAUSES.get(name) or terms.VERDICTS.get(name, ""), terms.mender(name))
            for name in known
        ]
    )


def _legend(rows: Sequence[tuple[str, str, str, str]]) -> None:
    """Name with its colour, count, meaning, and who mends it; empty columns collapse."""
    cell = "padding:.12rem .7rem .12rem 0;vertical-align:top"
    lines = [
        f"<tr><td style='{cell};white-space:nowrap'><span style='display:inline-block;width:.7rem;"
        f"height:.7rem;border-radius:.15rem;margin-right:.4rem;background:"
        f"{palette.FAULT_COLOURS.get(name, palette.GREY)}'></span>{escape(terms.spoken(name))}</td>"
        f"<td style='{cell};text-align:right'>{count}</td>"
        f"<td style='{cell};opacity:.8'>{escape(meaning)}</td>"
        f"<td style='{cell};white-space:nowrap'>{'→ ' + escape(mender) if mender else ''}</td></tr>"
        for name, count, meaning, mender in rows
    ]
    draw(f"<table style='font-size:.85rem;border-collapse:collapse'>{''.join(lines)}</table>")


def undiagnosed_notice(view: View, scope: Filters, kind: str, ungraded: int = 0) -> None:
    """How many failures wait for a diagnosis, and the commands that diagnose them."""
    waiting = Filters(
        traffic=scope.traffic,
        version_id=scope.version_id,
        topic=scope.topic,
        week=scope.week,
        verdict=NOT_DIAGNOSED,
    )
    rows = fetch(view, failure_counts, waiting, "version_id")
    total = sum(row["n"] for row in rows)
    if not total and not ungraded:
        return
    affected = [row["name"] for row in rows] or list(fetch(view, version_names))
    if total:
        st.warning(f"{words.count(total, 'failed request')} not diagnosed yet. To diagnose:")
    else:
        st.caption("To grade and diagnose them:")
    commands = [diagnose_command(view, version_id, kind) for version_id in affected]
    st.code("\n".join(commands), language="bash")
