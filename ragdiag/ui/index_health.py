"""Whether what serves is fit to serve: the sentence, the alerts, what the looks at it found."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from ragdiag.records import Estimate
from ragdiag.runbooks import read_runbook, runbook_names
from ragdiag.ui import tables, words
from ragdiag.ui.safe import literal
from ragdiag.workflows.indexing.state import IndexState, Look

STATUSES = {"good": "good", "warn": "warning", "bad": "bad", None: "not checked"}
ORDER = ("bad", "warn", None, "good")
"""The one to look at first is first."""


def most_urgent(states: Sequence[IndexState]) -> IndexState:
    """A history that cannot be read before all: nothing is known of what serves then. Open alerts
    before findings, and what serves before what does not; of those that are alike, the one added
    last."""

    def order(state: IndexState) -> tuple[bool, bool, bool, int]:
        return (
            state.fault is None,
            not state.alerts,
            state.serving is None,
            ORDER.index(state.status),
        )

    return min(reversed(states), key=order)


def verdict(state: IndexState) -> None:
    """What serves, since when, and whether it should; then what to do about it."""
    served = ", ".join(state.names)
    if state.fault is not None:
        told = f"Nobody can tell which build serves {served}: {state.fault}."
        st.error(literal(told), title="What serves cannot be read")
        return
    if state.serving is None:
        st.warning(literal(f"No build serves {served}. Build the index below."))
        return
    since = (
        "" if state.published is None else f" since {words.moment(state.published.published_at)}"
    )
    at = state.checked_at
    looked = "It has never been checked" if at is None else f"Last checked {words.moment(at)}"
    status = state.status
    box = {"good": st.success, "warn": st.warning, "bad": st.error, None: st.info}[status]
    lines = [f"Build {state.serving} serves {served}{since}. {looked}."]
    for look in state.looks.values():
        if look.finding.status != "good":
            remedy = f" To mend it: {look.finding.remedy}." if look.finding.remedy else ""
            what = look.finding.what
            lines.append(f"{what[0].upper()}{what[1:]}.{remedy}")
    title = {
        "good": "Fit to serve",
        "warn": "Fit to serve, with a warning",
        "bad": "Not fit to serve",
        None: "Not checked yet",
    }[status]
    box("  \n".join(literal(line) for line in lines), title=title)


def alerts(state: IndexState) -> None:
    """Each open alert with its runbook; nothing where none is open."""
    for alert in state.alerts:
        with st.expander(literal(f"Open alert, {alert.severity}: {alert.message}")):
            st.caption(literal(f"Raised {words.moment(alert.raised_at)}."))
            if alert.runbook in runbook_names():
                st.markdown(read_runbook(alert.runbook))


def numbers(state: IndexState) -> None:
    """How far the build lags behind the corpus, and what the canary found in it."""
    freshness, canary = st.columns([3, 4], gap="large")
    with freshness:
        st.subheader("Against the corpus", anchor=False)
        _freshness(state.looks.get("freshness"))
    with canary:
        st.subheader("Canary", anchor=False)
        _canary(state)


def findings(state: IndexState) -> None:
    """Every look at what serves, the bad ones first."""
    found = sorted(state.looks.values(), key=lambda look: ORDER.index(look.finding.status))
    tables.prose(
        {
            "Look": [look.finding.name for look in found],
            "Status": [STATUSES[look.finding.status] for look in found],
            "What was found": [look.finding.what for look in found],
            "Looked": [words.moment(look.checked_at) for look in found],
        }
    )


def _freshness(look: Look | None) -> None:
    if look is None:
        st.caption("Nobody has compared this build with the corpus.")
        return
    measured = look.measured
    columns = st.columns(3)
    kinds = {
        "missing": ("Missing", "In the corpus, not in the build"),
        "changed": ("Changed", "The text is another one since the build"),
        "ghosts": ("Ghosts", "In the build, no longer in the corpus"),
    }
    for column, (name, (label, meaning)) in zip(columns, kinds.items(), strict=True):
        such_as = ", ".join(measured.get("such_as", {}).get(name, ()))
        with column:
            st.metric(
                label,
                f"{measured[name]:,}",
                border=True,
                help=literal(f"{meaning}{f', such as {such_as}' if such_as else ''}"),
            )
    st.caption(
        f"of {words.count(measured['corpus'], 'passage')} in the corpus, "
        f"{words.moment(look.checked_at)}"
    )


def _canary(state: IndexState) -> None:
    shown = [*_neighbours(state), *_questions(state), *_again(state)]
    if not shown:
        st.caption("A check with the model has not been made of this build.")
        return
    for column, (label, value, note) in zip(st.columns(3), shown, strict=False):
        with column:
            st.metric(label, value, border=True)
            st.caption(note)


def _neighbours(state: IndexState) -> list[tuple[str, str, str]]:
    look = state.looks.get("neighbours")
    if look is None:
        return []
    recall = Estimate.from_json(look.measured)
    value = words.number(recall.value, "score")
    note = f"of approximate against exact search, {words.interval_only(recall, 'score')}"
    return [("recall@10", value, note)]


def _questions(state: IndexState) -> list[tuple[str, str, str]]:
    look = state.looks.get("questions")
    if look is None or not look.measured.get("n"):
        return []
    measured = look.measured
    found = f"{sum(measured['found'].values())} of {measured['n']}"
    compared = "judged questions, " + (
        f"{measured['lost']} lost, {measured['won']} won since it was compared last, "
        f"p {words.p_value(measured['p'])}"
        if "p" in measured
        else "nothing to compare with yet"
    )
    return [(f"Gold in first {measured['k']}", found, compared)]


def _again(state: IndexState) -> list[tuple[str, str, str]]:
    look = state.looks.get("embeddings")
    if look is None or not look.measured.get("n"):
        return []
    value = f"{look.measured['cosine_min']:.4f}"
    note = f"of {words.count(look.measured['n'], 'passage')} embedded again with their vectors"
    return [("Lowest cosine", value, note)]
