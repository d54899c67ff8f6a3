"""What two stretches of weeks differ in, as a page reads it: each part is kept by itself, so that
only the other weeks are read where others are chosen."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from ragdiag.drift.weekly import Change, compared, user_scatters, weekly_cells
from ragdiag.store.queries import Filters
from ragdiag.store.trends import Split
from ragdiag.ui.cached import fetch
from ragdiag.ui.view import View


def between(
    view: View, filters: Filters, before: Sequence[date], after: Sequence[date], split: Split
) -> dict[str, list[Change]]:
    """By segment, the weeks ``after`` against those ``before``."""
    cells = fetch(view, weekly_cells, filters, split)
    users = [fetch(view, user_scatters, filters, tuple(some), split) for some in (before, after)]
    return compared(cells, before, after, users)
