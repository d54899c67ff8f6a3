"""Which passage moved one answer: in words, as bars in prompt order, and a way to find out."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from html import escape
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from ragdiag.diagnosis.influence import FAILED, answers_needed
from ragdiag.diagnosis.influence_words import EXACT, sentences
from ragdiag.generator_spec import GeneratorSpec
from ragdiag.records import Estimate
from ragdiag.store.influences import latest_influences
from ragdiag.store.results import find_served_version
from ragdiag.ui import charts, jobs, running, words
from ragdiag.ui.cached import fetch
from ragdiag.ui.commands import influence_command
from ragdiag.ui.palette import BLUE, GREEN, GREY, RED
from ragdiag.ui.safe import literal
from ragdiag.ui.story import Story
from ragdiag.ui.view import View

ROLES: Mapping[str, tuple[str, str]] = {
    "carried": ("carried the answer", GREEN),
    "supports": ("speaks for the answer", GREEN),
    "misled": ("misled the answer", RED),
    "opposes": ("speaks against it", RED),
    "changed": ("changed the wording", BLUE),
    "none": ("no influence", GREY),
    "unsure": ("cannot be told", GREY),
}
"""Role → what it is called, and its colour."""

METHODS = {
    "leave-one-out": (
        "Leave one passage out",
        "P(correct) with the passage − without it",
        "Share of the answer's words that change without the passage",
    ),
    "ablation": ("Random parts of the context", "log-odds that the passage adds to the answer", ""),
}
"""Method → its name, the axis of its bars, and the axis where no gold answer is known."""


def draw(view: View, story: Story) -> None:
    """What was found, the newest of each method; then the command that runs, or a way to run it."""
    found = fetch(view, latest_influences, story.request.request_id)
    for method, one in found.items():
        _finding(method, one, titled=len(found) > 1)
    job = jobs.influence_job(view.workspace)
    if job is not None and job.progress.state == "running":
        running.follow(partial(jobs.influence_job, view.workspace))
        return
    if job is not None and job.progress.state in ("failed", "cancelled"):
        running.outcome(job, "influence_dismiss", read_only=view.read_only)
    _start(view, story, set(found))


def bars(found: Mapping[str, Any]) -> tuple[go.Figure, str]:
    """A bar for each part of the context, the first of the prompt on top, and what they show.

    Where no gold answer tells what is right, the bars are 1 − token F1, without intervals; so are
    those of a generator that repeats itself.
    """
    rows = list(reversed(found["parts"]))
    values = [Estimate.from_json(row["influence"]) for row in rows]
    _, axis, instead = METHODS[found["method"]]
    if instead and all(value.reason for value in values):
        axis = instead
        values = [_changed(row, value) for row, value in zip(rows, values, strict=True)]
    figure = go.Figure(
        go.Bar(
            x=[None if value.reason else value.value for value in values],
            y=[_label(row) for row in rows],
            orientation="h",
            marker_color=[ROLES[row["role"]][1] for row in rows],
            error_x=None if found.get("deterministic") else charts.error_bars(values, 1),
            customdata=[value.reason or _told(found, value) for value in values],
            hovertemplate="%{y}: %{customdata}<extra></extra>",
        )
    )
    figure.add_vline(x=0, line={"color": GREY, "width": 1.5})
    figure.update_xaxes(title=axis, zeroline=False)
    figure.update_yaxes(ticksuffix="  ")
    return charts.laid_out(figure, height=90 + 30 * len(rows)), axis


def _changed(row: Mapping[str, Any], influence: Estimate) -> Estimate:
    """Share of the answer's words that change without the passage."""
    if row["answer_f1"] is None:
        return influence if influence.reason == FAILED else Estimate.undefined("no stored text")
    change = 1 - row["answer_f1"]
    return Estimate(change, change, change, 1)


def _told(found: Mapping[str, Any], value: Estimate) -> str:
    if found.get("deterministic"):
        return f"{words.number(value.value, 'score')} ({EXACT})"
    return words.with_interval(value, "score")


def _label(row: Mapping[str, Any]) -> str:
    told = [ROLES[row["role"]][0], *(["cited"] if row["cited"] else [])]
    if row["role"] == "changed" and row["answer_f1"] is not None:
        told[0] += f" (token F1 {row['answer_f1']:.2f})"
    return escape(f"{row['rank']}  {row['part_id']}: {', '.join(told)}")


def _finding(method: str, found: Mapping[str, Any], *, titled: bool) -> None:
    if titled:
        st.markdown(f"**{METHODS[method][0]}**")
    st.markdown("\n".join(f"- {literal(sentence)}" for sentence in sentences(found)))
    if found["parts"]:
        figure, axis = bars(found)
        charts.show(figure, key=f"influence_{method}", alt=f"Influence by passage: {axis}")


def _start(view: View, story: Story, found: set[str]) -> None:
    spec = find_spec(view, story)
    if spec is None or not story.request.context:
        if not found:
            st.caption(
                "Nobody can ask again without a passage: the generator is not known to this "
                "workspace, or the prompt was empty."
            )
        return
    offered = ["leave-one-out"]
    if spec.kind == "transformers" and story.request.status != "error":
        offered.append("ablation")
    for method in offered:
        if method not in found:
            _offer(view, story, method, asks=spec.kind == "openai")


def find_spec(view: View, story: Story) -> GeneratorSpec | None:
    """The generator that can be asked again; None for another service's."""
    spec = fetch(view, find_served_version, story.request.version_id).spec
    return None if spec is None else spec.generator


def _offer(view: View, story: Story, method: str, *, asks: bool) -> None:
    """A button with its price, or on a read-only dashboard the command."""
    request = story.request
    arguments = [request.request_id, *(["--method", method] if method == "ablation" else [])]
    arguments += ["--yes"] if asks else []
    if method == "ablation":
        follows = "The answer's probability is followed under random parts of its context."
    else:
        fewest, most = answers_needed(len({hit.passage_id for hit in request.context}))
        price = "" if request.cost_usd is None else f", about {most * request.cost_usd:.4f} US$"
        follows = (
            f"The question is answered again without each passage in turn: {fewest} answers, or "
            f"up to {most} where the generator does not repeat itself{price if asks else ''}."
        )
    st.caption(literal(follows))
    if view.read_only:
        st.code(influence_command(arguments), language="bash")
    elif st.button(METHODS[method][0], key=f"influence_start_{method}"):
        jobs.start_influence(view.workspace, arguments)
        st.rerun()
