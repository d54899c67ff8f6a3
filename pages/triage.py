"""Triage: the failed requests, by who can mend them."""

from dataclasses import replace

import streamlit as st

from ragdiag.privacy.hiding import shown_text
from ragdiag.store import queries
from ragdiag.store.queries import ORDERS, Filters
from ragdiag.ui import filters, frame, grader_note, links, tables, trust, words
from ragdiag.ui.cached import fetch
from ragdiag.ui.faults import fault_bars, undiagnosed_notice
from ragdiag.ui.headroom import show_headroom
from ragdiag.ui.safe import literal
from ragdiag.ui.segments import show_segments

# The columns fill the page; what a sort order goes by is shown with that order.
BY_SCORE = ("worst answer first", "nearest miss first")
SLOWEST = "slowest first"

view = frame.begin(
    "Triage", "Decide who should mend what: the retriever, the generator, the corpus or the label."
)

with st.container():
    boxes = st.columns(7)
    with boxes[0]:
        kind = filters.traffic(view)
    with boxes[1]:
        week = filters.any_week(view, kind)
    with boxes[2]:
        version = filters.version(view)
    with boxes[3]:
        topic = filters.topic(view, kind)
    with boxes[4]:
        verdict = filters.choice("Verdict", "verdict", list(queries.FAILURE_VERDICTS))
    with boxes[5]:
        cause = filters.choice("Cause", "cause", list(queries.FAILURE_CAUSES))
    with boxes[6]:
        second_level = filters.choice("Closer", "cause2", list(words.SECOND_LEVELS))

scope = Filters(traffic=kind, version_id=version, topic=topic, week=week)
chosen = replace(scope, verdict=verdict, cause=cause, second_level=second_level)
counts = fetch(view, queries.graded_counts, scope)
by_verdict = fetch(view, queries.failure_counts, scope, "verdict")
by_cause = fetch(view, queries.failure_counts, scope, "cause")

if not counts["graded"]:
    st.info(
        f"None of these {words.count(counts['n'], 'request')} has been graded: grading needs gold "
        "answers and a diagnosis."
        if counts["n"]
        else "No request meets these filters. Set one of them back to “all”."
    )
    undiagnosed_notice(view, scope, kind, ungraded=counts["n"])
    st.stop()
if not counts["failed"]:
    st.success(f"All {words.count(counts['graded'], 'graded answer')} here are correct.")
    st.stop()

left, right = st.columns(2, gap="large")
with left:
    st.subheader("Verdict: what would mend it", anchor=False)
    fault_bars(by_verdict, counts["failed"], words.VERDICTS, key="verdicts", owners=True)
with right:
    st.subheader("Cause: where the gold passage was lost", anchor=False)
    fault_bars(by_cause, counts["failed"], words.CAUSES, key="causes", owners=False)
undiagnosed_notice(view, scope, kind)
trust.show_trust(view, scope)

show_headroom(view, scope)
show_segments(view, chosen)

total = sum(row["n"] for row in fetch(view, queries.failure_counts, chosen, "verdict"))
st.subheader(f"{words.count(total, 'failed request')}", anchor=False)
st.caption(
    f"of {words.count(counts['graded'], 'graded answer')} with these filters. "
    f"Click a row to open the request's story. {literal(grader_note.note(view))}"
)
sort_box, page_box, _ = st.columns([2, 1, 3])
with sort_box:
    order = st.selectbox("Sort by", list(ORDERS), key="sort", bind="query-params")
with page_box:
    offset = tables.page_offset(total)
rows = fetch(view, queries.failures, chosen, order=order, limit=tables.PAGE_ROWS, offset=offset)
names = fetch(view, queries.version_names)
split = fetch(view, queries.second_levels, tuple(row["request_id"] for row in rows))
closer = [split.get(row["request_id"], "") for row in rows]
if not rows:
    st.info("No failed request meets these filters. Set verdict or cause back to “all”.")
    st.stop()
text, numeric = st.column_config.TextColumn, st.column_config.NumberColumn
opened = tables.chosen_row(
    {
        "Asked (UTC)": [row["asked_at"] for row in rows],
        "Question": [shown_text(row["question"]) for row in rows],
        "Verdict": [words.spoken(row["verdict"]) for row in rows],
        "Cause": [words.spoken(row["cause"]) for row in rows],
        "Closer": [name or "–" for name in closer],
        "What would help": [words.SECOND_LEVELS.get(name, ("", "–"))[1] for name in closer],
        "Who mends it": [words.owner(row["verdict"]) for row in rows],
        "Topic": [row["topic"] for row in rows],
        "Version": [names.get(row["version_id"], row["version_id"]) for row in rows],
        "Right with": [words.FIXES.get(row["verified_fix"], "–") for row in rows],
        **({"Token F1": [row["score"] for row in rows]} if order in BY_SCORE else {}),
        **({"Total": [row["total_ms"] for row in rows]} if order == SLOWEST else {}),
    },
    key=f"failures-{offset}-{order}-{chosen}",
    config={
        "Asked (UTC)": st.column_config.DatetimeColumn(format="D MMM, HH:mm", width=92),
        "Question": text(width=190),
        "Verdict": text(width=84),
        "Cause": text(width=88),
        "Closer": text(width=88, help="What a test has shown beyond the cause"),
        "What would help": text(width=140),
        "Who mends it": text(width=98),
        "Topic": text(width=70),
        "Version": text(width=80),
        "Right with": text(width=78, help="The first replayed context with a right answer"),
        "Token F1": numeric(format="%.2f", width=62),
        "Total": numeric(format="%.0f ms", width=62),
    },
)
if opened is not None:
    links.open_request(rows[opened]["request_id"])
