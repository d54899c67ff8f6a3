"""What one criterion of a gate says, how several make one decision, and what would settle it."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ragdiag.records import Estimate
from ragdiag.stats.contrasts import Means

Decision = Literal["pass", "rollback", "inconclusive"]
Scale = Literal["difference", "ratio"]

PASS_CONFIDENCE = 0.95
ROLLBACK_CONFIDENCE = 0.975
Z_PASS, Z_ROLLBACK, Z_POWER = 1.6449, 1.9600, 0.8416
"""Normal quantiles at 95 %, 97.5 % and 80 %."""
MOST_VALUES = 10**9
"""Beyond it nobody plans, and a difference is what adding up has left of none."""
LEAST_CLUSTERS = 30
"""Questions or users below which nothing passes."""


@dataclass(frozen=True, slots=True)
class Criterion:
    """B, the candidate, against A, the incumbent, on one ``measure``.

    ``decision`` is None where it was not judged. ``change`` is B − A or B/A, as ``scale`` says,
    with its two-sided 95 % interval; ``bounds`` are the one-sided ones that decide, by name.
    ``needed_n`` is how many values of B would decide with 80 % chance if mean and spread stay as
    they are; None where nothing can be said. Once it has decided, it needs no more.
    """

    measure: str
    decision: Decision | None
    reason: str
    scale: Scale
    change: Estimate
    a: float = math.nan
    b: float = math.nan
    bounds: Mapping[str, float] = field(default_factory=dict)
    needed_n: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Undefined numbers are null; an open bound is, too."""
        return {
            "measure": self.measure,
            "decision": self.decision,
            "reason": self.reason,
            "a": _number(self.a),
            "b": _number(self.b),
            self.scale: self.change.to_json(),
            "bounds": {name: _number(bound) for name, bound in self.bounds.items()},
            "needed_n": self.needed_n if self.decision == "inconclusive" else None,
        }


def combine(criteria: Mapping[str, Criterion], *, optional: Collection[str] = ()) -> Decision:
    """``rollback`` if any criterion says so, ``pass`` if all do, else ``inconclusive``. One that
    was not judged keeps B from passing, unless it is ``optional``.

    >>> fine = Criterion("MRR@10", "pass", "", "difference", Estimate.undefined(""))
    >>> free = Criterion("cost", None, "no prices", "ratio", Estimate.undefined(""))
    >>> combine({"quality": fine, "cost": free}, optional={"cost"})
    'pass'
    >>> combine({"quality": fine, "cost": free})
    'inconclusive'
    """
    decisions = {
        one.decision for name, one in criteria.items() if one.decision or name not in optional
    }
    if "rollback" in decisions:
        return "rollback"
    return "pass" if decisions == {"pass"} else "inconclusive"


def needed_for_all(criteria: Iterable[Criterion]) -> int | None:
    """The most that any undecided criterion needs; None where one cannot say, or all decided."""
    open_ones = [one.needed_n for one in criteria if one.decision == "inconclusive"]
    known = [n for n in open_ones if n is not None]
    return max(known) if known and len(known) == len(open_ones) else None


def needed_n(n: int, distance: float, z: float) -> int | None:
    """How many values decide with 80 % chance, given that ``n`` lie ``distance`` standard errors
    on the deciding side: n ((z + z₈₀) / distance)². None on the other side.

    >>> needed_n(100, distance=1.0, z=Z_PASS), needed_n(100, distance=-1.0, z=Z_PASS)
    (619, None)
    """
    return math.ceil(n * ((z + Z_POWER) / distance) ** 2) if distance > 0 else None


def needed_to_pass(
    gain: float, deviation: float, loss: float, z: float = Z_PASS, z_power: float = Z_POWER
) -> int | None:
    """How many values pass with that power: the least n whose mean, with one value more that is
    ``loss`` below 0, is so many of its standard errors above 0. ``gain`` and ``deviation`` are the
    mean and the spread of the others. None where the mean is not above 0, or where it would take
    more than MOST_VALUES.

    >>> needed_to_pass(0.012, 0.0, 0.588), needed_to_pass(0.1, 0.4, 0.588)
    (132, 114)
    """
    if not gain > 0:
        return None

    def passes(n: int) -> bool:
        spread = (deviation**2 + (gain + loss) ** 2 / (n + 1)) / (n + 1)
        reach = z * math.sqrt(spread) + z_power * deviation / math.sqrt(n)
        return (n * gain - loss) / (n + 1) >= reach

    if not passes(MOST_VALUES):
        return None
    return bisect_left(range(MOST_VALUES), True, lo=2, key=passes)


def with_least_clusters(needed: int | None, means: Means) -> int | None:
    """At least as many values as bring LEAST_CLUSTERS, with as many a cluster as now."""
    if needed is None or not means.clusters:
        return None
    return max(needed, math.ceil(LEAST_CLUSTERS * means.n / means.clusters))


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
