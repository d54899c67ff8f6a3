"""Weekly lines with their 95 % bands."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from html import escape

import plotly.graph_objects as go

from ragdiag.records import Estimate
from ragdiag.ui import words
from ragdiag.ui.charts import laid_out
from ragdiag.ui.palette import GREY, RED, faded

MOST_TICKS = 7


@dataclass(frozen=True, slots=True)
class Line:
    """One series over weeks."""

    name: str
    points: Sequence[tuple[date, Estimate]]
    colour: str


def bands(
    lines: Sequence[Line],
    unit: str,
    axis: str,
    *,
    target: tuple[float, str] | None = None,
    shaded: tuple[Sequence[date], str] | None = None,
    height: int = 300,
) -> go.Figure:
    """Weekly lines with their 95 % bands; ``target`` is a level and its name, ``shaded`` weeks
    and their name."""
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
            showlegend=len(lines) > 1,
        )
    if shaded is not None:
        figure.add_vrect(
            x0=min(shaded[0]) - timedelta(days=3),
            x1=max(shaded[0]) + timedelta(days=3),
            fillcolor=GREY,
            opacity=0.12,
            line_width=0,
            annotation={"text": shaded[1], "font": {"color": GREY, "size": 11}},
            annotation_position="outside top left",
        )
    if target is not None:
        figure.add_hline(
            y=target[0],
            line={"color": RED, "width": 1.5, "dash": "dash"},
            annotation={"text": escape(target[1]), "font": {"color": RED}},
            annotation_position="top left",
        )
    mondays = sorted({week for line in lines for week, _ in line.points})
    figure.update_xaxes(
        title="week starting",
        tickvals=mondays[:: max(math.ceil(len(mondays) / MOST_TICKS), 1)],
        tickformat="%-d %b",
        hoverformat="week of %-d %b %Y",
    )
    figure.update_yaxes(title=axis, rangemode="tozero", ticksuffix=" %" if unit == "share" else "")
    if unit in ("share", "score"):
        highest = max(
            (scale * _top(found) for line in lines for _, found in line.points), default=1
        )
        figure.update_yaxes(range=[0, min(1.12 * highest, 1.02 * scale) or scale])
    figure.update_layout(hovermode="x unified")
    return laid_out(figure, height=height)


def _add_band(figure: go.Figure, line: Line, scale: float) -> None:
    known = [(week, found) for week, found in line.points if not math.isnan(found.low)]
    if len(known) < 2:
        return
    weeks = [week for week, _ in known]
    figure.add_scatter(
        x=weeks + weeks[::-1],
        y=[scale * found.high for _, found in known]
        + [scale * found.low for _, found in reversed(known)],
        # Without a mode plotly marks every corner of a short band with a dot of its own colour.
        mode="lines",
        fill="toself",
        fillcolor=faded(line.colour),
        line={"width": 0},
        hoverinfo="skip",
        showlegend=False,
    )


def _top(found: Estimate) -> float:
    return found.value if math.isnan(found.high) else found.high
