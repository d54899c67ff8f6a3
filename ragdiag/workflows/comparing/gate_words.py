"""What a gate found, in words and as a Markdown table."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from ragdiag.stats.criteria import Criterion, Decision

ADVICE: Mapping[Decision, str] = {
    "pass": "B may replace A.",
    "rollback": "Keep A: B is worse.",
    "inconclusive": "Keep A: the data decide neither way.",
}


def criteria_text(criteria: Mapping[str, Criterion]) -> Iterator[str]:
    """A line for each criterion: its decision, both values, the change and the reason."""
    for name, found in criteria.items():
        decision = found.decision or "not judged"
        numbers = [found.measure, values(found), change(found)]
        told = "  ".join(part for part in numbers if part)
        yield f"{name:8} {decision:13} {told}  ({found.reason})"


def criteria_table(criteria: Mapping[str, Criterion]) -> Iterator[str]:
    """The same as the lines of a Markdown table."""
    yield "| criterion | decision | measure | A → B | change (95 % interval) | why |"
    yield "|---|---|---|---|---|---|"
    for name, found in criteria.items():
        decision = found.decision or "not judged"
        cells = [name, f"**{decision}**", found.measure, values(found), change(found), found.reason]
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def values(found: Criterion) -> str:
    """Both versions' values; nothing where they are unknown.

    >>> from ragdiag.records import Estimate
    >>> values(Criterion("m", None, "", "ratio", Estimate.undefined(""), a=0.5, b=51.25))
    '0.500 → 51.2'
    """
    if math.isnan(found.a) or math.isnan(found.b):
        return ""
    return f"{_short(found.a)} → {_short(found.b)}"


def change(found: Criterion) -> str:
    """B − A with its sign, or how many times A, with the interval, or why there is none, and its n.

    >>> from ragdiag.records import Estimate
    >>> change(Criterion("m", None, "", "ratio", Estimate(1.25, 1.1, 1.5, 90)))
    '× 1.250 (1.100 to 1.500), n = 90'
    >>> alone = Estimate(1.25, math.nan, math.nan, 1, "one value has no interval")
    >>> change(Criterion("m", None, "", "ratio", alone))
    '× 1.250 (one value has no interval), n = 1'
    >>> change(Criterion("m", None, "", "ratio", Estimate(1.0, 0.25, math.nan, 40)))
    '× 1.000 (from 0.250, no upper bound), n = 40'
    """
    estimate = found.change
    if math.isnan(estimate.value):
        return ""
    sign = "+" if found.scale == "difference" else ""
    front = "" if found.scale == "difference" else "× "
    within = f"{estimate.low:{sign}z.3f} to {estimate.high:{sign}z.3f}"
    if math.isnan(estimate.low):
        within = estimate.reason or "no interval"
    elif not math.isfinite(estimate.high):
        within = f"from {estimate.low:{sign}z.3f}, no upper bound"
    return f"{front}{estimate.value:{sign}z.3f} ({within}), n = {estimate.n}"


def _short(value: float) -> str:
    """Three digits behind the point below 10, all that tell below 0.01."""
    if value and abs(value) < 0.01:
        return f"{value:.3g}"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"
