"""What to do next: what was prescribed last, the sentence before the table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from ragdiag.records import Estimate
from ragdiag.store.prescriptions import latest_prescriptions
from ragdiag.store.queries import version_names
from ragdiag.ui import tables, words
from ragdiag.ui.cached import fetch
from ragdiag.ui.safe import literal
from ragdiag.ui.view import View

BASES = {
    "measured": "measured by replay",
    "counted": "counted from verdicts",
    "ceiling": "at most",
}
STEPS = 3
"""Levers told with what to do, beneath the sentence."""


def show_next_steps(view: View) -> None:
    """A section of the page: of the version that was looked at last, or of the one chosen."""
    st.subheader("What to do next", anchor=False)
    told = fetch(view, latest_prescriptions)
    if not told:
        st.caption("Nothing has been prescribed yet. It takes an evaluation and its diagnosis:")
        st.code("python -m ragdiag prescribe VERSION --split SPLIT", language="bash")
        return
    known = fetch(view, version_names)
    by_name = {known.get(row["version_id"], row["version_id"]): row for row in told}
    name = next(iter(by_name))
    if len(by_name) > 1:
        box, _ = st.columns([1, 3])
        with box:
            name = st.selectbox("Version", list(by_name), key="prescribed", bind="query-params")
    row = by_name[name]
    found = row["prescription"]
    st.info(literal(f"{name}: {found['sentence']}"))
    if found["levers"]:
        st.markdown(
            "\n".join(
                f"{rank}. {literal(one['name'])}: {literal(_how(one))}"
                for rank, one in enumerate(found["levers"][:STEPS], start=1)
            )
        )
        tables.show(lever_table(found["levers"]), key="levers")
    st.caption(
        literal(
            f"From {words.count(found['n'], 'question')} of split {row['split']}, "
            f"{found['sampled']} of them answered again under each setting, on "
            f"{words.moment(row['prescribed_at'])}. Gain: share of right answers, with its 95 % "
            "interval; p: Holm over the settings tried. Sorted by gain per hour of the work stated."
        )
    )
    st.markdown(
        "\n".join(
            f"- **{check['name']}**: {literal(check['answer'])}" for check in found["checklist"]
        )
    )


def lever_table(levers: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """One row a lever, as ranked; ``levers`` as the store has them."""
    gains = [Estimate.from_json(one["gain"]) for one in levers]
    ranking = [Estimate.from_json(one["ranking_gain"]) for one in levers]
    return {
        "Lever": [one["name"] for one in levers],
        "Helps": ["yes" if one["helps"] else "not shown" for one in levers],
        "Right answers gained": [words.change(gain, "share") for gain in gains],
        "n": [f"{gain.n:,}" for gain in gains],
        "Basis": [BASES[one["basis"]] for one in levers],
        "p (Holm)": [words.p_value(_number(one["p_holm"])) for one in levers],
        "MRR@10": [words.change(gain, "score") for gain in ranking],
        "A request": [_added(one["added_ms"]) for one in levers],
        "Work": [f"{one['work_minutes'] / 60:.1f} h" for one in levers],
    }


def _how(lever: Mapping[str, Any]) -> str:
    """What to do; of measured levers the table has what else is known."""
    note = "" if lever["basis"] == "measured" else lever["note"]
    return f"{lever['action']}; {note}" if note else str(lever["action"])


def _added(ms: float | None) -> str:
    return "–" if ms is None else words.signed(ms, "ms")


def _number(value: float | None) -> float:
    return math.nan if value is None else value
