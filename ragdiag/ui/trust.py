"""How far verdicts can be trusted: the tiers of these ones, and how known faults were told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from ragdiag.records import Estimate
from ragdiag.store.queries import Filters, tier_counts, version_names
from ragdiag.store.validations import load_validation, load_validations
from ragdiag.ui import tables, terms, words
from ragdiag.ui.cached import fetch
from ragdiag.ui.safe import literal
from ragdiag.ui.view import View
from ragdiag.ui.words import NBSP
from ragdiag.workflows.diagnosing.validate import shortfalls


def show_trust(view: View, scope: Filters) -> None:
    """The tiers of the failures in scope, and the last validation of the version that is chosen; of
    any, where all are shown."""
    st.subheader("How far to trust these verdicts", anchor=False)
    counted = fetch(view, tier_counts, scope)
    if counted:
        told = "; ".join(
            f"{row['n']:,} of tier {row['tier']} ({terms.TIERS.get(row['tier'], 'unknown')})"
            for row in counted
        )
        st.caption(literal(f"{told}."))
    found = fetch(view, load_validation, scope.version_id)
    if found is None:
        st.caption("They were never held against failures of known cause. To do so:")
        st.code("python -m ragdiag diagnose validate VERSION --split SPLIT", language="bash")
        return
    name = fetch(view, version_names).get(found["version_id"], found["version"])
    st.markdown(literal(sentence(found["tiers"]["A"])))
    st.caption(
        literal(
            f"Faults put into {name}, answered by {generator_of(found)}, on split {found['split']} "
            f"on {words.moment(found['validated_at'])}; only those that made a right answer wrong "
            "count. An abstention counts as not right. Retriever or generator asks only whether "
            "the prompt held what it needed; a swapped label has no side."
        )
    )
    short = shortfalls(found)
    if short:
        st.markdown("\n".join(f"- {literal(one)}" for one in short))
    tables.show(_tiers(found["tiers"]), key="trust-tiers")
    every = fetch(view, load_validations)
    if len(every) > 1:
        st.markdown("By generator")
        tables.show(generator_columns(every), key="trust-generators")
    with st.expander("Which fault was taken for which"):
        tier = st.selectbox("Tier", list(found["tiers"]), key="trust-tier")
        tables.show(matrix_columns(found, tier), key="trust-matrix")
        given = found["tiers"][tier].get("by_verdict", {})
        if given:
            tables.show(
                {
                    "Verdict": list(given),
                    "Right where it was given": [
                        _share(Estimate.from_json(one)) for one in given.values()
                    ],
                },
                key="trust-verdicts",
            )


def sentence(tier: Mapping[str, Any]) -> str:
    """What the replayed verdicts were worth.

    >>> right = {"value": 0.9, "low": 0.8, "high": 0.95, "n": 40}
    >>> sentence({"right": right, "abstained": right}).replace(NBSP, " ")
    'Replayed verdicts were right in 90 % (80–95, n=40) of known faults, and abstained in 90 %.'
    """
    right, abstained = (Estimate.from_json(tier[name]) for name in ("right", "abstained"))
    if right.value != right.value:
        return "No fault made a right answer wrong: nothing is known of these verdicts."
    return (
        f"Replayed verdicts were right in {_share(right)} of known faults, and abstained in "
        f"{100 * abstained.value:.0f}{NBSP}%."
    )


def matrix_columns(found: Mapping[str, Any], tier: str) -> dict[str, list[Any]]:
    """The confusion matrix of one tier, by column: faults down, verdicts across."""
    matrix = found["tiers"][tier]["matrix"]
    given = sorted({verdict for row in matrix.values() for verdict in row})
    faults = [fault for fault in found["faults"] if fault in matrix]
    return {
        "Fault": [found["faults"][fault]["what"] for fault in faults],
        "Right verdict": [found["faults"][fault]["expected"] for fault in faults],
        **{verdict: [matrix[fault].get(verdict, 0) for fault in faults] for verdict in given},
    }


def generator_columns(validations: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """What each validation's replayed verdicts (A), and those of the log alone (B), were worth."""
    columns = {
        "Version": [one["version"] for one in validations],
        "Generator": [generator_of(one) for one in validations],
        "Split": [one["split"] for one in validations],
    }
    for tier in ("A", "B"):
        found = [one["tiers"][tier] for one in validations]
        for title, name in (
            ("right when decided", "right_when_decided"),
            ("abstained", "abstained"),
        ):
            columns[f"{tier}: {title}"] = [_share(Estimate.from_json(one[name])) for one in found]
    return columns


def generator_of(found: Mapping[str, Any]) -> str:
    """A validation of an earlier ragdiag does not name it."""
    return str(found.get("generator", "its own generator"))


def _tiers(tiers: Mapping[str, Any]) -> dict[str, list[str]]:
    """A validation of an earlier ragdiag does not tell of sides."""

    def column(name: str) -> list[str]:
        return [_share(Estimate.from_json(tier[name])) for tier in tiers.values()]

    sides = [tier.get("side") for tier in tiers.values()]

    return {
        "Tier": list(tiers),
        "Right": column("right"),
        "Right when decided": column("right_when_decided"),
        "Abstained": column("abstained"),
        "Retriever or generator": [
            _share(Estimate.from_json(side["right"])) if side else "–" for side in sides
        ],
        "Evidence": [terms.TIERS[tier] for tier in tiers],
    }


def _share(found: Estimate) -> str:
    if found.value != found.value:
        return f"– ({found.reason})" if found.reason else "–"
    return (
        f"{100 * found.value:.0f}{NBSP}% ({100 * found.low:.0f}–{100 * found.high:.0f}, "
        f"n={found.n})"
    )
