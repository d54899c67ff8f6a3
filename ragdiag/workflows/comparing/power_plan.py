"""How many questions does it take to see a difference, by this workspace's own spread?"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from ragdiag.errors import InputError
from ragdiag.stats.contrasts import Contrast, paired_means
from ragdiag.stats.criteria import with_least_clusters
from ragdiag.stats.gates import TOLERATED
from ragdiag.stats.power import power_at, questions_needed, questions_to_pass
from ragdiag.store.lake import Lake
from ragdiag.version import Version
from ragdiag.workflows.comparing.compare import score_request
from ragdiag.workflows.comparing.gate import check_metric
from ragdiag.workflows.comparing.pairing import pair_evaluations


@dataclass(frozen=True)
class PowerPlan:
    """``n`` questions about ``documents`` were seen, with mean ``a`` for the incumbent and
    ``deviation``, the standard deviation of a question's difference; ``needed`` show ``effect``
    with ``power``, ``to_pass`` let the gate pass a version that is truly as good, both with as many
    questions to a document as now. Without B the versions' answers to one question are taken as
    unrelated, so both are upper bounds."""

    a: Version
    b: Version | None
    split: str | None
    metric: str
    n: int
    documents: int
    a_mean: float
    deviation: float
    asked_effect: str
    effect: float
    power: float
    power_now: float
    needed: int
    to_pass: int

    def to_json(self) -> dict[str, Any]:
        return {
            "a": self.a.name,
            "b": None if self.b is None else self.b.name,
            "split": self.split,
            "metric": self.metric,
            "n": self.n,
            "documents": self.documents,
            "a_mean": self.a_mean,
            "deviation": self.deviation,
            "paired": self.b is not None,
            "effect": self.effect,
            "power": self.power,
            "power_now": self.power_now,
            "needed_n": self.needed,
            "gate_needed_n": self.to_pass,
            "sentence": self.to_text(),
        }

    def to_text(self) -> str:
        more = max(self.needed - self.n, 0)
        have = f"{more:,} more than the {self.n:,} asked" if more else f"{self.n:,} are asked"
        source = (
            f"the paired differences of {self.b.name} and {self.a.name}"
            if self.b is not None
            else f"{self.a.name} alone, as if a candidate's were unrelated: at most that many"
        )
        return (
            f"To see a true change of {self.asked_effect} in {self.metric} ({self.effect:.4g} on "
            f"{self.a_mean:.3f}) with {self.power:.0%} power takes {self.needed:,} questions "
            f"({have}; with those the chance is {self.power_now:.0%}). The gate passes a version "
            f"that is truly as good with {self.power:.0%} chance from {self.to_pass:,} questions. "
            f"By the spread of {source}{self._to_a_document()}."
        )

    def _to_a_document(self) -> str:
        if self.documents == self.n:
            return ""
        return (
            f", with {self.n / self.documents:.1f} questions to a document, as now: of questions "
            "about other documents it takes fewer"
        )


def plan_questions(
    lake: Lake,
    a: Version,
    b: Version | None = None,
    *,
    split: str | None = None,
    effect: str = "2%",
    metric: str = "MRR@10",
    power: float = 0.8,
) -> PowerPlan:
    """Plan from the latest evaluations of ``split``, or of every judged question.

    Raises InputError for an unknown metric, an effect or power that makes no sense, and where fewer
    than two questions have a value or what they show has no spread; UnknownName where a version was
    not evaluated.
    """
    check_metric(metric)
    if not 0.5 <= power <= 0.999:
        raise InputError(f"a power of {power:g} cannot be planned", remedy="name 0.5 to 0.99")
    paired = pair_evaluations(lake, a, b or a, split)
    before, after = (
        [
            score_request(one[name], paired.judgments, paired.golds)[metric]
            for name in paired.questions
        ]
        for one in (paired.first, paired.second)
    )
    means = paired_means(before, after, paired.owners)
    if means.clusters < 2 or means.a <= 0:
        mean = f", with mean {means.a:.3g}" if means.n else ""
        raise InputError(
            f"{means.n} questions of {a.name} have a {metric}{mean}: that is too little to plan "
            "from",
            remedy="name another --metric or --split, or evaluate more questions",
        )
    size = parse_effect(effect, means.a)
    # Unrelated versions: Var(B − w·A) = (1 + w²)·Var(A), and A's own is the contrast with weight 0.
    own = means.contrast(0.0)
    whole = means.contrast(1.0) if b else _scaled(own, math.sqrt(2))
    gated = means.contrast(TOLERATED) if b else _scaled(own, math.hypot(1, TOLERATED))
    if not (whole.error and gated.error):
        seen = "differences" if b else f"values of {a.name}"
        raise InputError(
            f"all {means.n} {seen} in {metric} are alike: no spread, so nothing to plan from",
            remedy="name another --metric or --split, or evaluate more questions",
        )
    deviation, gate_deviation = (one.error * math.sqrt(means.n) for one in (whole, gated))
    alike = max(means.n / (whole.freedom + 1), 1.0)
    to_pass = questions_to_pass(gate_deviation, (1 - TOLERATED) * means.a, power, alike)
    return PowerPlan(
        a=a,
        b=b,
        split=split,
        metric=metric,
        n=means.n,
        documents=means.clusters,
        a_mean=means.a,
        deviation=deviation,
        asked_effect=effect,
        effect=size,
        power=power,
        power_now=power_at(means.n, deviation, size, alike),
        needed=questions_needed(deviation, size, power, alike),
        to_pass=with_least_clusters(to_pass, means) or to_pass,
    )


def parse_effect(text: str, mean: float) -> float:
    """``2%`` of the mean, or ``0.02`` as it is. Raises InputError.

    >>> parse_effect("2%", 0.75), parse_effect("0.02", 0.75)
    (0.015, 0.02)
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?|\.\d+)\s*(%?)\s*", text)
    size = float(match[1]) * (mean / 100 if match[2] else 1.0) if match else 0.0
    if not 0 < size <= 1:
        raise InputError(f"{text!r} is no effect", remedy="name one such as 2% or 0.02")
    return size


def _scaled(found: Contrast, factor: float) -> Contrast:
    return Contrast(found.value, factor * found.error, found.freedom)
