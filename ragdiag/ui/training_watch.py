"""Watching a command that trains, and stopping it."""

from __future__ import annotations

from functools import partial

import streamlit as st

from ragdiag.ui import jobs, running
from ragdiag.ui.jobs import Job
from ragdiag.ui.safe import literal
from ragdiag.ui.view import View


def watch(view: View) -> None:
    """The command that runs, with a way to stop it; how the last one ended, until dismissed."""
    job = jobs.tune_job(view.workspace)
    if job is not None and job.progress.state == "running":
        running.follow(
            partial(jobs.tune_job, view.workspace), None if view.read_only else _cancel_button
        )
    elif job is not None:
        _outcome(view, job)


def _cancel_button(job: Job) -> None:
    if st.button(
        "Cancel",
        key="tune_cancel",
        help="At most a minute of work is lost: the same command goes on from the last checkpoint.",
    ):
        jobs.cancel(job)


def _outcome(view: View, job: Job) -> None:
    failed = job.progress.state == "failed"
    told = job.progress.error if failed else job.progress.message
    box = st.error if failed else st.info
    box(
        literal(told or "no reason was given"),
        title="The command " + ("failed" if failed else "ended"),
    )
    if not view.read_only and st.button("Dismiss", key="tune_dismiss"):
        jobs.forget(job)
        st.rerun()
