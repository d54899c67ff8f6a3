"""How often answers were given with less than all parts of their version, and why."""

from __future__ import annotations

import streamlit as st

from ragdiag.drift.degradation import degraded_shares
from ragdiag.store.queries import Filters
from ragdiag.ui import bands, charts, palette, tables, words
from ragdiag.ui.cached import fetch
from ragdiag.ui.view import View

MOST = 5
"""Lines: of more, the bands hide one another."""


def show(view: View, filters: Filters) -> None:
    """A section of a page: the share of degraded requests by reason and week."""
    st.subheader("Answered with less than all parts", anchor=False)
    found = fetch(view, degraded_shares, filters)
    if not found.reasons:
        st.caption("Every one of these requests was answered with all parts of its version.")
        return
    drawn = list(found.reasons.items())[:MOST]
    lines = [
        bands.Line(reason, series, palette.SERIES[n]) for n, (reason, series) in enumerate(drawn)
    ]
    if len(found.reasons) > 1:
        lines.append(bands.Line("any reason", found.any, palette.GREY))
    charts.show(
        bands.bands(lines, "share", words.AXES["share"], height=320),
        key="degraded",
        alt="Share of degraded requests by reason and week",
    )
    tables.show(
        {
            "Reason": list(found.overall),
            "Share of all weeks' requests (95 % interval, n)": [
                words.with_interval(share, "share") for share in found.overall.values()
            ],
        },
        key="degraded_reasons",
        height="auto",
    )
    if len(found.reasons) > MOST:
        st.caption(f"Drawn are the {MOST} most frequent of {len(found.reasons)} reasons.")
