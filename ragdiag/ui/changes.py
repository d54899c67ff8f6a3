"""Weekly metrics before and after as the columns of a table; one form for every page."""

from __future__ import annotations

from collections.abc import Sequence

from ragdiag.drift.weekly import WEEKLY_METRICS, Change
from ragdiag.ui import terms, words


def columns(found: Sequence[Change], after: str, before: str) -> dict[str, list[str]]:
    """One row a change; ``after`` and ``before`` name the two stretches of weeks."""
    rows = [(change, WEEKLY_METRICS[change.metric].unit) for change in found]
    return {
        "Measure": [WEEKLY_METRICS[change.metric].label for change in found],
        after: [words.with_interval(change.after, unit) for change, unit in rows],
        before: [words.with_interval(change.before, unit) for change, unit in rows],
        "Change": [words.change(change.difference, unit) for change, unit in rows],
        "Reading": [terms.MOVEMENTS[change.movement] for change in found],
    }
