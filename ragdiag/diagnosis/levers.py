"""What to do next: levers with their gain and cost, the best return first.

A gain is a change of the share of right answers. It is **measured** where logged questions were
answered again under the changed setting or by a tuned version, **counted** where it follows from
the verdicts, and a **ceiling** where only the most that it could bring is known. Costs are minutes
of somebody's work, as stated by whoever asks, and as measured what a request takes longer and what
a million of them cost more.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from ragdiag.diagnosis.sides import gold_arrived
from ragdiag.records import Diagnosis, Estimate
from ragdiag.stats.families import hold_together
from ragdiag.stats.paired import holm

Basis = Literal["measured", "counted", "ceiling"]
ALPHA = 0.05
NO_SETTING = Estimate.undefined("no setting: requests take and cost what they do")


UNCURED: Mapping[str, str] = {
    "undetermined": "no replay decides it: a reviewer does",
    "gold_unknown": "say which passage is gold: ragdiag import gold PATH",
}
"""What to do about a fault that no lever mends."""


@dataclass(frozen=True, slots=True)
class WorkRates:
    """Minutes of work: to change a setting, to write a missing document, to mend a label, to
    prepare a training run."""

    setting: float = 15.0
    document: float = 20.0
    label: float = 5.0
    training: float = 240.0


@dataclass(frozen=True, slots=True)
class Lever:
    """``mends`` are the causes, second levels and verdicts it is meant for. ``gain`` is a share of
    right answers, ``ranking_gain`` in MRR@10 over all questions. ``p_holm`` is over all that was
    measured, on questions about so many ``documents`` (None: as many as questions). ``slower`` is
    what a request takes more in milliseconds, ``dearer`` what a million requests cost more in US
    dollars. Every estimate has its 95 % interval, or a reason for none; once ranked, those of all
    measured gains hold together with 95 %."""

    name: str
    mends: tuple[str, ...]
    basis: Basis
    gain: Estimate
    work_minutes: float
    action: str
    ranking_gain: Estimate = field(default_factory=lambda: Estimate.undefined("not a ranking"))
    p: float = math.nan
    p_holm: float = math.nan
    slower: Estimate = NO_SETTING
    dearer: Estimate = NO_SETTING
    note: str = ""
    documents: int | None = None

    @property
    def helps(self) -> bool:
        """Whether its gain is more than chance."""
        if self.basis == "measured":
            return self.p_holm < ALPHA and self.gain.low > 0
        return self.basis == "counted" and self.gain.low > 0

    @property
    def gain_per_hour(self) -> float:
        """Share of right answers gained by an hour of work; NaN where undefined."""
        return self.gain.value / (self.work_minutes / 60)

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "mends": list(self.mends),
            "basis": self.basis,
            "helps": self.helps,
            "gain": self.gain.to_json(),
            "ranking_gain": self.ranking_gain.to_json(),
            "p": _number(self.p),
            "p_holm": _number(self.p_holm),
            "slower": self.slower.to_json(),
            "dearer": self.dearer.to_json(),
            "work_minutes": self.work_minutes,
            "gain_per_hour": _number(self.gain_per_hour),
            "action": self.action,
            "note": self.note,
        }


def rank_levers(levers: Sequence[Lever]) -> list[Lever]:
    """With Holm's p over all that were measured, and intervals of their gains that hold together:
    what measured best is told first, and by itself its interval would hold its gain in 83 to 89 %
    (docs/statistics.md). Those that help first, by gain per hour of work; then ceilings, the
    highest first; then what was not shown to help.

    >>> def lever(name, basis, low, minutes):
    ...     return Lever(name, (), basis, Estimate(0.1, low, 0.2, 50), minutes, "", p=0.001)
    >>> found = rank_levers([lever("a", "ceiling", 0.05, 1), lever("b", "measured", -0.1, 1),
    ...                      lever("c", "counted", 0.05, 60), lever("d", "measured", 0.05, 30)])
    >>> [one.name for one in found]
    ['d', 'c', 'a', 'b']
    """
    measured = [one.p if one.basis == "measured" else math.nan for one in levers]
    tried = count_tried(levers)
    told = [
        replace(one, p_holm=p, gain=_beside(one, tried))
        for one, p in zip(levers, holm(measured), strict=True)
    ]

    def place(one: Lever) -> tuple[int, float, str]:
        if one.helps:
            return 0, -one.gain_per_hour, one.name
        worth = -one.gain.value if one.gain.value == one.gain.value else math.inf
        return (1 if one.basis == "ceiling" else 2), worth, one.name

    return sorted(told, key=place)


def count_tried(levers: Iterable[Lever]) -> int:
    """Those whose gain was measured and tested: Holm's family."""
    return sum(one.basis == "measured" and not math.isnan(one.p) for one in levers)


