"""Cards: one number of the week each, with its interval, its change and its past."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import streamlit as st

from ragdiag.drift.week import WeekReport
from ragdiag.drift.weekly import WEEKLY_METRICS, Change
from ragdiag.ui import terms, words

SPARK_WEEKS = 12


def row(report: WeekReport, metrics: Sequence[str]) -> None:
    """The metrics side by side."""
    for column, name in zip(st.columns(len(metrics)), metrics, strict=True):
        with column:
            _card(report, name)


def _card(report: WeekReport, name: str) -> None:
    metric, change = WEEKLY_METRICS[name], report.change(name)
    past = [found.value for _, found in report.series[name][-SPARK_WEEKS:]]
    undefined = math.isnan(change.difference.value)
    st.metric(
        metric.label,
        words.number(change.after.value, metric.unit),
        delta=None if undefined else words.signed(change.difference.value, metric.unit),
        delta_color=_colour(change),
        delta_arrow=_arrow(change.difference.value),
        delta_description=None if undefined else terms.MOVEMENTS[change.movement],
        border=True,
        height="stretch",
        chart_data=past if len(past) > 1 else None,
        help=(
            f"This week {words.with_interval(change.after, metric.unit)}. "
            f"Before: {words.with_interval(change.before, metric.unit)}. "
            f"Change {words.change(change.difference, metric.unit)}. "
            f"The line shows the last {len(past)} weeks."
        ),
    )
    st.caption(words.interval_only(change.after, metric.unit))


def _arrow(difference: float) -> Literal["up", "down", "off"]:
    if math.isnan(difference) or difference == 0:
        return "off"
    return "up" if difference > 0 else "down"


def _colour(change: Change) -> Literal["green", "red", "gray"]:
    """Only what is more than chance is coloured."""
    if change.movement == "better":
        return "green"
    return "red" if change.movement == "worse" else "gray"
