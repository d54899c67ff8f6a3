"""Retriever or generator, from a diagnosis."""

from __future__ import annotations

from typing import Any

import pytest

from ragdiag.diagnosis.sides import Side, side_of
from ragdiag.records import Cause, Diagnosis, Tier, Verdict


@pytest.mark.parametrize(
    ("cause", "verdict", "tier", "side"),
    [
        ("corpus_gap", "corpus", "A", "retrieval"),
        ("fusion_loss", "retrieval", "B", "retrieval"),
        ("packing", "packing", "B", "retrieval"),
        ("in_context", "distraction", "A", "generator"),
        ("in_context", "generator", "A", "generator"),
        ("in_context", "undetermined", "B", "generator"),
        ("recall_miss", "undetermined", "A", None),
        ("recall_miss", "label_suspect", "A", None),
        ("gold_unknown", "undetermined", "D", None),
        ("in_context", "ok", "B", None),
        ("recall_miss", "lucky", "B", None),
    ],
)
def test_what_the_prompt_held_decides(
    cause: Cause, verdict: Verdict, tier: Tier, side: Side | None
) -> None:
    assert side_of(diagnosis(cause, verdict, tier)) == side


def test_the_gold_answer_stands_in_for_passages_that_nobody_named() -> None:
    seen: dict[str, Any] = {"signs": {"answer_at": "in_context"}}
    assert side_of(diagnosis("gold_unknown", "undetermined", "C", seen)) == "generator"
    seen = {"signs": {"answer_at": "recall_miss"}}
    assert side_of(diagnosis("gold_unknown", "undetermined", "C", seen)) is None


def diagnosis(
    cause: Cause, verdict: Verdict, tier: Tier, evidence: dict[str, Any] | None = None
) -> Diagnosis:
    return Diagnosis("r", cause, verdict, "no_fix", tier, evidence or {})
