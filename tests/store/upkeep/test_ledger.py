"""Every kind of row is held to the ledger, by whichever door it came and however it may leave."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import timedelta

import pytest

from ragdiag.records import Grade, Passage, Span
from ragdiag.settings import Workspace
from ragdiag.store import migrations
from ragdiag.store.ingest import ingest
from ragdiag.store.lake import Lake, close_lakes, open_lake
from ragdiag.store.migrations import MIGRATIONS
from ragdiag.store.results import save_findings
from ragdiag.store.spool import SpoolWriter
from ragdiag.store.upkeep.check import check_store
from ragdiag.store.upkeep.expiry import expire_requests
from ragdiag.store.upkeep.ledger import TABLES
from ragdiag.workflows.logs.traces import assemble_traces
from tests.store.conftest import MONDAY, toy_feedback, toy_request

WIDER = (
    migrations.request_filters,
    migrations.second_levels,
    migrations.sentence_supports,
    migrations.cost_sums,
)
"""What later migrations add to older tables, and today's code writes."""

CHAIN = {"openinference.span.kind": "CHAIN", "input.value": "why?"}
RETRIEVER = {
    "openinference.span.kind": "RETRIEVER",
    "retrieval.documents.0.document.id": "p9",
    "retrieval.documents.0.document.content": "Cats sleep.",
}
JUDGED = {
    "evaluations.0.evaluation.name": "judge",
    "evaluations.0.evaluation.label": "fail",
    "annotations.0.annotation.name": "thumbs",
    "annotations.0.annotation.label": "up",
    "annotations.0.annotation.annotator_kind": "HUMAN",
}


def make_span(trace: str, number: int, **attributes: object) -> Span:
    parent = None if number == 1 else f"{trace}-1"
    return Span(trace, f"{trace}-{number}", parent, "ask", MONDAY, MONDAY, attributes)


def make_trace(trace: str) -> list[Span]:
    """A request with a passage, a grade and feedback."""
    return [make_span(trace, 1, **CHAIN, **JUDGED), make_span(trace, 2, **RETRIEVER)]


@pytest.fixture(scope="module")
def lived_workspace(
    tmp_path_factory: pytest.TempPathFactory, empty_workspace: Workspace
) -> Workspace:
    workspace = Workspace(tmp_path_factory.mktemp("lived") / "workspace")
    shutil.copytree(empty_workspace.root, workspace.root)
    lake = open_lake(workspace)
    with SpoolWriter(workspace) as spool:
        for n in range(4):
            spool.write(toy_request(n))
            spool.write(toy_feedback(n))
            spool.write(Grade(f"r{n}", "judge", 1))
            spool.write(Passage(f"p{n}", "cats", f"Text {n}."))
        spool.write_all([*make_trace("read"), make_span("other", 1, **CHAIN)])
    ingest(lake, workspace)
    assemble_traces(lake, settle_s=0)
    with SpoolWriter(workspace) as spool:
        spool.write(make_span("waiting", 1, **CHAIN))
    ingest(lake, workspace)
    save_findings(lake, grades=[Grade("r0", "contains_or_f1", 0), Grade("read", "f1", 0)])
    close_lakes()
    return workspace


@pytest.fixture
def lived(copied: Callable[[Workspace], Lake], lived_workspace: Workspace) -> Lake:
    """Rows of every kind, from the spool, from traces and from a job; one span still waits."""
    return copied(lived_workspace)


def findings(lake: Lake) -> list[str]:
    return [one.what for one in check_store(lake, lake.workspace).findings]


def counts(lake: Lake) -> dict[str, int]:
    return {kind: lake.rows(f"select count(*) n from {t}")[0]["n"] for kind, t in TABLES.items()}


def test_rows_of_every_kind_and_door_are_in_the_ledger(lived: Lake) -> None:
    assert counts(lived) == {"request": 6, "feedback": 5, "grade": 7, "passage": 5, "span": 1}
    assert findings(lived) == []


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        ("delete from grades where grader = 'f1'", "6 grades of all segments together"),
        ("delete from grades where request_id = 'r1'", "the ledger says 7"),
        ("insert into grades select * from grades limit 1", "8 grades of all segments"),
        ("delete from logged_passages where passage_id = 'p2'", "4 logged_passages of all"),
        ("delete from logged_passages where passage_id = 'p9'", "the ledger says 5"),
        ("delete from spans where true", "0 spans of all segments together"),
        ("delete from feedback where request_id = 'read'", "4 feedback of all segments together"),
        ("delete from requests where request_id = 'other'", "1 requests of segment traces are"),
    ],
)
def test_a_row_that_is_lost_or_doubled_is_told(lived: Lake, damage: str, says: str) -> None:
    lived.write(lambda cursor: cursor.execute(damage))
    (told,) = findings(lived)
    assert says in told


def test_what_leaves_with_its_request_is_not_missing(lived: Lake) -> None:
    gone = expire_requests(lived, MONDAY + timedelta(minutes=2))
    assert (gone.rows["requests"], gone.rows["grades"], gone.rows["feedback"]) == (4, 5, 3)
    assert counts(lived) == {"request": 2, "feedback": 2, "grade": 2, "passage": 5, "span": 1}
    assert findings(lived) == []


def test_a_lake_from_before_counts_as_it_is(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the other kinds nothing had been entered but what came by the spool; feedback had been,
    and a loss of it is still told."""
    before = [migration.__name__ for migration in MIGRATIONS].index("whole_ledger")
    with monkeypatch.context() as earlier:
        earlier.setattr(migrations, "MIGRATIONS", MIGRATIONS[:before])
        lake = open_lake(workspace, create=True)
        lake.write(lambda cursor: [change(cursor) for change in WIDER])
        with SpoolWriter(workspace) as spool:
            for n in range(3):
                spool.write(toy_request(n))
                spool.write(toy_feedback(n))
            spool.write_all(make_trace("read"))
        ingest(lake, workspace)
        assemble_traces(lake, settle_s=0)
        save_findings(lake, grades=[Grade("r0", "contains_or_f1", 0)])
        for sql in (
            "delete from segment_counts where segment in ('traces', '')",
            "delete from removals where true",
            "delete from feedback where request_id in ('r1', 'r2')",
        ):
            lake.write(lambda cursor, sql=sql: cursor.execute(sql))  # type: ignore[misc]
        close_lakes()
    rest = tuple(one for one in MIGRATIONS if one not in WIDER)
    monkeypatch.setattr(migrations, "MIGRATIONS", rest)
    lake = open_lake(workspace)
    assert counts(lake) == {"request": 4, "feedback": 2, "grade": 2, "passage": 1, "span": 0}
    (told,) = findings(lake)
    assert told.startswith("2 feedback of all segments together are in the lake, the ledger says 3")
    lake.write(lambda cursor: cursor.execute("delete from grades where grader = 'judge'"))
    assert any(told.startswith("1 grades of all segments together") for told in findings(lake))
    close_lakes()
