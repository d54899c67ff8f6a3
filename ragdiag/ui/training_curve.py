"""The learning curve of a run: loss and dev score by step, drawn anew while the run goes on."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go
import streamlit as st
from plotly.subplots import make_subplots

from ragdiag.training.curves import Point, read_curve
from ragdiag.training.loop import CURVE, duration
from ragdiag.training.run_folder import RunFolder
from ragdiag.ui import charts
from ragdiag.ui.palette import BLUE, GOLD, GREEN, GREY

POLL_S = 2.0


def draw(folder: RunFolder, *, running: bool) -> None:
    if running:
        _poll(folder)
    else:
        _show(read_curve(folder.root / CURVE))


@st.fragment(run_every=POLL_S)
def _poll(folder: RunFolder) -> None:
    if not folder.is_running:
        st.rerun()
        return
    _show(read_curve(folder.root / CURVE))


def _show(curve: Sequence[Point]) -> None:
    if not curve:
        st.caption("No step has been taken yet.")
        return
    scored = [point for point in curve if point.score is not None]
    charts.show(
        curve_chart(curve, scored),
        key="learning_curve",
        alt="Training loss and dev score by step",
    )
    last = curve[-1]
    best = max(scored, key=lambda point: point.score or 0.0)
    where = "before the first step" if best.step == 0 else f"after step {best.step:,}"
    st.caption(
        f"{last.step:,} steps in {duration(last.wall_s)}. The best dev score, {best.score:.3f}, "
        f"came {where}; the weights kept are those. "
        "Dashed: the score before training."
    )


def curve_chart(curve: Sequence[Point], scored: Sequence[Point]) -> go.Figure:
    """Dev score above, loss below, over the same steps."""
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.08)
    lost = [point for point in curve if point.loss is not None]
    drawn = (
        ("dev score", scored, [point.score for point in scored], GREEN, "lines+markers"),
        ("loss", lost, [point.loss for point in lost], BLUE, "lines"),
    )
    for row, (name, points, values, colour, mode) in enumerate(drawn, start=1):
        figure.add_scatter(
            x=[point.step for point in points],
            y=values,
            name=name,
            mode=mode,
            line={"color": colour, "width": 2},
            marker={"color": colour, "size": 7},
            hovertemplate=f"step %{{x:,}}: %{{y:.4f}}<extra>{name}</extra>",
            showlegend=False,
            row=row,
            col=1,
        )
        figure.update_yaxes(title=name, row=row, col=1)
    if scored:
        best = max(scored, key=lambda point: point.score or 0.0)
        figure.add_scatter(
            x=[best.step],
            y=[best.score],
            mode="markers",
            marker={"symbol": "circle-open", "size": 15, "color": GOLD, "line": {"width": 3}},
            hoverinfo="skip",
            showlegend=False,
            row=1,
            col=1,
        )
        figure.add_hline(
            y=scored[0].score, line={"color": GREY, "width": 1.2, "dash": "dash"}, row=1, col=1
        )
    figure.update_xaxes(title="step", row=2, col=1)
    return charts.laid_out(figure, height=360)
