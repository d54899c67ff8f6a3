"""How long work tells how far it is: a callable given a fraction (0 … 1) and a message."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[float, str], None]


def report(progress: Progress | None, fraction: float, message: str) -> None:
    """Tell ``progress``, if anybody listens; the fraction is clipped to [0, 1]."""
    if progress is not None:
        progress(min(max(fraction, 0.0), 1.0), message)


def part(progress: Progress | None, start: float, end: float) -> Progress:
    """A progress whose 0 … 1 is the stretch ``start`` … ``end`` of the whole.

    >>> seen = []
    >>> part(lambda fraction, message: seen.append(fraction), 0.5, 1.0)(0.5, "half of the half")
    >>> seen
    [0.75]
    """
    return lambda fraction, message: report(progress, start + (end - start) * fraction, message)
