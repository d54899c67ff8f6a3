"""A device that is really full: everything refused whole, in one line, and usable again after."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from ragdiag.errors import StoreFull
from ragdiag.records import Passage, Request
from ragdiag.settings import Workspace
from ragdiag.store.corpus import add_documents, load_passages
from ragdiag.store.ingest import ingest
from ragdiag.store.lake import open_lake
from ragdiag.store.results import load_requests
from ragdiag.store.spool import SpoolWriter


def fill(disk: Path) -> Path:
    """Take every byte that is left."""
    path = disk / "filler"
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    try:
        while True:
            os.write(descriptor, bytes(65_536))
    except OSError:
        return path
    finally:
        os.close(descriptor)


def test_a_document_that_does_not_fit_is_refused_whole(small_disk: Path) -> None:
    lake = open_lake(Workspace(small_disk / "workspace"), create=True)
    noise = random.Random(0)

    def document(name: str, passages: int) -> list[Passage]:
        """About 1 KB a passage, however it is compressed."""
        return [Passage(f"{name}-{n}", name, noise.randbytes(1_000).hex()) for n in range(passages)]

    add_documents(lake, document("fits", 600))
    with pytest.raises(StoreFull, match=f"no space left on the device of {small_disk}"):
        add_documents(lake, document("first half", 2_000) + document("second half", 2_000))
    assert {passage.document_id for passage in load_passages(lake)} == {"fits"}


def test_a_full_catalog_says_so_and_recovers(small_disk: Path) -> None:
    lake = open_lake(Workspace(small_disk / "workspace"), create=True)
    filler = fill(small_disk)
    with pytest.raises(StoreFull, match="free some space"):
        add_documents(lake, [Passage("p1", "d1", "text")])
    filler.unlink()
    assert load_passages(lake) == []
    assert add_documents(lake, [Passage("p1", "d1", "text")]).added == 1


def test_a_workspace_on_a_full_disk(small_disk: Path) -> None:
    fill(small_disk)
    with pytest.raises(StoreFull, match="no space left"):
        open_lake(Workspace(small_disk / "workspace"), create=True)
    (small_disk / "filler").unlink()
    assert open_lake(Workspace(small_disk / "workspace"), create=True).snapshot() >= 0


def test_the_spool_keeps_what_it_acknowledged(
    small_disk: Path, make_request: Callable[..., Request]
) -> None:
    workspace = Workspace(small_disk / "workspace")
    lake = open_lake(workspace, create=True)
    reserve = small_disk / "reserve"
    reserve.write_bytes(bytes(2_000_000))
    spool = SpoolWriter(workspace)
    acknowledged = 0

    def write_on() -> None:
        nonlocal acknowledged
        while True:
            spool.write(make_request(acknowledged, answer="x" * 10_000))
            acknowledged += 1

    with pytest.raises(StoreFull, match=r"no space left to write .*spool"):
        write_on()
    spool.close()
    assert acknowledged > 10
    with pytest.raises(StoreFull):
        ingest(lake, workspace)
    reserve.unlink()
    report = ingest(lake, workspace)
    assert (report.accepted, report.rejected) == (acknowledged, 0)
    assert len(load_requests(lake)) == acknowledged
