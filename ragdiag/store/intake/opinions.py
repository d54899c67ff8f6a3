"""Which grades of a batch are new. A grade has no id, and who gave it may take it back and give it
again; so it is told from a line that came twice by what was said before it, and when."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from ragdiag.records import Grade
from ragdiag.store.kinds import identity
from ragdiag.store.segments import opened_ns
from ragdiag.store.times import to_aware_utc


def new_opinions(
    stored: Iterable[tuple[datetime, Grade]], arriving: Sequence[tuple[str, Grade]]
) -> list[bool]:
    """Whether each of ``arriving``, (segment, grade) in the order they came, says something new
    beside those ``stored`` with the naive UTC they came at, the earliest first.

    What one grader says of one request is a history. Of what comes, the beginning that repeats the
    end of the stored history is not new, nor is what says once more what was said last. What was
    said and taken back is new in a segment that was begun after the last of the history came: one
    that an import or a replay brings again was not.

    >>> right, wrong = Grade("r1", "ann", 1), Grade("r1", "ann", 0)
    >>> stored = [(datetime(2026, 1, 5, 12), right), (datetime(2026, 1, 5, 13), wrong)]
    >>> earlier, later = "service-7-1767614400000000000", "service-7-1767624400000000000"
    >>> new_opinions(stored, [(earlier, right)]), new_opinions(stored, [(later, right)])
    ([False], [True])
    >>> new_opinions(stored, [(later, right), (later, wrong)])
    [False, False]
    """
    history: dict[tuple[str, str], list[str]] = {}
    last_at: dict[tuple[str, str], float] = {}
    for at, grade in stored:
        whose = grade.request_id, grade.grader
        history.setdefault(whose, []).append(identity(grade)[1])
        last_at[whose] = to_aware_utc(at).timestamp()
    coming: dict[tuple[str, str], list[tuple[int, str]]] = {}
    for place, (_, grade) in enumerate(arriving):
        said = (place, identity(grade)[1])
        coming.setdefault((grade.request_id, grade.grader), []).append(said)
    new = [False] * len(arriving)
    for whose, given in coming.items():
        before = history.get(whose, [])
        known = _overlap(before, [key for _, key in given])
        last = before[-1] if before else ""
        for place, key in given[known:]:
            again = key in before and opened_ns(arriving[place][0]) / 1e9 <= last_at[whose]
            new[place] = key != last and not again
            last = key if new[place] else last
    return new


def _overlap(before: Sequence[str], after: Sequence[str]) -> int:
    """How much of the beginning of ``after`` is the end of ``before``, at most."""
    most = min(len(before), len(after))
    return next((n for n in range(most, 0, -1) if before[-n:] == after[:n]), 0)
