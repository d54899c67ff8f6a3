"""Triage: the failed requests, by who can mend them."""

from dataclasses import replace

import streamlit as st

from ragdiag.store import queries
from ragdiag.store.queries import Filters
from ragdiag.ui import filters, frame, prescription, terms, trust, words
from ragdiag.ui.cached import fetch
from ragdiag.ui.contradictions import show_contradictions
from ragdiag.ui.failures import show_failures, show_ungraded
from ragdiag.ui.faults import fault_bars, undiagnosed_notice
from ragdiag.ui.headroom import show_headroom
from ragdiag.ui.segments import show_segments
from ragdiag.ui.stage_recall import show_stage_recall
from ragdiag.ui.training_failures import link_training

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
        second_level = filters.choice("Closer", "cause2", list(terms.SECOND_LEVELS))

scope = Filters(traffic=kind, version_id=version, topic=topic, week=week)
chosen = replace(scope, verdict=verdict, cause=cause, second_level=second_level)
counts = fetch(view, queries.graded_counts, scope)
by_verdict = fetch(view, queries.failure_counts, scope, "verdict")
by_cause = fetch(view, queries.failure_counts, scope, "cause")

if not counts["graded"]:
    st.info(
        f"{words.count(counts['n'], 'request')}, none of them graded: grading needs gold answers "
        "and a diagnosis."
        if counts["n"]
        else "No request meets these filters. Set one of them back to “all”."
    )
    filters.offer_graded(view, kind)
    undiagnosed_notice(view, scope, kind, ungraded=counts["n"])
    show_stage_recall(view, scope)
    st.stop()
if not counts["failed"]:
    st.success(f"All {words.count(counts['graded'], 'graded answer')} here are correct.")
    show_ungraded(counts)
    show_stage_recall(view, scope)
    st.stop()

left, right = st.columns(2, gap="large")
with left:
    st.subheader("Verdict: what would mend it", anchor=False)
    fault_bars(by_verdict, counts["failed"], terms.VERDICTS, key="verdicts", owners=True)
with right:
    st.subheader("Cause: where the gold passage was lost", anchor=False)
    fault_bars(by_cause, counts["failed"], terms.CAUSES, key="causes", owners=False)
undiagnosed_notice(view, scope, kind)
show_contradictions(view, scope)
trust.show_trust(view, scope)
show_headroom(view, scope)
prescription.show_levers(view, chosen)
link_training(sum(row["n"] for row in by_verdict if row["name"] == "retrieval"))
show_stage_recall(view, scope)
show_segments(view, chosen)

show_failures(view, chosen, counts)
