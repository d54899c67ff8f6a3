"""What perfect retrieval would buy: the share of failures that gold context turns right.

METHODS.md §5. For a generator that repeats itself the share is counted, of the failures that are
wrong when asked again; for one that samples it is a difference of probabilities over fresh draws,
since a failure selected on one bad draw regresses to the mean. Which of the two holds is said of
each failure, so that one whose answers varied changes nothing about the others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from ragdiag.metrics.question_slices import SliceKind, Slices, in_order
from ragdiag.records import Arm, Estimate
from ragdiag.stats.cluster_bootstrap import bounded_cluster_mean
from ragdiag.stats.clustered_rates import clustered_rate

HEADROOM_ARMS: Mapping[str, Arm] = {"tau": "g", "tau_rerank": "s", "tau_recall": "g+"}


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed request: ``p`` is the share of right answers by arm, empty where nothing was
    replayed. ``cluster`` is the gold's source document, else the topic."""

    p: Mapping[str, float]
    deterministic: bool = True
    cluster: str = ""
    question_id: str | None = None

    @classmethod
    def of(cls, evidence: Mapping[str, Any], topic: str, question_id: str | None) -> Self:
        """From the evidence of a diagnosis, as it is stored."""
        draws = evidence.get("draws") or {}
        known = {
            arm: _share_of_draws(p, draws.get(arm, 1))
            for arm, p in (evidence.get("p") or {}).items()
            if p is not None
        }
        documents = evidence.get("gold_documents") or [topic]
        repeats = bool(evidence.get("deterministic", True))
        return cls(known, repeats, documents[0], question_id)


def headroom(failures: Sequence[Failure]) -> dict[str, Estimate]:
    """By name, each undefined with its reason where no failure has its arms:

    ``tau`` gold alone, ``tau_rerank`` a perfect order of what was found, ``tau_recall`` gold added;
    ``tau_net`` is p(g) − p(r). ``phi_R`` and ``phi_G`` are the Shapley values of perfect retrieval
    and of the stronger generator, where one was asked; they sum to p(G+) − p(r). ``tau_bounds`` has
    bounds alone: τ if gold context would mend none, or all, of the failures that were not answered
    with it, each of them taken to be wrong when asked again.
    """
    found = {name: _share(failures, arm) for name, arm in HEADROOM_ARMS.items()}
    found["tau_net"] = _mean(failures, {"g": 1.0, "r": -1.0})
    if any("G+" in failure.p for failure in failures):
        found["phi_R"] = _mean(failures, {"g": 0.5, "r": -0.5, "G+": 0.5, "G+r": -0.5})
        found["phi_G"] = _mean(failures, {"G+r": 0.5, "r": -0.5, "G+": 0.5, "g": -0.5})
    found["tau_bounds"] = _with_unknown_gold(found["tau"], failures)
    return found


def headroom_by_slice(
    failures: Sequence[Failure], slices: Slices
) -> dict[SliceKind, dict[str, Estimate]]:
    """``tau`` by kind of question and slice, of replayed failures; kinds that do not divide them
    are left out."""
    replayed = [failure for failure in failures if "g" in failure.p]
    found: dict[SliceKind, dict[str, Estimate]] = {}
    for kind, slice_of in slices.items():
        held: dict[str, list[Failure]] = {}
        for failure in replayed:
            if (name := slice_of.get(failure.question_id or "")) is not None:
                held.setdefault(name, []).append(failure)
        if len(held) > 1:
            found[kind] = {name: _share(held[name], "g") for name in in_order(kind, held)}
    return found


def bounds_without_replay(logged: float, gold: float) -> tuple[float, float]:
    """The least and the most that τ can be, from the success rates on logged and on gold context.

    >>> bounds_without_replay(0.6, 0.8)
    (0.5000000000000001, 1.0)
    >>> bounds_without_replay(1.0, 1.0)
    (nan, nan)
    """
    if logged >= 1:
        return math.nan, math.nan
    return max(0.0, (gold - logged) / (1 - logged)), min(1.0, gold / (1 - logged))


