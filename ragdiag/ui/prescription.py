"""What to do next: what was prescribed last, the sentence before the table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from ragdiag.diagnosis.levers import UNCURED
from ragdiag.records import Estimate
from ragdiag.store.prescriptions import latest_prescriptions
from ragdiag.store.queries import Filters, version_names
from ragdiag.ui import filters, tables, terms, words
from ragdiag.ui.cached import fetch
from ragdiag.ui.safe import literal
from ragdiag.ui.view import View

BASES = {
    "measured": "measured by replay",
    "counted": "counted from verdicts",
    "ceiling": "at most",
}
LOST = {"corpus_gap": "corpus", "packing": "packing"}
"""Causes whose verdict is not ``retrieval``."""
NAMED = 3
"""Levers that a note names; more are counted."""
STEPS = 3
"""Levers told with what to do, beneath the sentence."""


def show_next_steps(view: View) -> None:
    """A section of the page: of the version that was looked at last, or of the one chosen."""
    st.subheader("What to do next", anchor=False)
    told = fetch(view, latest_prescriptions)
    if not told:
        _say_how("VERSION")
        return
    known = fetch(view, version_names)
    by_name = {known.get(row["version_id"], row["version_id"]): row for row in told}
    name = next(iter(by_name))
    if len(by_name) > 1:
        box, _ = st.columns([1, 3])
        with box:
            name = filters.one_of(
                "Version", list(by_name), "prescribed", "prescription for version"
            )
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
            "interval, of those measured one that holds for all at once; p: Holm over them. "
            "Sorted by gain per hour of the work stated."
            f"{dashes_note(found['levers'])}"
        )
    )
    st.markdown(
        "\n".join(
            f"- **{check['name']}**: {literal(check['answer'])}" for check in found["checklist"]
        )
    )


def show_levers(view: View, chosen: Filters) -> None:
    """A section of Triage: the levers of each fault that ``chosen`` lets through, of its version or
    of the one that was prescribed for last."""
    st.subheader("What would mend it, by fault", anchor=False)
    names = fetch(view, version_names)
    told = [
        row
        for row in fetch(view, latest_prescriptions)
        if chosen.version_id in (None, row["version_id"])
    ]
    if not told:
        _say_how(names.get(chosen.version_id or "", "VERSION"))
        return
    row = told[0]
    found = row["prescription"]
    name = names.get(row["version_id"], row["version_id"])
    if "faults" not in found:
        st.caption(literal(f"An earlier ragdiag kept the prescription for {name}. Make it again:"))
        st.code(f"python -m ragdiag prescribe {name} --split {row['split']}", language="bash")
        return
    faults = [one for one in found["faults"] if _lets_through(chosen, one["fault"])]
    if not faults:
        st.caption(literal(f"The prescription for {name} counts no failure with these filters."))
        return
    tables.show(fault_table(faults, found["levers"]), key="fault-levers")
    meant = {name for one in faults for name in one["levers"]}
    st.caption(
        literal(
            f"Of {name}: {words.count(found['n'], 'question')} of split {row['split']}, "
            f"{found['sampled']} of them answered again under each setting, on "
            f"{words.moment(row['prescribed_at'])}. In brackets: 95 % intervals."
            f"{dashes_note([one for one in found['levers'] if one['name'] in meant])}"
        )
    )


def fault_table(
    faults: Sequence[Mapping[str, Any]], levers: Sequence[Mapping[str, Any]]
) -> dict[str, list[str]]:
    """One row for every fault and lever that is meant for it; both as the store has them."""
    by_name = {one["name"]: one for one in levers}
    meant = [(one, by_name[name]) for one in faults for name in one["levers"]]
    uncured = [one for one in faults if not one["levers"]]
    table = lever_table([lever for _, lever in meant])
    dashes = ["–"] * len(uncured)
    shown = ("Lever", "Right answers gained", "n", "Basis", "A request", "A million", "Work")
    return {
        "Fault": [one["fault"] for one in (*(one for one, _ in meant), *uncured)],
        "Failures": [f"{one['n']:,}" for one in (*(one for one, _ in meant), *uncured)],
        **{title: table[title] + dashes for title in shown},
        "What to do": [
            *(_how(lever) for _, lever in meant),
            *(UNCURED.get(one["fault"], "no lever is known") for one in uncured),
        ],
    }


def lever_table(levers: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """One row a lever, as ranked; ``levers`` as the store has them. Why a cell is a dash would not
    fit into it: :func:`dashes_note` says so."""
    gains = [Estimate.from_json(one["gain"]) for one in levers]
    ranking = [Estimate.from_json(one["ranking_gain"]) for one in levers]
    return {
        "Lever": [one["name"] for one in levers],
        "Helps": ["yes" if one["helps"] else "not shown" for one in levers],
        "Right answers gained": [_changed(gain, "share") for gain in gains],
        "n": [f"{gain.n:,}" for gain in gains],
        "Basis": [BASES[one["basis"]] for one in levers],
        "p (Holm)": [words.p_value(_number(one["p_holm"])) for one in levers],
        "MRR@10": [_changed(gain, "score") for gain in ranking],
        "A request": [_added(one, "slower", "ms") for one in levers],
        "A million": [_added(one, "dearer", "usd") for one in levers],
        "Work": [f"{one['work_minutes'] / 60:.1f} h" for one in levers],
    }


def _how(lever: Mapping[str, Any]) -> str:
    return f"{lever['action']}; {lever['note']}" if lever["note"] else str(lever["action"])


def _added(lever: Mapping[str, Any], name: str, unit: str) -> str:
    """A dash where the prescription was kept before it told ``name``."""
    return _changed(Estimate.from_json(lever[name]), unit) if name in lever else "–"


def _changed(found: Estimate, unit: str) -> str:
    return "–" if math.isnan(found.value) else words.change(found, unit)


def dashes_note(levers: Sequence[Mapping[str, Any]]) -> str:
    """Why cells of :func:`lever_table` are dashes: of each lever the first reason, of many that
    share one how many they are. Empty where no cell is one."""
    by_reason: dict[str, list[str]] = {}
    for lever in levers:
        found = [
            Estimate.from_json(lever[name])
            for name in ("gain", "ranking_gain", "slower", "dearer")
            if name in lever
        ]
        why = next((one.reason for one in found if math.isnan(one.value) and one.reason), None)
        if why is not None:
            by_reason.setdefault(why, []).append(lever["name"])
    told = [
        f"{', '.join(names) if len(names) <= NAMED else words.count(len(names), 'lever')}: {reason}"
        for reason, names in by_reason.items()
    ]
    return f" Dashes: {'; '.join(told)}." if told else ""


def _lets_through(chosen: Filters, fault: str) -> bool:
    """A fault is a cause where the verdict blames it, else a verdict, of whatever cause."""
    if fault in terms.CAUSES:
        verdict = LOST.get(fault, "retrieval")
        return chosen.verdict in (None, verdict) and chosen.cause in (None, fault)
    return chosen.verdict in (None, fault)


def _say_how(name: str) -> None:
    st.caption("Nothing has been prescribed yet. It takes an evaluation and its diagnosis:")
    st.code(f"python -m ragdiag prescribe {name} --split SPLIT", language="bash")


def _number(value: float | None) -> float:
    return math.nan if value is None else value
