"""The dashboard's ingest: loads what waits, and outlives what it cannot load."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from ragdiag.records import Request
from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake, close_lakes, open_lake
from ragdiag.store.spool import SpoolWriter
from ragdiag.ui import ingesting


@pytest.fixture
def lake(workspace: Workspace) -> Iterator[Lake]:
    yield open_lake(workspace, create=True)
    close_lakes()


def test_what_waits_in_the_spool_comes_in(lake: Lake, workspace: Workspace) -> None:
    with SpoolWriter(workspace) as spool:
        spool.write(Request("r1", datetime(2025, 9, 1, tzinfo=UTC), "v", "production", "why?"))
    assert ingesting.ingest_once(workspace) == 1
    assert ingesting.ingest_once(workspace) == 0
    assert lake.rows("select count(*) as n from requests") == [{"n": 1}]


def test_a_fault_is_logged_and_not_raised(
    lake: Lake,
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(*_: object) -> None:
        raise OSError("disk gone")

    with SpoolWriter(workspace) as spool:
        spool.write(Request("r1", datetime(2025, 9, 1, tzinfo=UTC), "v", "production", "why?"))
    monkeypatch.setattr(ingesting, "load_waiting", broken)
    with caplog.at_level(logging.WARNING):
        assert ingesting.ingest_once(workspace) == 0
    assert "disk gone" in caplog.text
