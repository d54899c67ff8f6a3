"""What can be done with an index: asked for, confirmed with what follows, run in the background."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import streamlit as st

from ragdiag.ui import jobs, running, words
from ragdiag.ui.safe import literal
from ragdiag.ui.view import View
from ragdiag.workflows.indexing.state import IndexState

REASON = "asked for on the dashboard"
_PENDING = "index_pending"


@dataclass(frozen=True)
class Action:
    """One command: its button, what it leaves serving, and its ``arguments`` to ragdiag index."""

    label: str
    follows: str
    arguments: tuple[str, ...]


def draw(view: View, state: IndexState) -> None:
    """The running command, or the buttons; nothing can be started on a read-only dashboard, or
    where the history cannot be read: every command would end with that fault."""
    job = jobs.index_job(view.workspace)
    if job is not None and job.progress.state == "running":
        st.markdown("**A command is running**")
        running.follow(partial(jobs.index_job, view.workspace))
        return
    if job is not None:
        running.outcome(job, "index_dismiss", read_only=view.read_only)
    if view.read_only:
        st.caption("This dashboard is read-only: indexes are changed by `ragdiag index` commands.")
        return
    if state.fault is not None:
        return
    offered = actions(state)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        for name, action in offered.items():
            if st.button(literal(action.label), key=f"index_{name}"):
                st.session_state[_PENDING] = (state.index_key, name)
    of, name = st.session_state.get(_PENDING, (None, None))
    if of == state.index_key and name in offered:
        _confirm(view, offered[name])


def actions(state: IndexState) -> dict[str, Action]:
    """What makes sense now, by name; ``follows`` says what will serve."""
    version = state.versions[0].version_id
    served, now = ", ".join(state.names), state.serving
    instead = f"in place of build {now}" if now else "and it will be the first"
    found = {
        "build": Action(
            "Build anew" if state.builds else "Build the index",
            "The corpus is indexed as it is now and the build is checked. If nothing is bad, the "
            f"new build will serve {served}, {instead}; otherwise "
            f"{f'build {now} goes on serving' if now else 'nothing serves'}.",
            ("build", version),
        )
    }
    if now:
        found["check"] = Action(
            f"Check {now}",
            f"Build {now} is looked at, with the model. It goes on serving whatever is found; what "
            "is bad raises an alert.",
            ("check", version),
        )
    for row in state.builds:
        build = row["build_id"]
        if row["on_disk"] and build not in (now, state.previous):
            found[f"publish_{build}"] = Action(
                f"Publish {build}",
                f"Build {build} (of {words.count(row['passages'], 'passage')}) is checked. If "
                f"nothing is bad, it will serve {served}, {instead}.",
                ("publish", version, "--build", build, "--reason", REASON),
            )
    if state.previous:
        found["rollback"] = Action(
            f"Roll back to {state.previous}",
            f"The files of build {state.previous}, which served before, are verified. Then it will "
            f"serve {served} at once, {instead}, whatever a check would find.",
            ("rollback", version, "--reason", REASON),
        )
    return found


def _confirm(view: View, action: Action) -> None:
    st.warning(literal(action.follows), title=literal(f"{action.label}?"))
    with st.container(horizontal=True):
        if st.button(literal(f"Yes, {action.label.lower()}"), key="index_yes", type="primary"):
            del st.session_state[_PENDING]
            jobs.start_index(view.workspace, action.arguments)
            st.rerun()
        if st.button("Cancel", key="index_cancel"):
            del st.session_state[_PENDING]
            st.rerun()
