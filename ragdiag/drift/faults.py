"""Which faults the failures of two weeks come from, and which of them grew."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from ragdiag.records import Estimate
from ragdiag.stats.intervals import difference_of_rates, wilson
from ragdiag.store.queries import NOT_DIAGNOSED, Row


@dataclass(frozen=True, slots=True)
class FaultShare:
    """Failures with one verdict and cause, as shares of all graded requests of the week."""

    verdict: str
    cause: str
    before: Estimate
    after: Estimate
    difference: Estimate


@dataclass(frozen=True, slots=True)
class Growth:
    """The fault that grew most, and its part (0 … 1) of everything that grew."""

    fault: FaultShare
    part: float


def fault_shares(
    rows: Iterable[Row], *, before: date | None, after: date, graded_before: int, graded_after: int
) -> list[FaultShare]:
    """Faults of two weeks, the most frequent of the later week first; ``before`` may be missing.

    ``rows`` are ``week, verdict, cause, n`` of failed requests.
    """
    counts: dict[tuple[str, str], dict[date, int]] = {}
    for row in rows:
        fault = (row["verdict"] or NOT_DIAGNOSED, row["cause"] or NOT_DIAGNOSED)
        weeks = counts.setdefault(fault, {})
        weeks[row["week"]] = weeks.get(row["week"], 0) + row["n"]
    shares = []
    for (verdict, cause), weeks in counts.items():
        earlier = 0 if before is None else weeks.get(before, 0)
        later = weeks.get(after, 0)
        if not earlier and not later:
            continue
        moved = difference_of_rates(earlier, graded_before, later, graded_after)
        shares.append(
            FaultShare(
                verdict, cause, wilson(earlier, graded_before), wilson(later, graded_after), moved
            )
        )
    return sorted(shares, key=lambda share: (-share.after.value, share.verdict, share.cause))


def fastest_growth(shares: Iterable[FaultShare]) -> Growth | None:
    """The fault whose share of requests rose most; None where none rose."""
    grown = [share for share in shares if share.difference.value > 0]
    if not grown:
        return None
    top = max(grown, key=lambda share: share.difference.value)
    return Growth(top, top.difference.value / sum(share.difference.value for share in grown))
