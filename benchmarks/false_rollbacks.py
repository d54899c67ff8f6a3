"""How often the gate says what, where the candidate is the incumbent's equal or 15 % worse.

    python -m benchmarks.false_rollbacks [RUNS] [equal] >> docs/statistics.md

With ``equal`` the worse candidate is left out.
``evaluation``: both answered the same questions; B ranks every second one anew, as a version that
differs does. ``documents``: 20 questions about each document, which rise and fall together (σ .15,
beside .25 of each question's own); ``unaware`` is the same without knowing which these are.
``canary``: two arms of a service, each with its own users, five requests a user.
Latencies are log-normal (σ .5; half of the spread is the question's own), one request in a hundred
fails, and costs go with the latency. ``all`` is the whole gate: quality, p95, cost and errors.
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from ragdiag.stats.contrasts import Floats, independent_means, paired_means
from ragdiag.stats.criteria import Criterion, combine
from ragdiag.stats.failure_shares import change_of_counts
from ragdiag.stats.gates import gate_errors, gate_quality
from ragdiag.stats.intervals import wilson
from ragdiag.stats.quantile_ratios import independent_quantiles, paired_quantiles
from ragdiag.stats.ratio_gates import gate_cost, gate_latency

SIZES = (200, 1_000)
A_USER = 5
"""Requests of one user of a canary."""
OF_DOCUMENT, TOGETHER, OWN = 20, 0.15, 0.25
FOUND, FAILED, SPREAD = 0.35, 0.01, 0.5
WORSE = 0.15
"""Share of B's questions that find nothing any more, where it is worse."""

Criteria = dict[str, Criterion]


@dataclass(frozen=True)
class Arm:
    ranks: Floats
    latencies: Floats
    errors: int

    @property
    def costs(self) -> Floats:
        return self.latencies * 1e-6


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000
    candidates = (0.0,) if sys.argv[2:] == ["equal"] else (0.0, WORSE)
    print(f"{runs:,} runs; share of decisions, Wilson's 95 % interval of the rollbacks.\n")
    print("| gate | n | candidate | criterion | rollback | pass |\n|---|---|---|---|---|---|")
    gates = {
        "evaluation": evaluation,
        "documents": documents,
        "unaware": partial(documents, aware=False),
        "canary": canary,
    }
    for name, gate in gates.items():
        for n in SIZES:
            for worse in candidates:
                show(name, n, worse, (gate(n, worse, seed) for seed in range(runs)))


def show(name: str, n: int, worse: float, drawn: Iterator[Criteria]) -> None:
    """A row for each criterion, and one for what they make together."""
    decisions: Counter[tuple[str, str | None]] = Counter()
    for criteria in drawn:
        decisions.update((which, one.decision) for which, one in criteria.items())
        decisions["all", combine(criteria)] += 1
    candidate = f"{worse:.0%} worse" if worse else "equal"
    for which in dict.fromkeys(which for which, _ in decisions):
        runs = sum(count for (of, _), count in decisions.items() if of == which)
        back = wilson(decisions[which, "rollback"], runs)
        print(
            f"| {name} | {n:,} | {candidate} | {which} | {back.value:.1%} "
            f"({back.low:.1%}–{back.high:.1%}) | {decisions[which, 'pass'] / runs:.1%} |",
            flush=True,
        )


def evaluation(n: int, worse: float, seed: int) -> Criteria:
    """The same questions under both."""
    chance = np.random.default_rng([n, seed])
    own = chance.normal(0, SPREAD * math.sqrt(0.5), n)
    a, b = (arm(chance, own, SPREAD * math.sqrt(0.5)) for _ in "ab")
    ranks = np.where(chance.random(n) < 0.5, b.ranks, a.ranks)
    ranks = np.where(chance.random(n) < worse, 0.0, ranks)
    times = a.latencies.tolist(), b.latencies.tolist()
    return {
        "quality": gate_quality(paired_means(a.ranks.tolist(), ranks.tolist()), "MRR@10"),
        "latency": gate_latency(paired_quantiles(*times, 0.95, seed=seed)),
        "cost": gate_cost(paired_means(a.costs.tolist(), b.costs.tolist())),
        "errors": gate_errors(change_of_counts(a.errors, n, b.errors, n)),
    }


def documents(n: int, worse: float, seed: int, *, aware: bool = True) -> Criteria:
    """The same questions under both, of which those about one document belong together."""
    chance = np.random.default_rng([n, seed])
    owners = np.arange(n) // OF_DOCUMENT
    a = arm(chance, np.zeros(n), SPREAD).ranks
    b = a + chance.normal(0, TOGETHER, owners[-1] + 1)[owners] + chance.normal(0, OWN, n)
    b = np.where(chance.random(n) < worse, 0.0, b)
    clusters = owners.tolist() if aware else None
    return {"quality": gate_quality(paired_means(a.tolist(), b.tolist(), clusters), "MRR@10")}


def canary(n: int, worse: float, seed: int) -> Criteria:
    """``n`` requests in each arm, by users who do not meet."""
    chance = np.random.default_rng([n, seed])
    users = [at // A_USER for at in range(n)]
    a, b = (arm(chance, of_user(chance, n), SPREAD * math.sqrt(0.5)) for _ in "ab")
    ranks = np.where(chance.random(n) < worse, 0.0, b.ranks)
    times = a.latencies.tolist(), b.latencies.tolist()
    quantiles = independent_quantiles(*times, 0.95, clusters_a=users, clusters_b=users, seed=seed)
    found = independent_means(a.ranks.tolist(), ranks.tolist(), users, users)
    return {
        "quality": gate_quality(found, "MRR@10"),
        "latency": gate_latency(quantiles),
        "cost": gate_cost(independent_means(a.costs.tolist(), b.costs.tolist(), users, users)),
        "errors": gate_errors(change_of_counts(a.errors, n, b.errors, n)),
    }


def of_user(chance: np.random.Generator, n: int) -> Floats:
    """What each user's requests have in common, of the logarithm of latency."""
    return np.repeat(chance.normal(0, SPREAD * math.sqrt(0.5), -(-n // A_USER)), A_USER)[:n]


def arm(chance: np.random.Generator, own: Floats, spread: float) -> Arm:
    """One version's requests, whose latencies share ``own`` (of the logarithm)."""
    n = len(own)
    ranks = chance.geometric(FOUND, n)
    return Arm(
        ranks=np.where(ranks > 10, 0.0, 1.0 / ranks),
        latencies=np.exp(math.log(200.0) + own + chance.normal(0, spread, n)),
        errors=int(chance.binomial(n, FAILED)),
    )


if __name__ == "__main__":
    main()
