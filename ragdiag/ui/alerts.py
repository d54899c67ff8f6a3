"""Open alerts in the sidebar of every page: how many, the worst of them, and what to do."""

from __future__ import annotations

import streamlit as st

from ragdiag.runbooks import read_runbook, runbook_names
from ragdiag.store.alerts import open_alerts
from ragdiag.ui import words
from ragdiag.ui.cached import fetch
from ragdiag.ui.safe import literal
from ragdiag.ui.view import View


def draw_alerts(view: View) -> None:
    """Nothing where no alert is open."""
    alerts = fetch(view, open_alerts)
    if not alerts:
        return
    worst = alerts[0]
    box = st.error if worst.severity == "critical" else st.warning
    box(literal(worst.message), title=words.count(len(alerts), "open alert"))
    if worst.runbook in runbook_names():
        with st.popover("What to do"):
            st.markdown(read_runbook(worst.runbook))
    if len(alerts) > 1:
        st.caption("All of them: `python -m ragdiag doctor`")
