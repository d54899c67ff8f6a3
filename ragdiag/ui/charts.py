"""Bars and dots, each with its interval; every chart gets its layout here.

Streamlit's own plotly theme sets fonts, grid and background for light and dark; what carries
meaning is coloured from the palette.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import plotly.graph_objects as go
import streamlit as st

from ragdiag.records import LATENCY_STAGES, Estimate
from ragdiag.ui import words
from ragdiag.ui.palette import BLUE, GREY, RED


@dataclass(frozen=True, slots=True)
class Bar:
    """One horizontal bar: a share of something, with its interval and its count."""

    name: str
    share: Estimate
    colour: str
    text: str


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
            error_x=error_bars([bar.share for bar in shown], 100),
            customdata=[escape(bar.text) for bar in shown],
            hovertemplate="%{y}: %{customdata}<extra></extra>",
        )
    )
    figure.update_xaxes(title=axis, rangemode="tozero", ticksuffix=" %")
    figure.update_yaxes(ticksuffix="  ")
    return laid_out(figure, height=70 + 28 * len(bars))


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
            error_x=error_bars(shown, 100),
            customdata=[words.with_interval(found, "share") for found in shown],
            hovertemplate="%{y}: %{customdata}<extra>" + escape(label) + "</extra>",
            showlegend=False,
        )
    figure.update_layout(barmode="group", bargap=0.35, bargroupgap=0.05)
    figure.update_xaxes(title=axis, rangemode="tozero", ticksuffix=" %")
    figure.update_yaxes(ticksuffix="  ")
    return laid_out(figure, height=80 + 40 * len(rows))


def waterfall(steps: Sequence[Bar], rest: Sequence[Bar], axis: str) -> go.Figure:
    """What each of ``steps`` adds to the ones above it, then the ``rest`` as bars of their own."""
    figure = go.Figure()
    start = 0.0
    for bar in (*steps, *rest):
        base = start if bar in steps else 0.0
        figure.add_bar(
            x=[100 * bar.share.value],
            base=[100 * base],
            y=[escape(bar.name)],
            orientation="h",
            marker_color=bar.colour,
            text=[words.number(bar.share.value, "share")],
            textposition="outside",
            cliponaxis=False,
            hovertemplate=f"%{{y}}: {escape(bar.text)}<extra></extra>",
            showlegend=False,
        )
        if bar in steps:
            start += bar.share.value
    figure.update_layout(bargap=0.3)
    figure.update_xaxes(title=axis, range=[0, 108], dtick=25, ticksuffix=" %")
    figure.update_yaxes(ticksuffix="  ", autorange="reversed")
    return laid_out(figure, height=80 + 32 * (len(steps) + len(rest)))


def points(
    rows: Sequence[str],
    series: Sequence[tuple[str, Sequence[Estimate], str]],
    unit: str,
    axis: str,
    *,
    target: tuple[float, str] | None = None,
    log: bool = False,
    zero: bool = False,
) -> go.Figure:
    """A dot with its interval for each row and series; rows run from the top. ``zero`` draws the
    line of no difference."""
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
            error_x=error_bars(drawn, 1, colour),
            customdata=[words.with_interval(found, unit) for found in drawn],
            hovertemplate="%{y}: %{customdata}<extra>" + escape(name) + "</extra>",
            showlegend=len(series) > 1,
        )
    if target is not None:
        _mark_level(figure, target, log)
    if zero:
        figure.add_vline(x=0, line={"color": GREY, "width": 1.5})
    figure.update_xaxes(title=axis, zeroline=False)
    if log:
        figure.update_xaxes(type="log", dtick=1)  # a tick for each power of ten
    figure.update_yaxes(ticksuffix="  ")
    return laid_out(figure, height=110 + 34 * len(rows))


def stage_times(latency_ms: Mapping[str, float]) -> go.Figure:
    """One request's stages as bars, the total last."""
    stages = [stage for stage in reversed(LATENCY_STAGES) if stage in latency_ms]
    figure = go.Figure(
        go.Bar(
            x=[latency_ms[stage] for stage in stages],
            y=stages,
            orientation="h",
            marker_color=[GREY if stage == "total" else BLUE for stage in stages],
            text=[words.number(latency_ms[stage], "ms") for stage in stages],
            textposition="auto",
            hovertemplate="%{y}: %{text}<extra></extra>",
        )
    )
    figure.update_xaxes(title="milliseconds", rangemode="tozero")
    figure.update_yaxes(ticksuffix="  ")
    return laid_out(figure, height=90 + 26 * len(stages))


def _mark_level(figure: go.Figure, target: tuple[float, str], log: bool) -> None:
    """A vertical line at a level. On a logarithmic axis plotly places shapes by value and
    annotations by exponent, so they are added apart."""
    line = {"color": RED, "width": 1.5, "dash": "dash"}
    figure.add_shape(type="line", x0=target[0], x1=target[0], y0=0, y1=1, yref="paper", line=line)
    figure.add_annotation(
        x=math.log10(target[0]) if log else target[0],
        y=1,
        yref="paper",
        yanchor="bottom",
        text=escape(target[1]),
        font={"color": RED},
        showarrow=False,
    )


def error_bars(values: Sequence[Estimate], scale: float, colour: str = GREY) -> dict[str, object]:
    """The intervals of ``values``, as far as plotly's axis is scaled."""
    return {
        "type": "data",
        "symmetric": False,
        "array": [scale * (found.high - found.value) for found in values],
        "arrayminus": [scale * (found.value - found.low) for found in values],
        "color": colour,
        "thickness": 1.4,
        "width": 4,
    }


def laid_out(figure: go.Figure, height: int) -> go.Figure:
    """Transparent, with little margin and the legend on top."""
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
