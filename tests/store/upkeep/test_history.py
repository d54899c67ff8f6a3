"""What was deleted is in no part of the lake any more, and what is there is found."""

from __future__ import annotations

from collections.abc import Callable

from ragdiag.records import Request
from ragdiag.settings import Workspace
from ragdiag.store.ingest import ingest
from ragdiag.store.lake import Lake
from ragdiag.store.spool import SpoolWriter
from ragdiag.store.upkeep.byte_search import files_with
from ragdiag.store.upkeep.history import purge_history
from ragdiag.store.upkeep.removal import remove_requests


def test_no_bound_of_a_column_tells_of_a_file_that_went_whole(
    lake: Lake, workspace: Workspace, make_request: Callable[..., Request]
) -> None:
    def log(number: int, question: str) -> None:
        with SpoolWriter(workspace) as spool:
            spool.write(make_request(number, question=question))
        ingest(lake, workspace)

    def ask(question: str) -> list[str]:
        rows = lake.rows("select request_id from requests where question = ?", [question])
        return [row["request_id"] for row in rows]

    log(1, "Aardvark: who am I?")
    log(2, "Middle of nowhere?")
    lake.write(lambda cursor: remove_requests(cursor, ["r1"], "privacy"))
    purge_history(lake)
    assert files_with(workspace.root / "lake", [b"Aardvark"]) == []
    log(3, "Zebra crossing?")
    assert (ask("Middle of nowhere?"), ask("Zebra crossing?")) == (["r2"], ["r3"])
    purge_history(lake)
    assert lake.rows("select count(*) as n from ducklake_snapshots('lake')") == [{"n": 1}]
    assert (ask("Middle of nowhere?"), ask("Zebra crossing?")) == (["r2"], ["r3"])
