"""Where requests fail: the share of graded answers that do, by topic, version, week or kind of
question."""

from __future__ import annotations

import streamlit as st

from ragdiag.metrics.question_slices import SliceKind
from ragdiag.records import Estimate
from ragdiag.stats.weighted import weighted_rate
from ragdiag.store.queries import Filters, Row, version_names
from ragdiag.store.trends import Segments, failing_segments
from ragdiag.ui import charts, palette, terms, words
from ragdiag.ui.cached import fetch
from ragdiag.ui.charts import Bar
from ragdiag.ui.view import View
from ragdiag.workflows.comparing.sliced_questions import failing_slices

SEGMENTS: dict[str, Segments] = {"topic": "topic", "version": "version_id", "week": "week"}
KINDS: dict[str, SliceKind] = {
    "length": "length",
    "answerable": "answerable",
    "gold passages": "golds",
    "rare words": "words",
}
MOST = 12
"""Bars in the chart."""


def show_segments(view: View, filters: Filters) -> None:
    """A choice of segments, and a bar with its interval for each, the worst first; weeks and kinds
    of questions in their order. Verdict and cause of ``filters`` say which failures are counted."""
    st.subheader("Where: how often it fails", anchor=False)
    by = st.segmented_control(
        "By", [*SEGMENTS, *KINDS], default="topic", key="by", bind="query-params", required=True
    )
    if by in KINDS:
        rows = fetch(view, failing_slices, filters, KINDS[by])
        if not rows:
            st.info("None of these requests names a question that this can be told of.")
            return
        _draw(rows, [row["name"] for row in rows], filters)
        st.caption("Of requests that name a question of the workspace.")
        return
    rows = fetch(view, failing_segments, filters, SEGMENTS[by or "topic"])
    if by == "week":
        drawn = rows[-MOST:]
        names = [words.week(row["name"]) for row in drawn]
    else:
        drawn = sorted(rows, key=lambda row: -_share(row).value)[:MOST]
        known = fetch(view, version_names)
        names = [known.get(row["name"], row["name"]) or "no topic" for row in drawn]
    _draw(drawn, names, filters)
    if left_out := len(rows) - len(drawn):
        which = "earlier ones" if by == "week" else "which fail less often"
        st.caption(f"{left_out} more, {which}, are not drawn.")


def _share(row: Row) -> Estimate:
    return weighted_rate(row["failed"], row["graded"])


def _draw(rows: list[Row], names: list[str], filters: Filters) -> None:
    bars = [
        Bar(
            name=name,
            share=_share(row),
            colour=palette.BLUE,
            text=f"{row['failed'].plain:,} of {words.count(row['graded'].plain, 'graded answer')}",
        )
        for row, name in zip(rows, names, strict=True)
    ]
    kinds = [terms.spoken(name) for name in (filters.verdict, filters.cause) if name]
    failures = f"failures ({', '.join(kinds)})" if kinds else "failures"
    charts.show(
        charts.share_bars(bars, f"{failures} as a share of graded answers, 95 % interval"),
        key="segments",
        alt="; ".join(f"{bar.name}: {bar.text}" for bar in bars),
    )
