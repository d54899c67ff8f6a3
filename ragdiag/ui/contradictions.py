"""The failures whose label is in doubt, because two accepted answers contradict each other."""

from __future__ import annotations

import streamlit as st

from ragdiag.store.asked import last_asked
from ragdiag.store.queries import Filters
from ragdiag.ui import tables, words
from ragdiag.ui.cached import fetch
from ragdiag.ui.view import View
from ragdiag.workflows.diagnosing.contradictions import contradicting_failures

MOST = 50
"""Questions in the table."""


def show_contradictions(view: View, filters: Filters) -> None:
    """A warning with the questions; nothing where no two accepted answers contradict each other."""
    rows = fetch(view, contradicting_failures, filters)
    if not rows:
        return
    failed = sum(row["failed"].plain for row in rows)
    st.warning(
        f"{words.count(len(rows), 'question')} with accepted answers that contradict each other "
        f"(yes and no, or other numbers). An answer counts as right by any of them; "
        f"{words.count(failed, 'failure')} here may be the label's. Correct the gold answers, "
        "import them again, then diagnose again."
    )
    shown = rows[:MOST]
    texts = fetch(view, last_asked, tuple(row["question_id"] for row in shown))
    with st.expander("Which questions"):
        tables.show(
            {
                "Question": [texts[row["question_id"]].text for row in shown],
                "One answer": [row["answers"][0] for row in shown],
                "Another": [row["answers"][1] for row in shown],
                "Failed": [row["failed"].plain for row in shown],
            },
            key="contradictions",
        )
        if len(rows) > MOST:
            st.caption(f"The first {MOST}; {len(rows) - MOST} more are not listed.")
