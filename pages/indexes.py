"""Indexes: what serves, whether it is fit to, and what would be better."""

import streamlit as st

from ragdiag.store.queries import version_names
from ragdiag.ui import (
    charts,
    filters,
    frame,
    index_actions,
    index_health,
    index_tables,
    pareto,
    words,
)
from ragdiag.ui.cached import fetch
from ragdiag.ui.commands import index_command
from ragdiag.ui.safe import literal
from ragdiag.workflows.indexing import state as index_state
from ragdiag.workflows.indexing.tune import describe_setting, trial_from_json

view = frame.begin(
    "Indexes",
    "Decide whether what serves is fit to serve, and whether another build or setting would be "
    "better.",
    needs="builds",
)

histories = index_state.read_histories(view.lake, view.workspace)
states = fetch(view, index_state.load_index_states, view.workspace, histories)
by_version = {name: state for state in states for name in state.names}
urgent = index_health.most_urgent(states).names[0]
box, _ = st.columns([1, 3])
with box:
    name = filters.one_of(
        "Version", list(by_version), "index_version", "version", list(by_version).index(urgent)
    )
state = by_version[name]
version = next(one for one in state.versions if one.name == name)

index_health.verdict(state)
index_health.alerts(state)
index_actions.draw(view, state)
if state.serving is not None:
    index_health.numbers(state)

st.subheader("What another setting would find and cost", anchor=False)
tuned = fetch(view, index_state.load_tuning, version)
if version.spec.embedder is None:
    st.caption("This version has no vector index, so there is no setting to choose.")
elif tuned is None:
    st.info("No settings have been tried. This tries them, over some minutes:")
    st.code(index_command("tune", name), language="bash")
else:
    at, tuning = tuned
    trials = [trial_from_json(row) for row in tuning["trials"]]
    chosen = None if tuning["chosen"] is None else trial_from_json(tuning["chosen"])
    if chosen is None:
        st.warning("No setting that was tried reaches the target.")
    else:
        confirmed = words.with_interval(chosen.confirmed, "score")
        st.markdown(
            literal(
                f"Chosen: {describe_setting(chosen.spec)}: recall {pareto.cost(chosen)}. On the "
                f"questions that did not choose, its recall is {confirmed}."
            )
        )
    charts.show(
        pareto.pareto_chart(tuning, trials, chosen),
        key="pareto",
        alt="Recall against p95 of every setting tried, by kind of index",
    )
    st.caption(
        f"{words.count(len(trials), 'setting')} over {words.count(tuning['passages'], 'passage')}, "
        f"{words.moment(at)}, on {literal(tuning['machine'])}. Larger dots take more bytes a "
        "vector. Pale: another setting is as good or better in recall, p95 and bytes. Whiskers: "
        "95 % intervals; a setting qualifies where all of it lies above the target."
    )

if state.looks:
    st.subheader("What was looked at", anchor=False)
    index_health.findings(state)
st.subheader("Builds", anchor=False)
if state.builds:
    index_tables.builds(state)
else:
    st.caption("There is none yet.")
st.subheader("What each takes", anchor=False)
measures = fetch(view, index_state.load_measures, state.version_ids)
if measures:
    index_tables.takes(measures, fetch(view, version_names))
else:
    st.caption("Nothing has been measured. This measures what serves, in seconds:")
    st.code(index_command("measure", name), language="bash")
if len(states) > 1:
    st.subheader("Every index", anchor=False)
    index_tables.every_index(states)
