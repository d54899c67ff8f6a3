from __future__ import annotations

import pytest

from benchmarks.ingest_chaos import run_chaos
from ragdiag.settings import Workspace


@pytest.mark.slow
def test_what_was_acknowledged_is_stored_once_whoever_is_killed(workspace: Workspace) -> None:
    report = run_chaos(workspace, rounds=5, pause=(0.3, 0.8))
    assert report.writers_killed + report.ingesters_killed == 5
    assert report.acknowledged > 50
    assert (report.lost, report.twice, report.findings) == (0, 0, 0)
    assert report.stored == report.acknowledged + report.unnoted
