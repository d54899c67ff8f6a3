"""Charts: explicit colours that read on light and dark, intervals always drawn, no rainbow.

Streamlit's own plotly theme sets fonts, grid and background for light and dark; what carries
meaning is coloured here, from the colour-blind-safe set of Okabe & Ito (2008), shifted to a
middle lightness. A verdict, a cause and a version keep their colour on every page.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from html import escape

import plotly.graph_objects as go
import streamlit as st

from ragdiag.records import Estimate
from ragdiag.store.queries import NOT_DIAGNOSED
from ragdiag.ui import words

GREY = "#8b919b"
BLUE = "#2f86c8"
ALARM = "#d0563f"
CORRECT = "#1a9a77"

SERIES = (BLUE, "#d98a1f", "#1a9a77", "#b672a8", "#c8553d", "#6aa9d8", "#9a8b1e", GREY)

FAULT_COLOURS: Mapping[str, str] = {
    "corpus": "#1a9a77",
    "corpus_gap": "#1a9a77",
    "retrieval": BLUE,
    "recall_miss": BLUE,
    "fusion_loss": "#62a8dd",
    "rerank_loss": "#3f6fa3",
    "beyond_logged_depth": "#7c9cb8",
    "packing": "#9a8b1e",
    "distraction": "#b672a8",
    "generator": "#d98a1f",
    "in_context": "#d98a1f",
    "label_suspect": "#c8553d",
    "undetermined": GREY,
    "gold_unknown": GREY,
    NOT_DIAGNOSED: "#b3b8bf",
}


@dataclass(frozen=True, slots=True)
class Bar:
    """One horizontal bar: a share of something, with its interval and its count."""

    name: str
    share: Estimate
    colour: str
    text: str


@dataclass(frozen=True, slots=True)
class Line:
    """One series over weeks."""

    name: str
    points: Sequence[tuple[date, Estimate]]
    colour: str


def colour_of(name: str, names: Sequence[str]) -> str:
    """The colour of a version or topic: by its place among all of them, so that filters on a
    page do not repaint what stays."""
    return SERIES[names.index(name) % len(SERIES)] if name in names else GREY


def show(figure: go.Figure, key: str, alt: str) -> None:
    """Draw a chart over the width of its column, without plotly's tool bar."""
    st.plotly_chart(figure, width="stretch", key=key, config={"displayModeBar": False}, alt=alt)


def share_bars(bars: Sequence[Bar], axis: str) -> go.Figure:
    """Horizontal bars with intervals, in the given order from the top."""
    shown = list(reversed(bars))
    figure = go.Figure(
        go.Bar(
            x=[100 * bar.share.value for bar in shown],
            y=[escape(bar.name) for bar in shown],
            orientation="h",
            marker_color=[bar.colour for bar in shown],
            error_x=_error_bars([bar.share for bar in shown], 100),
            customdata=[escape(bar.text) for bar in shown],
            hovertemplate="%{y}: %{customdata}<extra></extra>",
        )
    )
    figure.update_xaxes(title=axis, rangemode="tozero", ticksuffix=" %")
    figure.update_yaxes(ticksuffix="  ")
    return _laid_out(figure, height=70 + 34 * len(bars))


def paired_bars(
    names: Sequence[str],
    before: Sequence[Estimate],
    after: Sequence[Estimate],
    colours: Sequence[str],
    labels: tuple[str, str],
    axis: str,
) -> go.Figure:
    """Two bars a row: the earlier one pale, the later one in the row's colour."""
    rows = [escape(name) for name in reversed(names)]
    figure = go.Figure()
    for label, values, opacity in ((labels[0], before, 0.35), (labels[1], after, 1.0)):
        shown = list(reversed(values))
        figure.add_bar(
            x=[100 * found.value for found in shown],
            y=rows,
            name=escape(label),
            orientation="h",
            marker={"color": list(reversed(colours)), "opacity": opacity},
            error_x=_error_bars(shown, 100),
            customdata=[words.with_interval(found, "share") for found in shown],
            hovertemplate="%{y}: %{customdata}<extra>" + escape(label) + "</extra>",
            showlegend=False,
        )
    figure.update_layout(barmode="group", bargap=0.35, bargroupgap=0.05)
    figure.update_xaxes(title=axis, rangemode="tozero", ticksuffix=" %")
    figure.update_yaxes(ticksuffix="  ")
    return _laid_out(figure, height=80 + 52 * len(rows))


