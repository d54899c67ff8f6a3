"""Which segments of a split are worth a line, and which of their changes can be compared."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ragdiag.drift.weekly import Cells, Change, moved_beside

EVERY_REQUEST = "no_answer"
"""The metric that counts every request, graded or not."""

ORDER = {"worse": 0, "better": 1, "no evidence": 2, "unknown": 3}


def largest(cells: Cells, most: int) -> list[str]:
    """The ``most`` segments with the most requests, the largest first; ties by name."""
    asked = {
        segment: sum(tally.estimate().n for tally in by_week.values())
        for segment, by_week in cells[EVERY_REQUEST].items()
    }
    return sorted(asked, key=lambda segment: (-asked[segment], segment))[:most]


def comparable(
    found: Iterable[tuple[str, Change]],
    least: int,
    read: Callable[[Sequence[Change]], Sequence[Change]] = moved_beside,
) -> tuple[list[tuple[str, Change]], int]:
    """Changes with at least ``least`` observations on either side, those that moved first; and how
    many were left out. A single answer that flips is no drift of its segment. ``read`` says which
    of them moved, looked at together."""
    told = list(found)
    kept = [
        (segment, change)
        for segment, change in told
        if change.before.n >= least and change.after.n >= least
    ]
    moved = read([change for _, change in kept])
    named = zip((segment for segment, _ in kept), moved, strict=True)
    return sorted(named, key=lambda item: ORDER[item[1].movement]), len(told) - len(kept)
