"""Which stage loses the gold, over the requests that a page shows, right answers too."""

from __future__ import annotations

import streamlit as st

from ragdiag.diagnosis.stage_recall import worst_stage
from ragdiag.store.queries import Filters, inventory
from ragdiag.ui import tables, terms, words
from ragdiag.ui.cached import fetch
from ragdiag.ui.view import View
from ragdiag.workflows.diagnosing.stage_recall import recent_stage_recall

MOST = 1_000
"""Requests that are looked at, the most recent ones."""


def show_stage_recall(view: View, filters: Filters) -> None:
    """A row for every stage that is stored; nothing where no gold passage is known."""
    stages = fetch(view, recent_stage_recall, filters, MOST)
    if not stages:
        return
    st.subheader("Stages: how much gold each keeps", anchor=False)
    worst = worst_stage(stages)
    if worst is not None:
        st.markdown(
            f"Most gold is lost on the way into: {terms.STAGES[worst.stage].lower()}, "
            f"{words.with_interval(worst.lost, 'share')}."
        )
    tables.show(
        {
            "Stage": [terms.STAGES[one.stage] for one in stages],
            "Gold passages kept": [words.with_interval(one.recall, "share") for one in stages],
            "Lost here": [words.with_interval(one.lost, "share") for one in stages],
            "Passages at most": [one.most for one in stages],
        },
        key="stages",
    )
    sampled = fetch(view, inventory)["sampled"]
    st.caption(
        f"Of the {MOST:,} most recent requests with known gold that did not fail, right or wrong: "
        "the share of their gold passages in each list as it was logged, and the share that the "
        "list before held and this one does not. In brackets: 95 % interval and n, the number of "
        "requests."
        + (" The log is sampled: shares are of what was logged, unweighed." if sampled else "")
    )
