"""How often verdicts were right about failures whose cause is known, by tier of evidence.

A verdict is right where it names the fault's part. An abstention (``undetermined``) is not right,
nor is it wrong: ``right`` counts it among all, ``right_when_decided`` leaves it out, and its share
stands beside them. ``by_verdict`` is the calibration: how often each verdict, when given, was true.

``side`` counts the same of the coarser answer, retriever or generator (sides.py), over the faults
that have a side.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from ragdiag.diagnosis.sides import SIDES, Side
from ragdiag.records import Estimate, Tier, Verdict
from ragdiag.stats.intervals import wilson

TIERS: tuple[Tier, ...] = get_args(Tier)
ABSTAINED: Verdict = "undetermined"


@dataclass(frozen=True, slots=True)
class Told:
    """One verdict at one tier about a failure whose fault calls for ``expected``."""

    fault: str
    expected: Verdict
    tier: Tier
    verdict: Verdict
    side: Side | None = None


@dataclass(frozen=True, slots=True)
class Trust:
    """``right`` of all, ``right_when_decided`` of those that are no abstention."""

    right: Estimate
    right_when_decided: Estimate
    abstained: Estimate

    def to_json(self) -> dict[str, Any]:
        return {
            "right": self.right.to_json(),
            "right_when_decided": self.right_when_decided.to_json(),
            "abstained": self.abstained.to_json(),
        }


@dataclass(frozen=True)
class TierTrust:
    """``matrix`` {fault: {verdict: count}}, every fault's counts adding up to its failures."""

    tier: Tier
    part: Trust
    side: Trust
    by_verdict: Mapping[str, Estimate]
    matrix: Mapping[str, Mapping[str, int]]

    def to_json(self) -> dict[str, Any]:
        return {
            **self.part.to_json(),
            "side": self.side.to_json(),
            "by_verdict": {name: one.to_json() for name, one in self.by_verdict.items()},
            "matrix": {fault: dict(row) for fault, row in self.matrix.items()},
        }


def trust(told: Sequence[Told], tier: Tier) -> TierTrust:
    """What one tier's verdicts were worth; undefined estimates without any.

    >>> told = [Told("f", "corpus", "A", "corpus"), Told("f", "corpus", "A", "packing")]
    >>> found = trust(told, "A")
    >>> found.part.right.value, found.matrix["f"]
    (0.5, {'corpus': 1, 'packing': 1})
    """
    mine = [one for one in told if one.tier == tier]
    decided = [one for one in mine if one.verdict != ABSTAINED]
    matrix: dict[str, Counter[str]] = {}
    for one in mine:
        matrix.setdefault(one.fault, Counter())[one.verdict] += 1
    return TierTrust(
        tier=tier,
        part=_worth([None if one.verdict == ABSTAINED else _is_right(one) for one in mine]),
        side=_worth(
            [
                None if one.side is None else one.side == SIDES[one.expected]
                for one in mine
                if one.expected in SIDES
            ]
        ),
        by_verdict={
            verdict: _share([_is_right(one) for one in decided if one.verdict == verdict])
            for verdict in sorted({one.verdict for one in decided})
        },
        matrix={fault: dict(row) for fault, row in matrix.items()},
    )


def _is_right(told: Told) -> bool:
    return told.verdict == told.expected


def _worth(outcomes: Sequence[bool | None]) -> Trust:
    """Of answers that are right, wrong, or None: an abstention."""
    decided = [one for one in outcomes if one is not None]
    return Trust(
        right=wilson(sum(decided), len(outcomes)),
        right_when_decided=_share(decided),
        abstained=wilson(len(outcomes) - len(decided), len(outcomes)),
    )


def _share(right: Sequence[bool]) -> Estimate:
    return wilson(sum(right), len(right))
