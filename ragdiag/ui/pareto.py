"""A sweep of index settings drawn: what each finds, against what it costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import plotly.graph_objects as go

from ragdiag.retrieval.ann.tuning import Trial, pareto
from ragdiag.ui import words
from ragdiag.ui.charts import laid_out
from ragdiag.ui.palette import GOLD, GREY, RED, colour_of
from ragdiag.workflows.indexing.tune import describe_setting

KINDS = ("hnsw", "ivf_pq", "flat", "opq", "hnsw_sq8", "rabitq", "flat_sq8")
LARGEST = 26.0
"""Of a marker, in pixels; its area goes with the bytes a vector."""


def pareto_chart(
    tuning: Mapping[str, Any], trials: Sequence[Trial], chosen: Trial | None
) -> go.Figure:
    """Recall with its interval against p95, by kind; what another setting beats in everything is
    pale and has no interval."""
    front = pareto(trials)
    most = max(trial.bytes_per_vector for trial in trials)
    figure = go.Figure()
    for kind in sorted({trial.spec.kind for trial in trials}):
        for best in (False, True):
            drawn = [t for t in trials if t.spec.kind == kind and (t in front) == best]
            _add_trials(figure, kind, drawn, most, best=best)
    if chosen is not None:
        figure.add_scatter(
            x=[chosen.p95_ms.value],
            y=[chosen.recall.value],
            mode="markers",
            name="chosen",
            marker={
                "symbol": "circle-open",
                "size": LARGEST + 8,
                "color": GOLD,
                "line": {"width": 3},
            },
            hoverinfo="skip",
        )
    figure.add_hline(
        y=tuning["target"],
        line={"color": RED, "width": 1.5, "dash": "dash"},
        annotation={"text": f"target {tuning['target']:g}", "font": {"color": RED}},
        annotation_position="bottom right",
    )
    figure.update_xaxes(title="p95 of one search, ms (logarithmic)", type="log", dtick="D2")
    figure.update_yaxes(title=f"recall@{tuning['k']}")
    figure.update_layout(legend={"itemsizing": "constant"})
    return laid_out(figure, height=400)


def cost(trial: Trial) -> str:
    """Recall, p95 and bytes of a trial in words."""
    recall, p95 = words.with_interval(trial.recall, "score"), words.number(trial.p95_ms.value, "ms")
    return f"{recall}, p95 {p95}, {trial.bytes_per_vector:,.0f} bytes a vector"


def _add_trials(
    figure: go.Figure, kind: str, trials: Sequence[Trial], most: float, *, best: bool
) -> None:
    colour = colour_of(kind, KINDS)
    recalls = [trial.recall for trial in trials]
    figure.add_scatter(
        x=[trial.p95_ms.value for trial in trials],
        y=[recall.value for recall in recalls],
        mode="markers",
        name=kind,
        legendgroup=kind,
        showlegend=best or not trials,
        marker={
            "color": colour,
            "opacity": 1.0 if best else 0.3,
            "size": [max(LARGEST * (t.bytes_per_vector / most) ** 0.5, 5.0) for t in trials],
            "line": {"width": 0},
        },
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [recall.high - recall.value for recall in recalls],
            "arrayminus": [recall.value - recall.low for recall in recalls],
            "color": GREY,
            "thickness": 1.2,
            "width": 3,
            "visible": best,
        },
        customdata=[escape(f"{describe_setting(trial.spec)}: {cost(trial)}") for trial in trials],
        hovertemplate="%{customdata}<extra></extra>",
    )
