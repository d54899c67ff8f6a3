"""A command that runs in the background: how far it is, read anew every second; how it ended."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from ragdiag.training.loop import duration
from ragdiag.ui import jobs
from ragdiag.ui.jobs import Job
from ragdiag.ui.safe import literal

POLL_S = 1.0


@st.fragment(run_every=POLL_S)
def follow(find: Callable[[], Job | None], beside: Callable[[Job], None] | None = None) -> None:
    """The job that ``find`` finds, and what ``beside`` draws under it; the whole page is drawn
    again when it has ended."""
    job = find()
    if job is None or job.progress.state != "running":
        st.rerun()
        return
    st.progress(job.progress.fraction, text=literal(job.progress.message))
    st.caption(
        f"{job.progress.fraction:.0%} done after {duration(job.elapsed_s)}. "
        "You can close this page: the work goes on."
    )
    if beside is not None:
        beside(job)


def outcome(job: Job, key: str, *, read_only: bool = False) -> None:
    """How a command ended, until it is dismissed. One that was cancelled is no failure: it is told
    as information, with what is kept of it."""
    progress = job.progress
    told = progress.message if progress.state == "done" else progress.error
    box, ended = {"failed": (st.error, "failed"), "cancelled": (st.info, "was cancelled")}.get(
        progress.state, (st.info, "ended")
    )
    if progress.state == "cancelled" and progress.message:
        told = f"{told or 'it was stopped'}. It last said: {progress.message}"
    box(literal(told or "no reason was given"), title=f"The command {ended}")
    if not read_only and st.button("Dismiss", key=key):
        jobs.forget(job)
        st.rerun()
