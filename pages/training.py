"""Training: which tuned version may be tried, how runs go, and what they changed."""

import streamlit as st

from ragdiag.training.run_folder import run_folder
from ragdiag.ui import (
    charts,
    frame,
    training_actions,
    training_curve,
    training_effects,
    training_numbers,
    training_runs,
)

view = frame.begin(
    "Training",
    "Decide whether a tuned version should be tried on users, and what to train next.",
    needs="questions",
)

runs = training_runs.known(view)
training_runs.decide(runs)
training_actions.watch(view)

if runs:
    ids = [run.run_id for run in runs]
    box, _ = st.columns([1, 2])
    with box:
        chosen = st.selectbox(
            "Run",
            ids,
            index=ids.index(training_runs.most_urgent(runs).run_id),
            key="run",
            bind="query-params",
        )
    run = runs[ids.index(chosen)]
    training_runs.standing(run)
    facts = run.facts
    if facts is not None:
        training_numbers.draw(facts)
        if facts.measured:
            st.subheader("Before and after", anchor=False)
            metrics = training_effects.metrics_of(facts.measured)
            metric = metrics[0]
            if len(metrics) > 1:
                metric = st.segmented_control(
                    "Metric", metrics, default=metrics[0], required=True, key="training_metric"
                )
            rows = training_effects.effects(facts.measured, metric)
            charts.show(
                training_effects.effect_chart(rows, metric),
                key="effects_chart",
                alt=f"{metric} before and after, by set and topic, with 95 % intervals",
            )
            training_effects.effect_table(rows)
            st.caption("Each row compares the same questions before and after; p: paired t test.")
            training_effects.moved_tables(view, facts)
    st.subheader("Learning curve", anchor=False)
    training_curve.draw(run_folder(view.workspace, chosen), running=run.standing == "running")
    if facts is not None:
        training_numbers.origin(facts)
    st.subheader("Every run", anchor=False)
    training_runs.table(runs)
else:
    st.info("Nothing has been trained yet. A run learns from judged questions and logged failures.")

st.subheader("Start a run", anchor=False)
training_actions.start(view)
