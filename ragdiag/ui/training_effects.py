"""What a run changed: before and after by set and slice, and which questions moved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import plotly.graph_objects as go
import streamlit as st

from ragdiag.privacy.hiding import shown_text
from ragdiag.store.asked import last_asked
from ragdiag.training.runs import Change, Measured, Moved, RunFacts, holm_of
from ragdiag.ui import charts, links, tables, words
from ragdiag.ui.cached import fetch
from ragdiag.ui.palette import BLUE, GREY
from ragdiag.ui.view import View

SETS: Mapping[str, str] = {
    "test": "test questions",
    "dev": "dev questions",
    "temporal": "asked later",
    "synthetic": "made questions",
    "regressions": "regression questions",
}
APART = 0.17
"""How far before lies above after, of a row's height."""


@dataclass(frozen=True, slots=True)
class Effect:
    """One row: a set, or a slice of it."""

    label: str
    is_slice: bool
    change: Change


def draw_chart(measured: Sequence[Measured]) -> list[Effect]:
    """The chart of one metric, which is chosen where there are several; returns its rows."""
    metrics = metrics_of(measured)
    metric = metrics[0]
    if len(metrics) > 1:
        metric = st.segmented_control(
            "Metric", metrics, default=metric, required=True, key="training_metric"
        )
    rows = effects(measured, metric)
    charts.show(
        effect_chart(rows, metric),
        key="effects_chart",
        alt=f"{metric} before and after, by set and topic, with 95 % intervals",
    )
    return rows


def metrics_of(measured: Sequence[Measured]) -> list[str]:
    """In the order in which the run tells them, the primary one first."""
    return list(dict.fromkeys(one.metric for found in measured for one in found.changes))


def effects(measured: Sequence[Measured], metric: str) -> list[Effect]:
    """Every set that has the metric, each followed by its slices."""
    found = []
    for one in measured:
        groups = [(SETS[one.name], False, one.changes)]
        groups += [(topic or "no topic", True, c) for topic, c in sorted(one.slices.items())]
        found += [
            Effect(label, is_slice, change)
            for label, is_slice, changes in groups
            for change in changes
            if change.metric == metric
        ]
    return found


def effect_chart(rows: Sequence[Effect], metric: str) -> go.Figure:
    """A hollow dot before and a full one after, each with its interval, joined by a line."""
    at = list(range(len(rows), 0, -1))
    figure = go.Figure()
    for place, row in zip(at, rows, strict=True):
        figure.add_scatter(
            x=[row.change.before.value, row.change.after.value],
            y=[place + APART, place - APART],
            mode="lines",
            line={"color": GREY, "width": 1.2},
            hoverinfo="skip",
            showlegend=False,
        )
    sides = (
        ("before", [row.change.before for row in rows], APART, GREY, "circle-open"),
        ("after", [row.change.after for row in rows], -APART, BLUE, "circle"),
    )
    for name, values, shift, colour, symbol in sides:
        figure.add_scatter(
            x=[one.value for one in values],
            y=[place + shift for place in at],
            name=name,
            mode="markers",
            marker={
                "color": colour,
                "size": 10,
                "symbol": symbol,
                "line": {"width": 2, "color": colour},
            },
            error_x=charts.error_bars(values, 1, colour),
            customdata=[words.with_interval(one, "score") for one in values],
            hovertemplate="%{customdata}<extra>" + name + "</extra>",
        )
    labels = [escape(row.label) if row.is_slice else f"<b>{escape(row.label)}</b>" for row in rows]
    figure.update_yaxes(
        tickvals=at, ticktext=labels, ticksuffix="  ", range=[0.4, len(rows) + 0.6], showgrid=False
    )
    figure.update_xaxes(title=metric, zeroline=False)
    return charts.laid_out(figure, height=120 + 44 * len(rows))


def effect_table(rows: Sequence[Effect]) -> None:
    """The same rows in numbers, with the paired difference and, since "no difference" may hide
    one, the least that would have shown."""
    tables.show(
        {
            "Questions": [f"– {row.label}" if row.is_slice else row.label for row in rows],
            "Before (95 % interval, n)": [
                words.with_interval(row.change.before, "score") for row in rows
            ],
            "After (95 % interval, n)": [
                words.with_interval(row.change.after, "score") for row in rows
            ],
            "After − before": [words.change(row.change.difference, "score") for row in rows],
            "p (Holm)": [words.p_value(p) for p in holm_of([row.change for row in rows])],
            "Detectable": [_detectable(row.change) for row in rows],
        },
        key="effects",
    )


def _detectable(change: Change) -> str:
    if change.detectable is not None:
        return words.size(change.detectable, "score")
    return f"– ({change.detectable_reason})" if change.detectable_reason else "–"


def moved_tables(view: View, facts: RunFacts) -> None:
    """Questions gained, then those lost, each with a request that shows it. One beneath the other:
    side by side a question would be cut after a few words."""
    version = None if facts.candidate is None else facts.candidate.version_id
    _sides(view, facts, version, (("Gained", facts.gained, "gained"), ("Lost", facts.lost, "lost")))
    for one in facts.measured:
        if one.gained or one.lost:
            gained, lost = f"{SETS[one.name].capitalize()} gained", f"{SETS[one.name]} lost"
            keys = f"{one.name}_gained", f"{one.name}_lost"
            sides = ((gained, one.gained, keys[0]), (lost.capitalize(), one.lost, keys[1]))
            _sides(view, facts, version, sides)


def _sides(
    view: View,
    facts: RunFacts,
    version: str | None,
    sides: Sequence[tuple[str, Sequence[Moved], str]],
) -> None:
    by = facts.moved_by
    for title, moved, key in sides:
        heading, pager = st.columns([5, 1], vertical_alignment="bottom")
        with heading:
            st.subheader(f"{title}: {words.count(len(moved), 'question')}", anchor=False)
        if not moved:
            st.caption("None.")
            continue
        with pager:
            offset = tables.page_offset(len(moved), f"{key}_page")
        _moved_table(view, moved[offset : offset + tables.PAGE_ROWS], by, version, key)


def _moved_table(
    view: View, moved: Sequence[Moved], by: str, version_id: str | None, key: str
) -> None:
    asked = fetch(view, last_asked, tuple(one.question_id for one in moved), version_id)
    found = [asked.get(one.question_id) for one in moved]
    tables.show(
        {
            "Question": [
                shown_text(question.text) if question else one.question_id
                for one, question in zip(moved, found, strict=True)
            ],
            f"{by.capitalize()} before": [_shown(one.before) for one in moved],
            f"{by.capitalize()} after": [_shown(one.after) for one in moved],
            "Story": [
                links.request_url(one.request_id) if one and one.request_id else None
                for one in found
            ],
        },
        key=key,
        height="auto",
        config={
            "Question": st.column_config.TextColumn(width=700),
            "Story": st.column_config.LinkColumn(display_text="open", width=60),
        },
    )


def _shown(value: float | None) -> str:
    return "not found" if value is None else f"{value:g}"
