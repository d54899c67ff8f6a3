"""The frame of every page: the router, the title, the workspace in the sidebar.

A fresh server whose first request is a deep link runs the page's file alone, because Streamlit
takes a folder called ``pages`` for its old kind of app. So the first line of every page is
:func:`begin`, which puts the router back before anything is drawn.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Literal

import streamlit as st

from ragdiag.configuration import read_configuration
from ragdiag.errors import NoWorkspace, RagdiagError
from ragdiag.settings import PROJECT, dashboard_workspace
from ragdiag.store.lake import open_lake
from ragdiag.store.queries import inventory
from ragdiag.ui import jobs, links, stale, words
from ragdiag.ui.alerts import draw_alerts
from ragdiag.ui.cached import fetch
from ragdiag.ui.ingesting import keep_ingesting
from ragdiag.ui.safe import literal
from ragdiag.ui.view import View, demo_notice
from ragdiag.ui.welcome import show_failure, show_job, show_next_steps, show_welcome

_FRAMED = "_framed"
TITLES = {
    links.OVERVIEW: "Overview",
    links.TRIAGE: "Triage",
    links.REQUEST: "Request",
    links.REVIEW: "Review",
    links.VERSIONS: "Versions",
    links.LATENCY: "Latency",
    links.DRIFT: "Drift",
    links.INDEXES: "Indexes",
    links.TRAINING: "Training",
    links.PLAYGROUND: "Playground",
}
Needs = Literal["requests", "builds", "questions"]


def route() -> None:
    """The whole of ``app.py``: choose the page and run it inside the frame.

    A RagdiagError that the page lets through ends it, and stands below what was drawn before.
    """
    st.set_page_config(page_title="ragdiag", layout="wide")
    page = st.navigation(_pages())
    st.session_state[_FRAMED] = True
    try:
        page.run()
    except RagdiagError as error:
        _show_error(error, "Cannot be shown")


def begin(title: str, decides: str, *, needs: Needs = "requests") -> View:
    """Draw the frame and return the open workspace; the first line of every page.

    Where there is nothing to show yet (no workspace, a build in progress, nothing of what the page
    ``needs``), draws what to do instead and stops the page.
    """
    if not st.session_state.get(_FRAMED):
        st.navigation(_pages())
        st.rerun()
    st.session_state[_FRAMED] = False
    st.title(title, anchor=False)
    st.caption(decides)
    stale.make_room()
    view = _open()
    _draw_sidebar(view, needs)
    return view


def _open() -> View:
    workspace = dashboard_workspace()
    job = jobs.latest_job()
    if job is not None and job.progress.state == "running":
        show_job(job)
        st.stop()
    try:
        lake = open_lake(workspace)
        read_only = read_configuration(workspace).dashboard.read_only
        view = View(workspace, lake, lake.snapshot(), demo_notice(workspace), read_only)
    except NoWorkspace:
        show_welcome(job)
        st.stop()
    except RagdiagError as error:
        if job is not None:
            show_failure(job)
        _show_error(error, "Cannot be opened")
        st.stop()
    if job is not None:
        show_failure(job)
    keep_ingesting(str(workspace.root))
    return view


def _show_error(error: RagdiagError, title: str) -> None:
    st.error(literal(f"{error.message}. To mend it: {error.remedy}."), title=title)


def _draw_sidebar(view: View, needs: Needs) -> None:
    held = fetch(view, inventory)
    last = held["last_asked_at"]
    lines = [
        f"<b>{escape(view.workspace.root.name)}</b>",
        words.count(held["requests"], "request"),
        f"last asked {words.moment(last)}" if last else "",
        f"data version {view.snapshot}",
    ]
    with st.sidebar:
        st.html(
            "<div style='font-size:.82rem;line-height:1.55;opacity:.85'>"
            + "<br>".join(line for line in lines if line)
            + "</div>"
        )
        draw_alerts(view)
        if view.demo is not None:
            st.info("Demo: dates are simulated; traffic and faults are real runs.")
        if held["sampled"]:
            st.info(
                f"Sampled: {words.count(held['sampled'], 'request')} logged by chance; all that is "
                f"here stands for about {held['meant']:,.0f} requests. Rates, means and quantiles "
                "weigh each for what it stands for; counts and n are of what was logged."
            )
    if not held[needs]:
        show_next_steps(held)
        st.stop()


def _pages() -> list[st.Page]:
    """Paths are absolute: a cold deep link resolves relative ones against the page's own file."""
    return [
        st.Page(Path(PROJECT, path), title=title, default=path == links.OVERVIEW)
        for path, title in TITLES.items()
    ]
