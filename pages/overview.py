"""Overview: this week against last, the worst thing first."""

import streamlit as st

from ragdiag.drift.week import week_report
from ragdiag.store.queries import Filters
from ragdiag.ui import (
    cards,
    charts,
    filters,
    frame,
    grader_note,
    headline,
    links,
    palette,
    prescription,
    tables,
    terms,
    words,
)
from ragdiag.ui import changes as table_of
from ragdiag.ui.cached import fetch
from ragdiag.ui.faults import meaning_list
from ragdiag.ui.safe import literal

view = frame.begin("Overview", "Decide what needs attention this week, and who should look at it.")

left, middle, _ = st.columns([1, 1, 2])
with left:
    kind = filters.traffic(view, "overview_")
with middle:
    monday = filters.week(view, kind, "overview_")
report = fetch(view, week_report, Filters(traffic=kind), monday)
this = f"Week of {words.week(monday)}"
last = "no earlier week" if report.previous is None else f"week of {words.week(report.previous)}"

told = headline.headlines(report.changes, report.growth, report.mix)
got_worse = any(change.movement == "worse" for change in report.changes)
if not told:
    st.info(literal(headline.nothing_changed(report.changes)))
    filters.offer_graded(view, kind, "overview_")
elif got_worse:
    st.error(literal(told[0]))
else:
    st.success(literal(told[0]))
if told[1:]:
    st.markdown("\n".join(f"- {literal(sentence)}" for sentence in told[1:]))
st.page_link(
    links.TRIAGE,
    label="Open this week's failed requests in Triage →",
    query_params={"traffic": kind, "week": monday.isoformat()},
)

st.subheader("Answers and speed", anchor=False)
cards.row(report, ("correct", "no_answer", "MRR@10", "p95"))
st.caption(literal(f"{terms.CORRECT} {grader_note.note(view)}"))
if report.ungraded:
    st.caption(words.ungraded_bounds(report.ungraded, report.correct_bounds))
st.subheader("What users did", anchor=False)
cards.row(report, ("click_rate", "task_success", "thumbs_up"))
st.caption(f"{this} against {last}. What moved is coloured. {terms.READ_TOGETHER}")

st.subheader("Why answers failed", anchor=False)
if report.faults:
    shown = report.faults[:10]
    charts.show(
        charts.paired_bars(
            [terms.spoken(f.name) for f in shown],
            [f.before for f in shown],
            [f.after for f in shown],
            [palette.FAULT_COLOURS[f.name] for f in shown],
            (f"Earlier: {last}", this),
            "share of graded answers",
        ),
        key="faults",
        alt="Share of graded answers that failed, by fault, this week and last",
    )
    st.caption(f"Strong: w{this[1:]}. Pale: {last}. Whiskers: 95 % intervals.")
    meaning_list([f.name for f in shown])
else:
    st.info(headline.nothing_failed(report.changes))

prescription.show_next_steps(view)

st.subheader("All measures", anchor=False)
tables.show(table_of.columns(report.changes, "This week", "Before"), key="measures")
st.caption("In brackets: 95 % interval and n, the number of requests, answers or ratings.")
