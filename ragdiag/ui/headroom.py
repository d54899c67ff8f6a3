"""What fixing retrieval would buy, on the failures that a page shows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping

import streamlit as st

from ragdiag.diagnosis.headroom import (
    Failure,
    headroom,
    headroom_by_slice,
    tell_headroom,
    without_gold,
)
from ragdiag.metrics.question_slices import SliceKind
from ragdiag.records import Estimate
from ragdiag.stats.intervals import wilson
from ragdiag.store.lake import Lake
from ragdiag.store.queries import Filters, Row, replayed_failures
from ragdiag.ui import charts, palette, tables, terms, words
from ragdiag.ui.cached import fetch
from ragdiag.ui.charts import Bar
from ragdiag.ui.safe import literal
from ragdiag.ui.view import View
from ragdiag.workflows.comparing.sliced_questions import load_slices

MOST = 5_000
"""Failures that are looked at, the most recent ones."""

MOST_TOPICS = 12

STEPS = {
    "s": ("a perfect order", palette.BLUE, "of what was found"),
    "g+": ("and nothing lost", "#62a8dd", "gold added to what was handed on"),
    "g": ("and nothing else", palette.PINK, "the gold passages alone"),
    "G+": ("and a stronger generator", palette.ORANGE, "on the gold passages"),
}
REST = {"no_fix": ("nothing tried helps", palette.GREY)}


def show_headroom(view: View, filters: Filters) -> None:
    """The sentence, the waterfall of what mends the failures, and the share by slice."""
    found = fetch(view, _measure, filters, MOST)
    if found["sentence"] is None:
        return
    st.subheader("Headroom: what perfect retrieval would buy", anchor=False)
    st.markdown(literal(found["sentence"]))
    fixes = found["fixes"]
    replayed = found["n"] - fixes[""]
    steps, rest = _bars(fixes, replayed)
    charts.show(
        charts.waterfall(steps, rest, f"share of replayed failures (n = {replayed:,})"),
        key="headroom",
        alt="; ".join(f"{bar.name} {bar.text}" for bar in (*steps, *rest)),
    )
    notes = [found["bounds"]] if found["bounds"] else []
    if fixes[""]:
        others = words.count(fixes[""], "failure")
        notes.append(f"Not replayed, or right when asked again: {others}.")
    if found["n"] == MOST:
        notes.append(f"The {MOST:,} most recent ones.")
    if notes:
        st.caption(literal(" ".join(notes)))
    with st.expander("Where perfect retrieval would help most"):
        tables.show(
            {
                "Slice": [f"{kind}: {name}" for kind, name, _ in found["slices"]],
                "Perfect retrieval would fix": [
                    words.with_interval(share, "share") for _, _, share in found["slices"]
                ],
            },
            key="headroom-slices",
        )


def _measure(lake: Lake, filters: Filters, most: int) -> Row:
    rows = replayed_failures(lake, filters, most)
    failures = [
        Failure.of(json.loads(row["evidence"]), row["topic"] or "", row["question_id"])
        for row in rows
    ]
    measured = headroom(failures)
    sentence = tell_headroom(measured)
    if sentence is None:  # before the slices, which read the whole corpus
        return {"sentence": None}
    bounds = measured["tau_bounds"]
    unknown = without_gold(failures)
    slices = [
        (terms.SLICES[kind], name, share)
        for kind, shares in headroom_by_slice(failures, load_slices(lake)).items()
        for name, share in _first(kind, shares)
    ]
    return {
        "n": len(failures),
        "sentence": sentence,
        "fixes": Counter(row["verified_fix"] or "" for row in rows),
        "slices": slices,
        "bounds": f"{words.count(unknown, 'failure')} had no answer with gold: with them, perfect "
        f"retrieval would fix {bounds.low:.0%} to {bounds.high:.0%}."
        if unknown
        else "",
    }


def _first(kind: SliceKind, shares: Mapping[str, Estimate]) -> list[tuple[str, Estimate]]:
    """The topics where it would help most; of other kinds every slice, in order."""
    if kind != "topic":
        return list(shares.items())
    return sorted(shares.items(), key=lambda item: -item[1].value)[:MOST_TOPICS]


def _bars(fixes: Counter[str], n: int) -> tuple[list[Bar], list[Bar]]:
    steps = [
        Bar(name, wilson(fixes[arm], n), colour, f"{fixes[arm]:,} of {n:,}: {meaning}")
        for arm, (name, colour, meaning) in STEPS.items()
        if fixes[arm] or arm != "G+"
    ]
    rest = [
        Bar(name, wilson(fixes[arm], n), colour, f"{fixes[arm]:,} of {n:,}")
        for arm, (name, colour) in REST.items()
        if fixes[arm]
    ]
    return steps, rest
