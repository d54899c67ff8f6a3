"""What one request adds to the sums of costs: the one definition, in SQL.

Whether a version pays for its generator is known only once its requests are, so there are sums for
either case. Those of both amounts together are kept in parts, of which the machine's price makes
the whole: (usd + c·s)² = usd² + 2c·usd·s + c²·s².
"""

from __future__ import annotations

from collections.abc import Mapping

from ragdiag.records import LATENCY_STAGES

MOST_USD = 1e3
LONGEST_MS = 86_400_000.0
"""More than this, or a stage of more than a day, is a mistake of units: what is left of a square of
it, once it was taken off again, would be more than what the others add up to."""


def _worked(*stages: str) -> str:
    """Milliseconds of these stages; null where none was timed."""
    ms = [f"{stage}_ms" for stage in stages]
    return (
        f"case when coalesce({', '.join(ms)}) is not null "
        f"then {' + '.join(f'coalesce({one}, 0)' for one in ms)} end"
    )


_HERE = tuple(stage for stage in LATENCY_STAGES if stage not in ("generation", "total"))
AMOUNTS = f"""
    coalesce(cost_usd, case when cache_hit then 0 end) as bill,
    case when cache_hit then total_ms
         else coalesce({_worked(*_HERE, "generation")}, total_ms) end / 1e3 as seconds,
    case when cache_hit then total_ms else {_worked(*_HERE)} end / 1e3 as here_seconds"""
"""Columns beside those of a request: ``seconds`` of the machine where nothing is paid for, and
where something is its ``bill`` in US dollars and ``here_seconds``. Null is unknown."""

OUTSIZED = f"""(coalesce(s.cost_usd > {MOST_USD}, false) or coalesce(
    greatest({", ".join(f"s.{stage}_ms" for stage in LATENCY_STAGES)}) > {LONGEST_MS}, false))"""
"""Of a request whose amounts no rollup adds up."""

_PRICED = "s.cost_usd is not null"
_BILLED = "s.bill is not null"


def _sum(amount: str, where: str = "true") -> str:
    return f"coalesce(case when {where} then {amount} end, 0)"


def _count(amount: str, where: str = "true") -> str:
    return f"({where} and {amount} is not null)::int"


COST_MEASURES: Mapping[str, str] = {
    "paid": _sum("1", "s.cost_usd > 0"),
    "billed": _count("s.bill"),
    "cost_usd2": _sum("s.cost_usd * s.cost_usd"),
    "timed": _count("s.seconds"),
    "seconds": _sum("s.seconds"),
    "seconds2": _sum("s.seconds * s.seconds"),
    "priced_timed": _count("s.seconds", _PRICED),
    "priced_seconds": _sum("s.seconds", _PRICED),
    "priced_seconds2": _sum("s.seconds * s.seconds", _PRICED),
    "here": _count("s.here_seconds"),
    "here_seconds": _sum("s.here_seconds"),
    "here_seconds2": _sum("s.here_seconds * s.here_seconds"),
    "billed_here": _count("s.here_seconds", _BILLED),
    "billed_usd": _sum("s.bill", "s.here_seconds is not null"),
    "billed_usd2": _sum("s.bill * s.bill", "s.here_seconds is not null"),
    "billed_seconds": _sum("s.here_seconds", _BILLED),
    "billed_seconds2": _sum("s.here_seconds * s.here_seconds", _BILLED),
    "billed_usd_seconds": _sum("s.bill * s.here_seconds"),
}
"""Of one request ``s`` with AMOUNTS: whether it was ``paid`` for; its amounts and their squares
where nothing is paid for (``timed``, and of them the priced ones, which cost 0) and where something
is (``here``, and of them the billed ones)."""