def _beside(lever: Lever, tried: int) -> Estimate:
    """The gain of one that was measured among so many; of any other, as it is."""
    if lever.basis != "measured" or lever.gain.n < 2:
        return lever.gain
    freedom = (lever.gain.n if lever.documents is None else lever.documents) - 1
    found = hold_together(lever.gain, tried, freedom)
    return replace(found, low=max(found.low, -1.0), high=min(found.high, 1.0))  # NaN stays


def count_faults(diagnoses: Iterable[Diagnosis]) -> dict[str, int]:
    """Failures by what levers mend, the most frequent first: the cause where the verdict blames
    where the gold was lost, else the verdict. An answer that nobody could grade is no failure."""
    failed = [
        one
        for one in diagnoses
        if one.verdict not in ("ok", "lucky")
        and not (one.verdict == "undetermined" and one.evidence.get("y") is None)
    ]
    lost = ("corpus", "retrieval", "packing")
    faults = Counter(
        (gold_arrived(one) or one.verdict) if one.verdict in lost else one.verdict for one in failed
    )
    return dict(sorted(faults.items(), key=lambda item: (-item[1], item[0])))


def cures(levers: Sequence[Lever], fault: str) -> list[Lever]:
    """Those meant for ``fault``, ranked as they were."""
    return [lever for lever in levers if fault in lever.mends]


def first_step(levers: Sequence[Lever]) -> str:
    """The sentence before the table, from ranked levers."""
    if not levers:
        return "Nothing to do: no question failed and no setting was tried."
    best = levers[0]
    if best.helps:
        ms = best.slower.value
        slower = f", {ms:+z.0f} ms a request" if not math.isnan(ms) else ""
        tried = count_tried(levers)
        less = f" It is the best of {tried} tried: expect less of it."
        how = {"measured": "measured", "counted": "from the verdicts", "ceiling": ""}[best.basis]
        return (
            f"Next: {best.name}: {_points(best.gain)} right answers, {how} on {best.gain.n:,} "
            f"questions{slower}, about {_work(best.work_minutes)} of work."
            f"{less if best.basis == 'measured' and tried > 1 else ''}"
        )
    if best.basis == "ceiling":
        return (
            f"No setting tried is shown to help. The most is left in: {best.name} (at most "
            f"{_points(best.gain)} right answers; how much of it comes is not known)."
        )
    return (
        f"No lever is shown to help on {best.gain.n:,} questions; the table tells what was tried."
    )


def counted_gain(share: Estimate, right: Estimate) -> Estimate:
    """The gain if the ``share`` of questions that wait could be answered as well as those whose
    gold reached the prompt, which are right with the rate ``right``. The bounds are the products of
    both intervals' bounds, which is wider than 95 %; none where either has none.

    >>> found = counted_gain(Estimate(0.1, 0.055, 0.175, 100), Estimate(0.8, 0.7, 0.9, 60))
    >>> round(found.value, 3), round(found.low, 3), round(found.high, 3)
    (0.08, 0.038, 0.158)
    """
    if math.isnan(right.value) or math.isnan(share.value):
        return Estimate.undefined(right.reason or share.reason or "undefined", n=share.n)
    low, high = share.low * right.low, share.high * right.high
    reason = (share.reason or right.reason) if math.isnan(low) else None
    return Estimate(share.value * right.value, low, high, share.n, reason)


def _points(found: Estimate) -> str:
    """
    >>> _points(Estimate(0.1, 0.05, 0.2, 50))
    '+10.0 points (+5.0 to +20.0)'
    >>> _points(Estimate(0.1, math.nan, math.nan, 50, "all belong together: no interval"))
    '+10.0 points (all belong together: no interval)'
    """
    value, low, high = (100 * x for x in (found.value, found.low, found.high))
    reach = found.reason if math.isnan(low) else f"{low:+.1f} to {high:+.1f}"
    return f"{value:+.1f} points ({reach})"


def _work(minutes: float) -> str:
    return f"{minutes:.0f} minutes" if minutes < 90 else f"{minutes / 60:.1f} hours"


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
