"""Training: which tuned version may be tried, how runs go, and what they changed."""

import streamlit as st

from ragdiag.training.run_folder import run_folder
from ragdiag.ui import (
    filters,
    frame,
    stale,
    training_curve,
    training_effects,
    training_runs,
    training_start,
    training_watch,
)
from ragdiag.ui.training_numbers import draw_numbers, draw_origin

view = frame.begin(
    "Training",
    "Decide whether a tuned version should be tried on users, and what to train next.",
    needs="questions",
)

runs = training_runs.known(view)
training_runs.decide(runs)
training_watch.watch(view)

if runs:
    ids = [run.run_id for run in runs]
    box, _ = st.columns([1, 2])
    with box:
        urgent = ids.index(training_runs.most_urgent(runs).run_id)
        chosen = filters.one_of("Run", ids, "run", "run", urgent)
    run = runs[ids.index(chosen)]
    training_runs.standing(run)
    facts = run.facts
    measured = () if facts is None else facts.measured
    if facts is not None:
        draw_numbers(facts)
    effects_box, curve_box = st.columns([3, 2], gap="large") if measured else (None, st.container())
    with curve_box:
        st.subheader("Learning curve", anchor=False)
        training_curve.draw(run_folder(view.workspace, chosen), running=run.standing == "running")
    if facts is not None and effects_box is not None:
        with effects_box:
            st.subheader("Before and after", anchor=False)
            rows = training_effects.draw_chart(measured)
        training_effects.effect_table(rows)
        st.caption(
            "Each row compares the same questions before and after; p: paired t test, by document, "
            "Holm over the rows shown. Detectable: what would have shown with 80 % power; a dash "
            "where none can be named."
        )
        training_effects.moved_tables(view, facts)
    if facts is not None:
        draw_origin(facts)
    st.subheader("Every run", anchor=False)
    training_runs.table(runs)
else:
    stale.tell_unknown("run", (), "run", "there is none at all")
    st.info("Nothing has been trained yet. A run learns from judged questions and logged failures.")

st.subheader("Start a run", anchor=False)
training_start.start(view)
