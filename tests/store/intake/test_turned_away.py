"""What hangs on a request that is turned away because of its user, wherever it comes from."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from ragdiag.records import Feedback, Grade, Request
from ragdiag.settings import Workspace
from ragdiag.spans.sources import trace_source
from ragdiag.store.ingest import IngestReport, ingest
from ragdiag.store.intake.admission import admit
from ragdiag.store.intake.arrow_door import COLUMNS, ingest_table
from ragdiag.store.kinds import Record
from ragdiag.store.lake import Lake
from ragdiag.store.results import load_requests
from ragdiag.store.rows import request_row
from ragdiag.store.spool import SpoolWriter
from ragdiag.store.upkeep.check import check_store
from ragdiag.store.upkeep.forgotten import add_forgotten, user_tombstone

ANN, BOB = "a" * 32, "b" * 32
SAID: tuple[Record, ...] = (
    Grade("r1", "judge", 0, reason="Ann was not answered"),
    Feedback("f1", "r1", datetime(2026, 1, 5, tzinfo=UTC), "thumbs", -1),
)
MakeRequest = Callable[..., Request]


@pytest.fixture(autouse=True)
def ann_is_forgotten(lake: Lake, workspace: Workspace) -> None:
    lake.write(lambda cursor: add_forgotten(cursor, [user_tombstone(workspace, ANN)]))


def put(lake: Lake, workspace: Workspace, *records: Record) -> IngestReport:
    with SpoolWriter(workspace) as spool:
        spool.write_all(records)
    return ingest(lake, workspace)


def said(lake: Lake) -> int:
    return len(lake.rows("from grades")) + len(lake.rows("from feedback"))


def test_what_is_said_of_it_comes_in_neither_before_nor_after_it(
    lake: Lake, workspace: Workspace, make_request: MakeRequest
) -> None:
    theirs = make_request(1, user_key=ANN)
    assert put(lake, workspace, SAID[0], theirs, SAID[1]) == IngestReport(1, 0, 3)
    assert put(lake, workspace, *SAID) == IngestReport(1, 0, 2)
    assert said(lake) == 0
    archived = [path.read_bytes() for path in (workspace.spool / "archive").iterdir()]
    assert not any(b"r1" in content for content in archived)


@pytest.mark.parametrize("door", ["spool", "table", "traces"])
def test_what_was_there_before_it_goes(
    lake: Lake, workspace: Workspace, make_request: MakeRequest, door: str
) -> None:
    theirs, others = make_request(1, user_key=ANN), make_request(2, user_key=BOB)
    put(lake, workspace, *SAID, Grade("r2", "judge", 1))
    assert said(lake) == 3
    if door == "spool":
        put(lake, workspace, theirs, others)
    elif door == "table":
        rows = [request_row(one, None, "") for one in (theirs, others)]
        ingest_table(lake, pa.Table.from_pylist(rows, schema=COLUMNS), "table.parquet")
    else:
        given = [
            (trace_source("r1"), theirs),
            (trace_source("r1"), SAID[0]),
            (trace_source("r2"), others),
        ]
        _, rejects = lake.write(lambda cursor: admit(cursor, workspace, given))
        assert len(rejects) == 2
    assert said(lake) == 1
    assert [one.request_id for one in load_requests(lake)] == ["r2"]
    assert check_store(lake, workspace).findings == ()


@pytest.mark.parametrize("together", [True, False])
def test_what_is_said_of_somebody_elses_request_of_the_same_id_stays(
    lake: Lake, workspace: Workspace, make_request: MakeRequest, together: bool
) -> None:
    theirs, others = make_request(1, user_key=ANN), make_request(1, user_key=BOB)
    if together:
        put(lake, workspace, theirs, others, *SAID)
    else:
        put(lake, workspace, others, *SAID)
        put(lake, workspace, theirs)
    assert [one.user_key for one in load_requests(lake)] == [BOB]
    assert said(lake) == 2
    assert check_store(lake, workspace).findings == ()