def bands(
    lines: Sequence[Line],
    unit: str,
    axis: str,
    *,
    target: tuple[float, str] | None = None,
    height: int = 300,
    legend: bool = True,
) -> go.Figure:
    """Weekly lines with their 95 % bands; ``target`` is a level and its name."""
    scale = 100 if unit == "share" else 1
    figure = go.Figure()
    for line in lines:
        _add_band(figure, line, scale)
    for line in lines:
        figure.add_scatter(
            x=[week for week, _ in line.points],
            y=[scale * found.value for _, found in line.points],
            name=escape(line.name),
            mode="lines+markers",
            line={"color": line.colour, "width": 2},
            marker={"size": 5},
            customdata=[words.with_interval(found, unit) for _, found in line.points],
            hovertemplate="%{customdata}<extra>" + escape(line.name) + "</extra>",
            showlegend=legend and len(lines) > 1,
        )
    if target is not None:
        figure.add_hline(
            y=target[0],
            line={"color": ALARM, "width": 1.5, "dash": "dash"},
            annotation={"text": escape(target[1]), "font": {"color": ALARM}},
            annotation_position="top left",
        )
    figure.update_xaxes(title="week starting", tickformat="%-d %b", hoverformat="week of %-d %b %Y")
    figure.update_yaxes(title=axis, rangemode="tozero", ticksuffix=" %" if unit == "share" else "")
    if unit in ("share", "score"):
        highest = max(
            (scale * _top(found) for line in lines for _, found in line.points), default=1
        )
        figure.update_yaxes(range=[0, min(1.12 * highest, 1.02 * scale) or scale])
    figure.update_layout(hovermode="x unified")
    return _laid_out(figure, height=height)


def points(
    rows: Sequence[str],
    series: Sequence[tuple[str, Sequence[Estimate], str]],
    unit: str,
    axis: str,
    *,
    target: tuple[float, str] | None = None,
    log: bool = False,
) -> go.Figure:
    """A dot with its interval for each row and series; rows run from the top."""
    figure = go.Figure()
    shown = [escape(row) for row in reversed(rows)]
    for name, values, colour in series:
        drawn = list(reversed(values))
        figure.add_scatter(
            x=[found.value for found in drawn],
            y=shown,
            name=escape(name),
            mode="markers",
            marker={"color": colour, "size": 10},
            error_x=_error_bars(drawn, 1, colour),
            customdata=[words.with_interval(found, unit) for found in drawn],
            hovertemplate="%{y}: %{customdata}<extra>" + escape(name) + "</extra>",
            showlegend=len(series) > 1,
        )
    if target is not None:
        figure.add_vline(
            x=math.log10(target[0]) if log else target[0],
            line={"color": ALARM, "width": 1.5, "dash": "dash"},
            annotation={"text": escape(target[1]), "font": {"color": ALARM}},
            annotation_position="top",
        )
    figure.update_xaxes(title=axis, type="log" if log else "linear", zeroline=not log)
    figure.update_yaxes(ticksuffix="  ")
    return _laid_out(figure, height=110 + 34 * len(rows))


def _add_band(figure: go.Figure, line: Line, scale: float) -> None:
    known = [(week, found) for week, found in line.points if not math.isnan(found.low)]
    if len(known) < 2:
        return
    weeks = [week for week, _ in known]
    figure.add_scatter(
        x=weeks + weeks[::-1],
        y=[scale * found.high for _, found in known]
        + [scale * found.low for _, found in reversed(known)],
        fill="toself",
        fillcolor=_faded(line.colour),
        line={"width": 0},
        hoverinfo="skip",
        showlegend=False,
    )


def _error_bars(values: Sequence[Estimate], scale: float, colour: str = GREY) -> dict[str, object]:
    return {
        "type": "data",
        "symmetric": False,
        "array": [scale * (found.high - found.value) for found in values],
        "arrayminus": [scale * (found.value - found.low) for found in values],
        "color": colour,
        "thickness": 1.4,
        "width": 4,
    }


def _laid_out(figure: go.Figure, height: int) -> go.Figure:
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 16, "t": 30, "b": 8},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0},
    )
    figure.update_xaxes(automargin=True)
    figure.update_yaxes(automargin=True)
    return figure


def _faded(colour: str) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.16)"


def _top(found: Estimate) -> float:
    return found.value if math.isnan(found.high) else found.high
