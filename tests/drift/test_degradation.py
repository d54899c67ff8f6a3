"""Shares of degraded requests: every week has one for every reason, with its interval."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from ragdiag.drift.degradation import degraded_shares
from ragdiag.records import Request
from ragdiag.settings import Workspace
from ragdiag.stats.intervals import wilson
from ragdiag.store.ingest import ingest
from ragdiag.store.lake import Lake
from ragdiag.store.queries import Filters
from ragdiag.store.spool import SpoolWriter

FIRST, SECOND = date(2026, 1, 5), date(2026, 1, 12)


def test_a_week_without_a_reason_has_a_share_of_zero(lake: Lake, workspace: Workspace) -> None:
    reasons = [["late", "late; down", None, None], [None, None, None, "late"], [None] * 5]
    with SpoolWriter(workspace) as spool:
        for week, said in enumerate(reasons):
            at = datetime(2026, 1, 7, tzinfo=UTC) + timedelta(weeks=week)
            for n, reason in enumerate(said):
                request = Request(f"{week}-{n}", at, "v", "production", "q", degraded_reason=reason)
                spool.write(request)
    ingest(lake, workspace)
    found = degraded_shares(lake, Filters())
    assert list(found.reasons) == ["late", "down"]
    assert [share for _, share in found.any] == [wilson(2, 4), wilson(1, 4), wilson(0, 5)]
    assert found.reasons["down"][:2] == [(FIRST, wilson(1, 4)), (SECOND, wilson(0, 4))]
    assert found.overall == {"late": wilson(3, 13), "down": wilson(1, 13)}
