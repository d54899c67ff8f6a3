"""What perfect retrieval would buy: the share of failures that gold context turns right.

METHODS.md §5. For a generator that repeats itself the share is counted; for one that samples it
is a difference of probabilities over fresh draws, since a failure selected on one bad draw
regresses to the mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ragdiag.diagnosis.replay import ArmOutcome
from ragdiag.records import Arm, Estimate
from ragdiag.stats.intervals import bca_mean, wilson

HEADROOM_ARMS: Mapping[str, Arm] = {"tau": "g", "tau_recall": "g+"}


def headroom(failures: Sequence[Mapping[Arm, ArmOutcome]]) -> dict[str, Estimate]:
    """``tau`` (gold alone) and ``tau_recall`` (gold added) over replayed failures.

    Each mapping is one failed request's arms. Undefined without failures.
    """
    return {name: _share(failures, arm) for name, arm in HEADROOM_ARMS.items()}


def _share(failures: Sequence[Mapping[Arm, ArmOutcome]], arm: Arm) -> Estimate:
    pairs = [(arms[arm], arms["r"]) for arms in failures if arm in arms and arms[arm].draws]
    if not pairs:
        return Estimate.undefined("no failure was replayed")
    if all(changed.deterministic for changed, _ in pairs):
        return wilson(sum(changed.successes > 0 for changed, _ in pairs), len(pairs))
    return bca_mean([changed.p - logged.p for changed, logged in pairs])
