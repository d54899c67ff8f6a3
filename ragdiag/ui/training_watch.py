"""Watching a command that trains, and stopping it."""

from __future__ import annotations

from functools import partial

import streamlit as st

from ragdiag.ui import jobs, running
from ragdiag.ui.jobs import Job
from ragdiag.ui.view import View


def watch(view: View) -> None:
    """The command that runs, with a way to stop it; how the last one ended, until dismissed."""
    job = jobs.tune_job(view.workspace)
    if job is not None and job.progress.state == "running":
        running.follow(
            partial(jobs.tune_job, view.workspace), None if view.read_only else _cancel_button
        )
    elif job is not None:
        running.outcome(job, "tune_dismiss", read_only=view.read_only)


def _cancel_button(job: Job) -> None:
    if st.button(
        "Cancel",
        key="tune_cancel",
        help="At most a minute of work is lost: the same command goes on from the last checkpoint.",
    ):
        jobs.cancel(job)
