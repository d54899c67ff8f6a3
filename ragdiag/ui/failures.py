"""The failed requests of Triage: sorted, a page at a time, each leading to its story."""

from __future__ import annotations

from typing import Any

import streamlit as st

from ragdiag.privacy.hiding import shown_text
from ragdiag.stats.intervals import rate_bounds_with_unknown
from ragdiag.store import queries
from ragdiag.store.queries import ORDERS, Filters, Row
from ragdiag.ui import filters, grader_note, links, tables, terms, words
from ragdiag.ui.cached import fetch
from ragdiag.ui.safe import literal
from ragdiag.ui.view import View

# The columns fill the page; what a sort order goes by is shown with that order.
BY_SCORE = ("worst answer first", "nearest miss first")
SLOWEST = "slowest first"


def show_failures(view: View, chosen: Filters, counts: Row) -> None:
    """Of the graded answers of ``counts`` (queries.graded_counts) those that failed and meet
    ``chosen``."""
    graded = counts["graded"]
    total = sum(row["n"] for row in fetch(view, queries.failure_counts, chosen, "verdict"))
    st.subheader(f"{words.count(total, 'failed request')}", anchor=False)
    st.caption(
        f"of {words.count(graded, 'graded answer')} with these filters. "
        f"Click a row to open the request's story. {literal(grader_note.note(view))}"
    )
    show_ungraded(counts)
    sort_box, page_box, _ = st.columns([2, 1, 3])
    with sort_box:
        order = filters.one_of("Sort by", list(ORDERS), "sort", "order")
    with page_box:
        offset = tables.page_offset(total)
    rows = fetch(view, queries.failures, chosen, order=order, limit=tables.PAGE_ROWS, offset=offset)
    names = fetch(view, queries.version_names)
    split = fetch(view, queries.second_levels, tuple(row["request_id"] for row in rows))
    closer = [split.get(row["request_id"], "") for row in rows]
    if not rows:
        st.info("No failed request meets these filters. Set verdict or cause back to “all”.")
        return
    opened = tables.chosen_row(
        {
            "Asked (UTC)": [row["asked_at"] for row in rows],
            "Question": [shown_text(row["question"]) for row in rows],
            "Verdict": [terms.spoken(row["verdict"]) for row in rows],
            "Cause": [terms.spoken(row["cause"]) for row in rows],
            "Closer": [name or "–" for name in closer],
            "What would help": [
                terms.would_help(row["verdict"], row["cause"], name)
                for row, name in zip(rows, closer, strict=True)
            ],
            "Who mends it": [terms.owner(row["verdict"]) for row in rows],
            "Topic": [row["topic"] for row in rows],
            "Version": [names.get(row["version_id"], row["version_id"]) for row in rows],
            "Right with": [terms.FIXES.get(row["verified_fix"], "–") for row in rows],
            **({"Token F1": [row["score"] for row in rows]} if order in BY_SCORE else {}),
            **({"Total": [row["total_ms"] for row in rows]} if order == SLOWEST else {}),
        },
        key=f"failures-{offset}-{order}-{chosen}",
        config=_columns(),
    )
    if opened is not None:
        links.open_request(rows[opened]["request_id"])


def show_ungraded(counts: Row) -> None:
    """What the rate of right answers may be, by weight, where some requests are not graded."""
    ungraded = counts["n"] - counts["graded"]
    if ungraded:
        graded = counts["meant_graded"]
        unknown = max(counts["meant"] - graded, 0.0)
        bounds = rate_bounds_with_unknown(counts["meant_correct"], graded, unknown)
        st.caption(words.ungraded_bounds(ungraded, bounds))


def _columns() -> dict[str, Any]:
    text, numeric = st.column_config.TextColumn, st.column_config.NumberColumn
    return {
        "Asked (UTC)": st.column_config.DatetimeColumn(format="D MMM, HH:mm", width=92),
        "Question": text(width=190),
        "Verdict": text(width=84),
        "Cause": text(width=88),
        "Closer": text(
            width=88, help="What a test has shown beyond the cause; a dash: none decides"
        ),
        "What would help": text(
            width=140,
            help="The lever of the closer test, else of the cause; a dash: no test names one",
        ),
        "Who mends it": text(width=98),
        "Topic": text(width=70),
        "Version": text(width=80),
        "Right with": text(
            width=78, help="The first replayed context with a right answer; a dash: not diagnosed"
        ),
        "Token F1": numeric(format="%.2f", width=62),
        "Total": numeric(format="%.0f ms", width=62),
    }
