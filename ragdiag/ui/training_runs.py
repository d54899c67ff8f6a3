"""What fine-tuning runs ask of the reader: which waits, which failed; all of them as a table."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from ragdiag.store.deployments import load_deployments
from ragdiag.store.training_runs import list_runs
from ragdiag.training.loop import duration
from ragdiag.training.runs import Change
from ragdiag.ui import tables, words
from ragdiag.ui.cached import fetch
from ragdiag.ui.commands import canary_command, tune_command
from ragdiag.ui.safe import literal
from ragdiag.ui.view import View
from ragdiag.workflows.tuning.state import KnownRun, describe_runs

WIDTHS = {
    "Run": 165,
    "Kind": 65,
    "State": 65,
    "Tunes": 85,
    "Method": 80,
    "Pairs": 48,
    "Change (95 % interval)": 205,
    "Gate": 82,
    "Took": 55,
}


def known(view: View) -> list[KnownRun]:
    """Every run, the newest first; whether one is running is looked at anew each time."""
    return describe_runs(view.workspace, fetch(view, list_runs), fetch(view, load_deployments))


def most_urgent(runs: Sequence[KnownRun]) -> KnownRun:
    """The newest that waits, else the newest that runs, else the newest."""
    waiting = [run for run in runs if run.waits]
    running = [run for run in runs if run.standing == "running"]
    return [*waiting, *running, *runs][0]


def decide(runs: Sequence[KnownRun]) -> None:
    """Which version may be tried, and which command brings it to users; which run failed since."""
    waiting = [run for run in runs if run.waits]
    for run in waiting:
        if run.facts is None or run.facts.candidate is None:
            continue
        name = run.facts.candidate.name
        gained = first_change(run)
        told = "" if gained is None else f" {change_text(gained)}."
        st.success(
            literal(f"{name}, made by run {run.run_id}, passed its gate.{told}"),
            title="Waits for a canary",
        )
        st.code(canary_command(name), language="bash")
    if runs and not waiting:
        st.info("No run that passed its gate waits to be tried.")
    newest = runs[0] if runs else None
    if newest is not None and newest.standing == "failed" and newest.facts is not None:
        st.error(literal(newest.facts.error or "no reason was given"), title="The last run failed")


def standing(run: KnownRun) -> None:
    """How the run stands, in one sentence, with what to do where something is to be done."""
    at = "" if run.recorded_at is None else f", {words.moment(run.recorded_at)}"
    if run.fault is not None:
        st.error(literal(run.fault))
    if run.standing == "running":
        st.caption("Running. This stops it at its next step, which is kept:")
        st.code(tune_command(["cancel", run.run_id]), language="bash")
    elif run.standing == "ended":
        st.warning(
            "Its process went away before it was done. The same command goes on with it, from its "
            "checkpoint."
        )
    elif run.standing == "cancelled":
        st.caption(f"Cancelled{at}. The same command goes on with it.")
    elif run.standing == "failed":
        error = None if run.facts is None else run.facts.error
        st.error(literal(error or "no reason was given"), title=f"Failed{at}")
    else:
        st.caption(f"Done{at}.")


def table(runs: Sequence[KnownRun]) -> None:
    """One row a run."""
    facts = [run.facts for run in runs]
    changes = [first_change(run) for run in runs]
    tables.show(
        {
            "Run": [run.run_id for run in runs],
            "Kind": [run.kind for run in runs],
            "State": [run.standing for run in runs],
            "Tunes": [None if one is None else one.version for one in facts],
            "Method": [None if one is None else one.method for one in facts],
            "Pairs": [None if one is None or one.data is None else one.data.pairs for one in facts],
            "Change (95 % interval)": [
                None if one is None else f"{one.metric} {words.change(one.difference, 'score')}"
                for one in changes
            ],
            "Gate": [
                None if one is None or one.gate is None else one.gate.decision for one in facts
            ],
            "Took": [
                None if one is None or one.cost is None else duration(one.cost.wall_s)
                for one in facts
            ],
            "Last word (UTC)": [run.recorded_at for run in runs],
        },
        key="training_runs",
        config={
            **{name: st.column_config.Column(width=width) for name, width in WIDTHS.items()},
            "Last word (UTC)": st.column_config.DatetimeColumn(format="D MMM, HH:mm", width=110),
        },
    )


def first_change(run: KnownRun) -> Change | None:
    """Of the primary metric on the first set, the one that the gate looks at."""
    measured = () if run.facts is None else run.facts.measured
    return measured[0].changes[0] if measured else None


def change_text(change: Change) -> str:
    """``MRR@10 0.364 → 0.431, +0.067 (+0.042 to +0.092)``."""
    before, after = (words.number(one.value, "score") for one in (change.before, change.after))
    return f"{change.metric} {before} → {after}, {words.change(change.difference, 'score')}"
