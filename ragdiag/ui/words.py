"""Numbers, changes and times in plain words; one place, so that every page says the same."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta

from ragdiag.drift.latency import Standing
from ragdiag.records import Estimate

NBSP = "\u00a0"
MINUS = "−"
MEASURED: Mapping[str, str] = {"ms": "ms", "usd": "USD", "hours": "h"}
"""Units that are written behind a number of three figures."""

AXES: Mapping[str, str] = {"share": "share of requests", "score": "mean score", "ms": "ms"}


def number(value: float, unit: str) -> str:
    """One value with its unit: ``61.3 %``, ``0.634``, ``182 ms``, ``1,250 USD``; a dash where
    undefined."""
    if math.isnan(value):
        return "–"
    sign = MINUS if value < 0 else ""
    size = abs(value)
    if unit == "share":
        return f"{sign}{100 * size:.1f}{NBSP}%"
    if unit in MEASURED:
        return f"{sign}{_three_figures(size)}{NBSP}{MEASURED[unit]}"
    return f"{sign}{size:.3f}"


def with_interval(found: Estimate, unit: str) -> str:
    """``61.3 % (57.0–65.4, n = 512)``; says why where there is no value or no interval."""
    if math.isnan(found.value):
        return f"– ({found.reason or 'undefined'}, n{NBSP}={NBSP}{found.n:,})"
    return f"{number(found.value, unit)} ({_bounds(found, unit)}n{NBSP}={NBSP}{found.n:,})"


def interval_only(found: Estimate, unit: str) -> str:
    """``95 % interval 57.0–65.4, n = 512``, for beside a number that stands alone."""
    n = f"n{NBSP}={NBSP}{found.n:,}"
    if math.isnan(found.low) or math.isnan(found.high):
        return f"{found.reason or 'no interval'}, {n}"
    return f"95{NBSP}% interval {bare(found.low, unit)}–{bare(found.high, unit)}, {n}"


def change(found: Estimate, unit: str) -> str:
    """A signed difference with its interval: ``−13.0 points (−19.2 to −7.1)``; says why where
    there is none."""
    if math.isnan(found.value):
        return f"– ({found.reason})" if found.reason else "–"
    value = signed(found.value, unit)
    if math.isnan(found.low) or math.isnan(found.high):
        why = found.reason or "no interval"
        return f"{value} ({why})" if "no interval" in why else f"{value} (no interval: {why})"
    low, high = (bare(bound, unit, plus=True) for bound in (found.low, found.high))
    return f"{value} ({low} to {high})"


def signed(value: float, unit: str) -> str:
    """``+2.1 points``, ``−0.031``, ``+45 ms``."""
    name = {"share": "points", **MEASURED}.get(unit, "")
    return bare(value, unit, plus=True) + (name and f"{NBSP}{name}")


def size(value: float, unit: str) -> str:
    """How large a difference is, whichever way: ``2.1 points``."""
    return "–" if math.isnan(value) else signed(abs(value), unit).lstrip("+")


def detectable(least: float, difference: float, unit: str) -> str:
    """The least true difference that would have shown; a dash where there is none to name, with the
    reason where it is that the differences have no spread.

    >>> detectable(0.0, 0.0, "score"), detectable(0.0, 1.0, "score"), detectable(0.04, 0.0, "score")
    ('– (all the same)', '– (all moved alike)', '0.040')
    """
    if least == 0:
        return f"– ({'all moved alike' if difference else 'all the same'})"
    return size(least, unit)


def bare(value: float, unit: str, *, plus: bool = False) -> str:
    """A value in its unit's scale without the unit's name."""
    sign = MINUS if value < 0 else "+" if plus and value > 0 else ""
    size = abs(value)
    if unit == "share":
        return f"{sign}{100 * size:.1f}"
    return f"{sign}{_three_figures(size)}" if unit in MEASURED else f"{sign}{size:.3f}"


def megabytes(size: float) -> str:
    """``7.1 MB``; of less than a tenth of one, kilobytes.

    >>> megabytes(7_080_000), megabytes(2_400)
    ('7.1\\xa0MB', '2.4\\xa0kB')
    """
    return f"{size / 1e6:,.1f}{NBSP}MB" if size >= 1e6 else f"{size / 1e3:.1f}{NBSP}kB"


def against(standing: Standing, target_ms: int) -> str:
    """How a quantile stands against a target, in Markdown.

    >>> against("over", 200)
    '**over** the 200 ms target'
    """
    if standing == "unknown":
        return "**too few requests** to tell"
    where = "not clearly on one side" if standing == "undecided" else standing
    return f"**{where}** {'of ' if standing == 'undecided' else ''}the {target_ms} ms target"


def ungraded_bounds(ungraded: int, bounds: tuple[float, float]) -> str:
    """What a rate of right answers may be over all requests, where some are not graded.

    >>> ungraded_bounds(1, (0.5, 0.75))
    '1 request is not graded: of all, 50.0\xa0% are correct if it is wrong, 75.0\xa0% if right.'
    """
    low, high = (number(bound, "share") for bound in bounds)
    which = "is not graded: of all, {} are correct if it is wrong, {} if right."
    if ungraded != 1:
        which = "are not graded: of all, {} are correct if these are wrong, {} if right."
    return f"{count(ungraded, 'request')} {which.format(low, high)}"


def p_value(p: float) -> str:
    """``< .001``, ``.034``; a dash where undefined."""
    if math.isnan(p):
        return "–"
    return "< .001" if p < 0.001 else f"{p:.3f}".lstrip("0") if p < 1 else "1"


def week(monday: date) -> str:
    """``3–9 Nov 2025``: the days of the week that starts on ``monday``.

    >>> week(date(2025, 9, 29))
    '29 Sep – 5 Oct 2025'
    """
    sunday = monday + timedelta(days=6)
    if monday.month == sunday.month:
        return f"{monday.day}–{sunday.day} {sunday:%b %Y}"
    start = f"{monday.day} {monday:%b}" + ("" if monday.year == sunday.year else f" {monday.year}")
    return f"{start} – {sunday.day} {sunday:%b %Y}"


def weeks(mondays: Sequence[date]) -> str:
    """One week, or the stretch from the first to the last."""
    if len(mondays) == 1:
        return f"week of {week(mondays[0])}"
    return f"{len(mondays)} weeks, {week(mondays[0])} to {week(mondays[-1])}"


def moment(at: datetime) -> str:
    """``Tue 4 Nov 2025, 14:03 UTC``."""
    return f"{at:%a} {at.day} {at:%b %Y, %H:%M} UTC"


def count(n: int, one: str, many: str | None = None) -> str:
    """``1 request``, ``1,204 requests``."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def _bounds(found: Estimate, unit: str) -> str:
    if math.isnan(found.low) or math.isnan(found.high):
        return "no interval, "
    return f"{bare(found.low, unit)}–{bare(found.high, unit)}, "


def _three_figures(size: float) -> str:
    """They are enough: 1,204 · 182 · 18.2 · 1.82 · 0.02."""
    return f"{size:,.0f}" if size >= 100 else f"{size:.1f}" if size >= 10 else f"{size:.2f}"
