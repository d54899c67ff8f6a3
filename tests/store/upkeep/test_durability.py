"""What the disk is asked to keep before another copy of the rows goes."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from ragdiag.settings import Workspace
from ragdiag.store import ingest as ingesting
from ragdiag.store.ingest import ingest
from ragdiag.store.lake import Lake
from ragdiag.store.spool import SpoolWriter
from ragdiag.store.upkeep.compact import compact_store
from ragdiag.store.upkeep.datafiles import list_files
from ragdiag.store.upkeep.history import purge_history
from tests.store.conftest import toy_request

Synced = list[Path]


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> Synced:
    """Files and folders in the order in which they were synced."""
    seen: Synced = []
    fsync = os.fsync

    def noted(descriptor: int) -> None:
        fsync(descriptor)
        seen.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")))

    monkeypatch.setattr(os, "fsync", noted)
    return seen


def data_files(lake: Lake) -> set[Path]:
    return {Path(file.path).resolve() for file in lake.read(list_files)}


def with_folders(workspace: Workspace, files: set[Path]) -> set[Path]:
    data = workspace.lake_data.resolve()
    return files | {path.parent for path in files} | {data, data / "main"}


def spool(workspace: Workspace, first: int, last: int) -> None:
    with SpoolWriter(workspace) as writer:
        writer.write_all(toy_request(number) for number in range(first, last))


def test_rows_are_on_the_disk_before_their_segment_is_archived(
    lake: Lake, workspace: Workspace, synced: Synced, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool(workspace, 0, 50)
    before: Synced = []
    monkeypatch.setattr(ingesting, "put_away", lambda *_: before.extend(synced))
    ingest(lake, workspace)
    assert data_files(lake)
    assert set(before) >= with_folders(workspace, data_files(lake))


def test_rows_that_a_killed_run_loaded_are_on_the_disk_too(
    lake: Lake, workspace: Workspace, synced: Synced, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as dying:
        dying.setattr(ingesting, "sync_files", lambda *_: pytest.exit("killed"))
        spool(workspace, 0, 50)
        with pytest.raises(pytest.exit.Exception):
            ingest(lake, workspace)
    assert not data_files(lake) & set(synced)
    assert ingest(lake, workspace).segments == 0
    assert set(synced) >= with_folders(workspace, data_files(lake))


@pytest.mark.parametrize("upkeep", [purge_history, partial(compact_store, keep_days=7)])
def test_files_that_replace_others_are_on_the_disk_before_those_go(
    filled: Lake, upkeep: Callable[[Lake], object], synced: Synced
) -> None:
    filled.write(lambda c: c.execute("delete from requests where request_id like 'r%5'"))
    old = data_files(filled)
    upkeep(filled)
    fresh = data_files(filled) - old
    assert fresh
    assert set(synced) >= fresh
