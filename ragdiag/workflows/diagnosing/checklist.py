"""The questions that a team answers before it chooses a retrieval design, answered from its data:
labels, time, money, and how much the first passage matters."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ragdiag.metrics.latency import quantile_estimate
from ragdiag.metrics.ranking import hit_at_k
from ragdiag.records import Estimate, Request
from ragdiag.retrieval import fusion_tuning, rerank_tuning
from ragdiag.stats.bootstrap import bca_mean
from ragdiag.stats.intervals import wilson
from ragdiag.workflows.comparing.gate import request_cost, request_ms

GATE = "the gate's 2 %"


@dataclass(frozen=True, slots=True)
class Check:
    """One question of the checklist with its answer as a sentence; ``numbers`` is plain JSON."""

    name: str
    answer: str
    numbers: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "answer": self.answer, "numbers": dict(self.numbers)}


def checklist(
    requests: Sequence[Request],
    judgments: Mapping[str, Mapping[str, int]],
    *,
    needed_to_pass: int | None,
    slo_ms: float,
) -> list[Check]:
    """Over the latest evaluation; ``needed_to_pass`` is what the gate takes by this version's own
    spread (None where nobody can say)."""
    judged = [r for r in requests if _grades_gold(judgments.get(r.question_id or "", {}))]
    return [
        _labels(len(judged), needed_to_pass),
        _time(requests, slo_ms),
        _cost(requests),
        _first_passage(judged, judgments),
    ]


def _labels(n: int, needed_to_pass: int | None) -> Check:
    needs = {
        "a fusion weight": fusion_tuning.LABELS_NEEDED,
        "a reranker's depth and weight": rerank_tuning.LABELS_NEEDED,
        **({GATE: needed_to_pass} if needed_to_pass else {}),
    }
    enough = [f"{what} ({least:,})" for what, least in needs.items() if n >= least]
    short = [f"{what} ({least:,})" for what, least in needs.items() if n < least]
    parts = [f"enough for {', '.join(enough)}"] if enough else []
    parts += [f"not enough for {', '.join(short)}"] if short else []
    return Check(
        "labels", f"{n:,} judged questions: {'; '.join(parts)}.", {"judged": n, "needs": needs}
    )


def _time(requests: Sequence[Request], slo_ms: float) -> Check:
    times = [ms for r in requests if not math.isnan(ms := request_ms(r))]
    p95 = quantile_estimate(times, 0.95)
    numbers = {"p95_ms": p95.to_json(), "slo_ms": slo_ms}
    if math.isnan(p95.value):
        return Check("p95 budget", "No request was timed.", numbers)
    room = slo_ms - p95.value
    answer = f"p95 is {p95.value:,.0f} ms of a budget of {slo_ms:,.0f}: " + (
        f"{room:,.0f} ms are left for a slower stage."
        if room > 0
        else f"{-room:,.0f} ms over it, so only levers that take no time."
    )
    return Check("p95 budget", answer, numbers)


def _cost(requests: Sequence[Request]) -> Check:
    costs = [cost for r in requests if not math.isnan(cost := request_cost(r))]
    mean = bca_mean(costs)
    if not costs:
        return Check("cost", "No request has a price: a longer prompt costs time only.", {"n": 0})
    return Check(
        "cost",
        f"A thousand requests cost {1000 * mean.value:,.2f} USD; a prompt with twice the passages "
        "costs up to twice that.",
        {"usd_per_request": mean.to_json()},
    )


def _first_passage(judged: Sequence[Request], judgments: Mapping[str, Mapping[str, int]]) -> Check:
    first, ten = (_hits(judged, judgments, k) for k in (1, 10))
    numbers = {"precision@1": first.to_json(), "hit@10": ten.to_json()}
    if not judged:
        return Check("top-1 precision", "No question has a relevant passage.", numbers)
    return Check(
        "top-1 precision",
        f"The first passage is relevant for {first.value:.0%} of questions, one of the first ten "
        f"for {ten.value:.0%}: a better order can lift {ten.value - first.value:.0%}, only better "
        f"retrieval the other {1 - ten.value:.0%}.",
        numbers,
    )


def _hits(
    judged: Sequence[Request], judgments: Mapping[str, Mapping[str, int]], k: int
) -> Estimate:
    found = 0.0
    for request in judged:
        grades = judgments[request.question_id or ""]
        found += hit_at_k([grades.get(hit.passage_id, 0) for hit in request.ranking], k)
    return wilson(int(found), len(judged))


def _grades_gold(judged: Mapping[str, int]) -> bool:
    return any(grade > 0 for grade in judged.values())
