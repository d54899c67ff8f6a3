"""A run in a few numbers: its gate, its gain, what of it was overfitting, what it cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from ragdiag.training.costs import took_text, used_text
from ragdiag.training.loop import duration
from ragdiag.training.runs import Cost, Data, Overfit, RunFacts
from ragdiag.ui import words
from ragdiag.ui.safe import literal
from ragdiag.ui.training_effects import SETS
from ragdiag.ui.training_runs import change_text

FITS = {"none": "no overfitting", "overfit": "overfitting", "unknown": "too few to tell"}


def draw_numbers(facts: RunFacts) -> None:
    """What is not known yet is left out."""
    shown: list[tuple[str, str, str]] = []
    if facts.gate is not None:
        shown.append(("Gate", facts.gate.decision, "; ".join(facts.gate.reasons)))
    if facts.measured:
        first, name = facts.measured[0].changes[0], SETS[facts.measured[0].name]
        gained = words.signed(first.difference.value, "score")
        shown.append((f"{first.metric}, {name}", gained, change_text(first)))
    shown += [(f"Overfitting, {SETS[one.unseen]}", *_overfit(one)) for one in facts.overfit]
    if facts.cost is not None:
        shown.append(("Took", duration(facts.cost.wall_s), _cost(facts.cost)))
    if shown:
        for column, (label, value, note) in zip(st.columns(len(shown)), shown, strict=True):
            with column:
                st.metric(label, value, border=True)
                st.caption(literal(note))


def draw_origin(facts: RunFacts) -> None:
    """What was trained, from what, on what."""
    lines = [
        f"Tunes {facts.version} on split {facts.split} by {facts.method}, from {facts.base.name} "
        f"(SHA-256 {facts.base.sha256[:8]}…)."
    ]
    if facts.data is not None:
        lines.append(_data(facts.data))
    if facts.options:
        lines.append(f"Options: {_options(facts.options)}.")
    st.caption(literal(" ".join(lines)))


def _overfit(fit: Overfit) -> tuple[str, str]:
    compared = f"gain on {SETS[fit.learned]} less that on {SETS[fit.unseen]}"
    value = words.signed(fit.drop.value, "score") if fit.drop.value == fit.drop.value else "–"
    return value, f"{FITS[fit.verdict]}; {compared}: {words.change(fit.drop, 'score')}"


def _cost(cost: Cost) -> str:
    return f"{took_text(cost)}; {used_text(cost)}"


def _data(data: Data) -> str:
    sources = ", ".join(f"{n:,} {name}" for name, n in _largest_first(data.by_source))
    held = ", ".join(f"{n:,} {SETS[name]}" for name, n in _largest_first(data.held_out))
    told = f"{words.count(data.pairs, 'pair')}{f' ({sources})' if sources else ''}"
    refused = ", ".join(f"{n:,} {reason}" for reason, n in _largest_first(data.refused))
    more = f"{f'; held out: {held}' if held else ''}{f'; refused: {refused}' if refused else ''}"
    return f"Data {data.data_hash[:8]}…: {told}{more}."


def _options(options: Mapping[str, Any]) -> str:
    """What was left open (None, an empty name) is not told; groups stand in brackets."""
    told = []
    for name, value in sorted(options.items()):
        if isinstance(value, Mapping):
            told.append(f"{name} ({_options(value)})")
        elif value is not None and value != "":
            told.append(f"{name} {'yes' if value is True else 'no' if value is False else value}")
    return ", ".join(told)


def _largest_first(counts: Mapping[Any, int]) -> list[tuple[Any, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))
