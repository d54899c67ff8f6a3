"""``ragdiag ingest`` once, and as the process that runs beside a service."""

from __future__ import annotations

import signal
import time
from datetime import UTC, datetime

import pytest

from ragdiag.cli import main
from ragdiag.errors import StoreBusy
from ragdiag.records import Request
from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake, close_lakes, open_lake
from ragdiag.store.spool import SpoolWriter
from ragdiag.workflows.logs import ingest as loading
from tests.command_process import running

ASKED = datetime(2026, 1, 5, tzinfo=UTC)


def spool(workspace: Workspace, *questions: str) -> None:
    """A segment of requests ``r0``, ``r1`` …"""
    with SpoolWriter(workspace) as writer:
        for n, question in enumerate(questions):
            writer.write(Request(f"r{n}", ASKED, "v1", "production", question))


def test_rejects_are_said_to_be_listed_elsewhere(
    lake: Lake, workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--workspace", str(workspace.root), "ingest"]
    spool(workspace, "?")
    assert main(arguments) == 0
    assert "store rejects" not in capsys.readouterr().out
    spool(workspace, "other?")
    assert main(arguments) == 0
    assert "ragdiag store rejects" in capsys.readouterr().out


def test_a_process_loads_until_sigterm(workspace: Workspace) -> None:
    with running(workspace, "ingest", "--every", "0.2s") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"loading what comes into {workspace.root}\n"
        spool(workspace, "?")
        assert "segments 1, accepted 1, rejected 0" in process.stdout.readline()
        time.sleep(0.5)  # passes that load nothing say nothing
        spool(workspace, "?", "and?", "other?")
        assert "segments 1, accepted 2, rejected 0" in process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
        assert process.stdout.read() == ""
    assert open_lake(workspace).rows("select count(*) as n from requests") == [{"n": 3}]
    close_lakes()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_the_pass_under_way_finish(
    lake: Lake,
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    number: signal.Signals,
) -> None:
    real, handlers = loading.ingest, signal.getsignal(number)

    def interrupted(lake: Lake, workspace: Workspace) -> object:
        signal.raise_signal(number)
        return real(lake, workspace)

    monkeypatch.setattr(loading, "ingest", interrupted)
    spool(workspace, "?")
    assert main(["--workspace", str(workspace.root), "ingest", "--every", "1h"]) == 0
    assert "accepted 1" in capsys.readouterr().out
    assert signal.getsignal(number) == handlers


def test_a_busy_catalog_is_told_and_tried_again(
    lake: Lake,
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    real, calls = loading.ingest, iter(range(9))

    def busy_at_first(lake: Lake, workspace: Workspace) -> object:
        if next(calls) == 0:
            raise StoreBusy("others write", remedy="wait")
        signal.raise_signal(signal.SIGTERM)
        return real(lake, workspace)

    monkeypatch.setattr(loading, "ingest", busy_at_first)
    spool(workspace, "?")
    assert main(["--workspace", str(workspace.root), "ingest", "--every", "0.01s"]) == 0
    printed = capsys.readouterr()
    assert printed.err == "ragdiag: others write; wait\n"
    assert "accepted 1" in printed.out


def test_a_mistake_ends_it_at_once(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments, told in (
        (["--every", "often"], "'often' is no length of time"),
        (["--every", "3s", "--json"], "give one of them"),
        ([], "there is no workspace in"),
    ):
        assert main(["--workspace", str(workspace.root), "ingest", *arguments]) == 2
        assert told in capsys.readouterr().err
