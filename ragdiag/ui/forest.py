"""One measure's difference between two versions, by kind of question, with n and its correction."""

from __future__ import annotations

import math

import streamlit as st

from ragdiag.records import Estimate
from ragdiag.ui import charts, palette, tables, terms, words
from ragdiag.ui.safe import literal
from ragdiag.workflows.comparing.compare import Comparison
from ragdiag.workflows.comparing.compare_slices import SliceComparison
from ragdiag.workflows.comparing.compare_words import ALPHA, family_words

MOST = 24
"""Slices drawn: the largest of those that are tested. The interval of two questions would set the
scale for all the others."""


def show_slices(compared: Comparison, measure: str) -> None:
    """A forest plot over all questions and every slice, and the table with n and p beneath."""
    known = [one for one in compared.slices if one.metrics[measure].difference.n]
    if not known:
        st.caption("These questions are of one kind only.")
        return
    tested = [one for one in known if one.tested]
    largest = sorted(tested, key=lambda one: -one.n)[:MOST]
    drawn = [one for one in known if one in largest]
    overall = compared.metrics[measure].paired.difference
    rows = [("all questions", overall), *((_name(one), _change(one, measure)) for one in drawn)]
    charts.show(
        charts.points(
            [f"{name} (n = {found.n})" for name, found in rows],
            [("B − A", [_drawn(found) for _, found in rows], palette.BLUE)],
            "share" if measure == "correct" else "score",
            f"difference B − A in {measure} (right of 0: B is better)",
            zero=True,
        ),
        key="slices",
        alt=f"Difference B − A in {measure} by kind of question, with its 95 % interval",
    )
    if len(known) > len(drawn):
        st.caption(f"{len(known) - len(drawn)} smaller slices are in the table only.")
    with st.expander("The slices as a table"):
        tables.show(slice_table(known, measure), key="slice_table")
    st.caption(literal(f"{family_words(compared)} Intervals of slices: Student's t by groups."))


def slice_table(slices: list[SliceComparison], measure: str) -> dict[str, list[str]]:
    """One row a slice; what "no difference" could hide stands beside its p."""
    unit = "share" if measure == "correct" else "score"
    found = [one.metrics[measure] for one in slices]
    return {
        "Kind": [terms.SLICES[one.kind] for one in slices],
        "Slice": [one.name for one in slices],
        "n": [f"{change.difference.n:,}" for change in found],
        "A": [words.number(change.a, unit) for change in found],
        "B": [words.number(change.b, unit) for change in found],
        "B − A (95 % interval)": [words.change(change.difference, unit) for change in found],
        "p (Holm)": [
            words.p_value(change.p_holm) + (" *" if change.p_holm < ALPHA else "")
            for change in found
        ],
        "Detectable": [
            words.detectable(one.minimum_detectable, one.difference.value, unit) for one in found
        ],
    }


def _name(one: SliceComparison) -> str:
    return f"{terms.SLICES[one.kind]}: {one.name}"


def _change(one: SliceComparison, measure: str) -> Estimate:
    return one.metrics[measure].difference


def _drawn(found: Estimate) -> Estimate:
    """Without whiskers where there is no interval."""
    if math.isnan(found.low):
        return Estimate(found.value, found.value, found.value, found.n, found.reason)
    return found
