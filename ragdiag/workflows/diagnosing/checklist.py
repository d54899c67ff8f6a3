"""The questions that a team answers before it chooses a retrieval design, answered from its data:
labels, time, money, and how much the first passage matters."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ragdiag.diagnosis.levers import Lever
from ragdiag.drift.costs import Spending
from ragdiag.metrics.latency import quantile_estimate
from ragdiag.metrics.ranking import hit_at_k
from ragdiag.records import Estimate, Request
from ragdiag.retrieval import fusion_tuning, rerank_tuning
from ragdiag.stats.intervals import wilson
from ragdiag.workflows.comparing.gate import request_ms

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
    spent: Spending | None,
    levers: Sequence[Lever],
) -> list[Check]:
    """Over the latest evaluation; ``needed_to_pass`` is what the gate takes by this version's own
    spread (None where nobody can say), ``spent`` what its queries cost (None where none was
    logged), of which ``levers`` would add their own."""
    judged = [r for r in requests if _grades_gold(judgments.get(r.question_id or "", {}))]
    return [
        _labels(len(judged), needed_to_pass),
        _time(requests, slo_ms),
        _cost(spent, levers),
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
    told = f"p95 is {p95.value:,.0f} ms ({_bounds(p95, 0)}, n = {p95.n:,})"
    answer = f"{told} of a budget of {slo_ms:,.0f}: " + (
        f"{room:,.0f} ms are left for a slower stage."
        if room > 0
        else f"{-room:,.0f} ms over it, so only levers that take no time."
    )
    return Check("p95 budget", answer, numbers)


def _cost(spent: Spending | None, levers: Sequence[Lever]) -> Check:
    """How sensitive it is: what a million queries cost, and the lever that adds most to it."""
    parts, missing, numbers = list[str](), list[str](), dict[str, Any]()
    if spent is not None:
        amounts = {"tokens_usd": spent.tokens, "machine_hours": spent.hours}
        amounts["machine_usd"] = spent.machine
        found = {name: amount.estimate() for name, amount in amounts.items()}
        numbers = {name: one.to_json() for name, one in found.items()}
        told = {"tokens_usd": "USD of tokens", "machine_hours": "hours of this machine"}
        told["machine_usd"] = "USD of this machine"
        parts = [_amount(one, told[name]) for name, one in found.items() if one.n]
        if not spent.tokens.is_known:
            missing.append("tokens (prompt_price and completion_price in [generator])")
        if not spent.machine.is_known:
            missing.append("this machine (machine_usd_per_hour in ragdiag.toml)")
    lines = [f"A million queries cost {', '.join(parts)}." if parts else "No query has a cost."]
    if missing:
        lines.append(f"No price is set of {' and '.join(missing)}.")
    lines.append(_dearest(levers))
    return Check("cost", " ".join(line for line in lines if line), numbers)


def _amount(found: Estimate, unit: str) -> str:
    return f"{found.value:,.2f} {unit} ({_bounds(found, 2)}, n = {found.n:,})"


def _bounds(found: Estimate, digits: int) -> str:
    """Of its interval, or why it has none."""
    if math.isnan(found.low):
        return found.reason or "no interval"
    return f"{found.low:,.{digits}f} to {found.high:,.{digits}f}"


def _dearest(levers: Sequence[Lever]) -> str:
    """In money where there is a price, else in time; empty where nothing was measured."""
    priced = [one for one in levers if not math.isnan(one.dearer.value)]
    timed = [one for one in levers if not math.isnan(one.slower.value)]
    if priced:
        lever = max(priced, key=lambda one: one.dearer.value)
        added, unit, what = lever.dearer, "USD a million", "cost"
    elif timed:
        lever = max(timed, key=lambda one: one.slower.value)
        added, unit, what = lever.slower, "ms a request", "time"
    else:
        return ""
    if added.value <= 0:
        return f"No lever that was measured adds {what}."
    bounds = "" if math.isnan(added.low) else f" ({added.low:+z,.2f} to {added.high:+z,.2f})"
    return f"Of the levers measured, {lever.name} adds most: {added.value:+,.2f} {unit}{bounds}."


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
