"""Times as the lake stores them: naive UTC. Records carry aware ones."""

from __future__ import annotations

from datetime import UTC, datetime


def now_utc() -> datetime:
    """The present as the lake stores it: naive UTC."""
    return to_naive_utc(datetime.now(UTC))


def to_naive_utc(moment: datetime) -> datetime:
    """An aware time as the lake stores it. A naive one raises ValueError: its zone is unknown.

    >>> to_naive_utc(datetime.fromisoformat("2026-01-01T12:00:00+02:00"))
    datetime.datetime(2026, 1, 1, 10, 0)
    """
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no time zone")
    return moment.astimezone(UTC).replace(tzinfo=None)


def to_aware_utc(moment: datetime) -> datetime:
    """A time from the lake as records carry it."""
    return moment.replace(tzinfo=UTC)
