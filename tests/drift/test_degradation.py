"""Shares of degraded requests: every week has one for every reason, with its interval."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

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


def test_of_a_sampled_log_shares_are_those_of_all_requests(
    lake: Lake, workspace: Workspace
) -> None:
    """Of 120 requests 20 were late; those of them that failed were all logged, of the rest one in
    ten."""
    at = datetime(2026, 1, 7, tzinfo=UTC)
    said = [*[("late", 1.0)] * 10, ("late", 0.1), *[(None, 0.1)] * 10]
    with SpoolWriter(workspace) as spool:
        for n, (reason, kept) in enumerate(said):
            request = Request(f"r{n}", at, "v", "production", "q", degraded_reason=reason)
            spool.write(replace(request, keep_probability=kept))
    ingest(lake, workspace)
    found = degraded_shares(lake, Filters())
    share = found.overall["late"]
    assert (share.value, share.n) == (pytest.approx(20 / 120), 21)
    assert share.low < 1 / 6 < share.high < wilson(11, 21).value
    assert found.any == found.reasons["late"] == [(FIRST, share)]
