"""What is a user's and what is not, in an otherwise empty lake."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ragdiag.records import Hit, Judgment, Passage, Question, Reject, Request
from ragdiag.settings import Workspace
from ragdiag.store.corpus import add_documents
from ragdiag.store.gold import add_questions
from ragdiag.store.ingest import ingest
from ragdiag.store.intake.admission import admit
from ragdiag.store.judgments import add_judgments
from ragdiag.store.lake import Lake
from ragdiag.store.regressions import Regression, add_regressions, load_regressions
from ragdiag.store.results import insert_rejects, save_rejects
from ragdiag.store.spool import SpoolWriter
from ragdiag.store.upkeep.check import check_store
from ragdiag.store.upkeep.user_traces import (
    UserTraces,
    count_traces,
    find_traces,
    remove_traces,
)

ANN = "a" * 32


def remove(lake: Lake) -> dict[str, int]:
    """What of Ann's was removed, by table; all that was there."""
    traces = find_traces(lake, [ANN], UserTraces(()))
    counted = count_traces(lake, traces)
    removed = lake.write(lambda cursor: remove_traces(cursor, traces, []))
    assert removed == counted
    assert not any(count_traces(lake, traces).values())
    return {table: n for table, n in removed.items() if n}


def test_questions_that_releases_are_checked_on_go_or_lose_what_they_tell(
    lake: Lake, workspace: Workspace, make_request: Callable[..., Request]
) -> None:
    with SpoolWriter(workspace) as spool:
        spool.write(make_request(1, user_key=ANN, question="Who am I?"))
        spool.write(make_request(2, user_key=ANN, question="Where is it?"))
        spool.write(make_request(3, question="Where is it?"))
    ingest(lake, workspace)
    add_documents(lake, [Passage("p1", "d1", "Here.")])
    add_questions(lake, [Question("q1", "Who am I?"), Question("q2", "Where is it?")])
    add_judgments(lake, [Judgment("q1", "p1", 1, "s"), Judgment("q2", "p1", 1, "s")])
    told = [Regression("q1", "r1", "Ann called"), Regression("q2", "r2", "Ann called again")]
    add_regressions(lake, told)
    assert remove(lake)["regression_questions"] == 2
    (left,) = load_regressions(lake)
    assert (left.question_id, left.from_request, left.reason) == ("q2", None, "")


def test_rejects_of_either_form_are_found(
    lake: Lake, workspace: Workspace, make_request: Callable[..., Request]
) -> None:
    long = make_request(1, question="Why? " * 600)
    lake.write(lambda cursor: admit(cursor, workspace, [("trace 1", long)]))
    theirs = make_request(1, user_key=ANN, question="Who? " * 600)
    _, conflicts = lake.write(lambda cursor: admit(cursor, workspace, [("trace 1", theirs)]))
    lake.write(lambda cursor: insert_rejects(cursor, conflicts))
    older = str({"request_id": "r7", "user_key": ANN})
    save_rejects(lake, [Reject("trace 7", 0, "another", older), Reject("s", 1, "bad", "r7")])
    assert remove(lake) == {"rejects": 2}


@pytest.mark.parametrize("end", [b', "cost_usd": -1}\n', b', "answ'])
def test_a_rejected_line_is_found_however_long_its_question_is(
    lake: Lake, workspace: Workspace, end: bytes
) -> None:
    line = f'{{"kind": "request", "schema": 2, "question": "{"Who? " * 600}", "user_key": "{ANN}"'
    workspace.spool.mkdir(parents=True)
    (workspace.spool / "bad-1.jsonl").write_bytes(line.encode() + end)
    assert ingest(lake, workspace).rejected == 1
    assert remove(lake) == {"rejects": 1}


def test_passages_found_for_the_user_alone_go(
    lake: Lake, workspace: Workspace, make_request: Callable[..., Request]
) -> None:
    with SpoolWriter(workspace) as spool:
        for name in ("own", "shared", "judged", "unused"):
            spool.write(Passage(name, "d", f"The text of {name}."))
        hits = tuple(Hit(name, 1.0) for name in ("own", "shared", "judged"))
        spool.write(make_request(1, user_key=ANN, fused=hits))
        spool.write(make_request(2, fused=(), dense=(Hit("shared", 1.0),)))
    ingest(lake, workspace)
    add_questions(lake, [Question("q1", "Where?")])
    add_judgments(lake, [Judgment("q1", "judged", 1, "s")])
    assert remove(lake)["logged_passages"] == 1
    left = {row["passage_id"] for row in lake.rows("select passage_id from logged_passages")}
    assert left == {"shared", "judged", "unused"}
    assert check_store(lake, workspace).findings == ()


def test_a_request_that_was_turned_away_takes_nobody_elses_with_it(
    lake: Lake, workspace: Workspace, make_request: Callable[..., Request]
) -> None:
    with SpoolWriter(workspace) as spool:
        spool.write(make_request(1, user_key="b" * 32))
        spool.write(make_request(1, user_key=ANN))
        spool.write(make_request(2, user_key=ANN))
        spool.write(make_request(3, user_key=None))
    ingest(lake, workspace)
    traces = find_traces(lake, [ANN], UserTraces((), request_ids=("r1", "r2", "r3")))
    assert traces.request_ids == ("r2", "r3")
    assert remove(lake) == {"requests": 1, "rejects": 1}