def tell_headroom(found: Mapping[str, Estimate]) -> str | None:
    """One sentence; None where nothing was replayed."""
    tau, order = found["tau"], found["tau_rerank"]
    if math.isnan(tau.value):
        return None
    told = f"Perfect retrieval would fix {tau.value:.0%} of the failures{_within(tau)}"
    if tau.value < 0:
        told += ", that is, gold passages alone serve it worse than what was retrieved"
    if not math.isnan(order.value):
        told += f"; a perfect order of what was found alone {order.value:.0%}"
        told += _within(order, tell_n=order.n != tau.n)
    return f"{told}.".replace("%", " %").replace("  %", " %").replace("-", "−")


def _within(found: Estimate, *, tell_n: bool = True) -> str:
    """`` (12–98 %, n = 3)``, as much of it as there is."""
    to = " to " if found.low < 0 else "–"
    ends = f"{100 * found.low:.0f}{to}{100 * found.high:.0f} %"
    parts = [] if math.isnan(found.low) else [ends]
    parts += [f"n = {found.n:,}"] if tell_n else []
    return f" ({', '.join(parts)})" if parts else ""


def _share_of_draws(p: float, draws: int) -> float:
    """Right answers in ``draws``, from the ``p`` of replay.py: an average of posterior means
    would shrink every difference by draws / (draws + 1)."""
    return p if p in (0, 1) else round(p * (draws + 1) - 0.5) / draws


def _share(failures: Sequence[Failure], arm: Arm) -> Estimate:
    """Over the failures that are failures: of a generator that repeats itself what is right on
    ``r`` is none, of one that samples it may be luck, and counts with what it gains."""
    replayed = [failure for failure in failures if arm in failure.p]
    if not replayed:
        return Estimate.undefined("no failure was replayed")
    wrong = [
        failure
        for failure in replayed
        if _may_be_wrong(failure) and (failure.deterministic or "r" in failure.p)
    ]
    if not wrong:
        return Estimate.undefined("every answer was right when it was asked for again")
    if all(failure.deterministic for failure in replayed):
        # A failure of which no cluster is known stands alone.
        owners = [one.cluster or at for at, one in enumerate(wrong)]
        return clustered_rate([float(one.p[arm] == 1) for one in wrong], owners)
    gains = [failure.p[arm] - failure.p.get("r", 0.0) for failure in wrong]
    return bounded_cluster_mean(gains, [one.cluster for one in wrong], low=-1.0, high=1.0)


def _mean(failures: Sequence[Failure], weights: Mapping[Arm, float]) -> Estimate:
    """The mean over failures that have all these arms of Σ weight · p."""
    whole = [failure for failure in failures if weights.keys() <= failure.p.keys()]
    if not whole:
        return Estimate.undefined("no failure was replayed")
    values = [sum(weight * one.p[arm] for arm, weight in weights.items()) for one in whole]
    return bounded_cluster_mean(values, [one.cluster for one in whole], low=-1.0, high=1.0)


def _with_unknown_gold(tau: Estimate, failures: Sequence[Failure]) -> Estimate:
    """τ(1 − m) … τ(1 − m) + m, with m the share of those not answered with gold among the failures
    that are, or may be, wrong when asked again: τ says nothing of the others."""
    if math.isnan(tau.value):
        return Estimate.undefined(tau.reason or "undefined", n=len(failures))
    unknown = without_gold(failures)
    n = tau.n + unknown
    low = tau.value * tau.n / n
    return Estimate(
        math.nan, low, low + unknown / n, n, f"bounds: {unknown} of {n} not answered with gold"
    )


def without_gold(failures: Sequence[Failure]) -> int:
    """How many have no answer with gold context, and are not known to be right when asked again:
    gold is not known, or the replay did not get so far."""
    return sum("g" not in failure.p and _may_be_wrong(failure) for failure in failures)


def _may_be_wrong(failure: Failure) -> bool:
    """Whether it counts as wrong on ``r``, as far as known; of a generator that samples, one right
    answer may be luck."""
    return not failure.deterministic or failure.p.get("r") != 1
