"""Which faults the failures of two weeks come from, and which of them grew."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from ragdiag.records import Estimate, Weighed
from ragdiag.stats.weighted import difference_of_weighted_rates, weighted_rate
from ragdiag.store.queries import NOT_DIAGNOSED, Row


def fault_name(verdict: str | None, cause: str | None) -> str:
    """The most telling single name: the stage that lost the gold where that is the fault, else the
    verdict.

    >>> fault_name("retrieval", "fusion_loss"), fault_name("generator", "in_context")
    ('fusion_loss', 'generator')
    >>> fault_name("retrieval", "gold_unknown")
    'retrieval'
    """
    if verdict is None:
        return NOT_DIAGNOSED
    tells = verdict in ("retrieval", "corpus") and cause not in (None, "gold_unknown")
    return cause if tells and cause else verdict


@dataclass(frozen=True, slots=True)
class FaultShare:
    """Failures with one fault, as shares of all graded requests of the week."""

    name: str
    before: Estimate
    after: Estimate
    difference: Estimate


@dataclass(frozen=True, slots=True)
class Growth:
    """The fault that grew most, and its part (0 … 1) of everything that grew."""

    fault: FaultShare
    part: float


def fault_shares(
    rows: Iterable[Row],
    *,
    before: date | None,
    after: date,
    graded_before: Weighed,
    graded_after: Weighed,
) -> list[FaultShare]:
    """Faults of two weeks, the most frequent of the later week first; ``before`` may be missing.

    ``rows`` are ``week, verdict, cause, n`` of failed requests.
    """
    none = Weighed.of(0)
    counts: dict[str, dict[date, Weighed]] = {}
    for row in rows:
        weeks = counts.setdefault(fault_name(row["verdict"], row["cause"]), {})
        weeks[row["week"]] = weeks.get(row["week"], none) + row["n"]
    shares = []
    for name, weeks in counts.items():
        earlier = none if before is None else weeks.get(before, none)
        later = weeks.get(after, none)
        if not earlier.plain and not later.plain:
            continue
        shares.append(
            FaultShare(
                name,
                weighted_rate(earlier, graded_before),
                weighted_rate(later, graded_after),
                difference_of_weighted_rates(earlier, graded_before, later, graded_after),
            )
        )
    return sorted(shares, key=lambda share: (-share.after.value, share.name))


def fastest_growth(shares: Iterable[FaultShare]) -> Growth | None:
    """The fault whose share of requests rose most; None where none rose."""
    grown = [share for share in shares if share.difference.value > 0]
    if not grown:
        return None
    top = max(grown, key=lambda share: share.difference.value)
    return Growth(top, top.difference.value / sum(share.difference.value for share in grown))
