from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from ragdiag.errors import UnknownName
from ragdiag.records import Hit, Judgment, Passage, Question, Request
from ragdiag.settings import Workspace
from ragdiag.store.corpus import add_documents, add_questions, remove_documents
from ragdiag.store.gold import GoldChange, add_members
from ragdiag.store.ingest import ingest
from ragdiag.store.judgments import add_judgments, load_judgments, load_questions, splits
from ragdiag.store.lake import Lake
from ragdiag.store.spool import SpoolWriter


@pytest.fixture
def judged_lake(lake: Lake) -> Lake:
    """Two questions, three passages (p3 removed again), no judgment."""
    add_documents(lake, [Passage(name, name, "text") for name in ("p1", "p2", "p3")])
    remove_documents(lake, ["p3"])
    add_questions(lake, [Question("q1", "How?"), Question("q2", "Why?")])
    return lake


def log(lake: Lake, workspace: Workspace, requests: Sequence[Request]) -> None:
    with SpoolWriter(workspace) as spool:
        for request in requests:
            spool.write(request)
    ingest(lake, workspace)


def rel(lake: Lake) -> dict[str, list[int] | None]:
    return {
        row["request_id"]: row["rel"] for row in lake.rows("select request_id, rel from requests")
    }


def test_judgments_come_back_by_question_and_split(judged_lake: Lake) -> None:
    change = add_judgments(
        judged_lake,
        [
            Judgment("q1", "p1", 1, "train"),
            Judgment("q1", "p2", 0, "train"),
            Judgment("q2", "p3", 255, "test"),
        ],
    )
    assert change == GoldChange(3, 0, 0)
    assert load_judgments(judged_lake) == {"q1": {"p1": 1, "p2": 0}, "q2": {"p3": 255}}
    assert load_judgments(judged_lake, "test") == {"q2": {"p3": 255}}
    assert load_judgments(judged_lake, "none") == {}
    assert splits(judged_lake) == ["test", "train"]
    assert [one.question_id for one in load_questions(judged_lake, "test")] == ["q2"]


def test_an_unknown_split_lists_those_there_are(judged_lake: Lake) -> None:
    with pytest.raises(
        UnknownName, match="import judged questions first: ragdiag import gold PATH"
    ):
        load_questions(judged_lake, "test")
    add_judgments(judged_lake, [Judgment("q1", "p1", 1, "train")])
    with pytest.raises(UnknownName, match="no split 'test'; name one of: train"):
        load_questions(judged_lake, "test")
    add_members(judged_lake, [("q2", "test"), ("q2", "test"), ("unknown", "test")])
    assert [one.question_id for one in load_questions(judged_lake, "test")] == ["q2"]


def test_adding_again_changes_nothing(judged_lake: Lake) -> None:
    given = [Judgment("q1", "p1", 1, "train"), Judgment("q1", "p2", 2, "train")]
    add_judgments(judged_lake, given)
    before = judged_lake.rows("select * from judgments order by all")
    assert add_judgments(judged_lake, given) == GoldChange(0, 0, 2)
    assert judged_lake.rows("select * from judgments order by all") == before


def test_judging_again_replaces_the_grade_in_every_split(judged_lake: Lake) -> None:
    add_judgments(
        judged_lake,
        [Judgment("q1", "p1", 1, "train"), Judgment("q1", "p1", 1, "test")],
    )
    assert add_judgments(judged_lake, [Judgment("q1", "p1", 3, "test")]) == GoldChange(0, 2, 0)
    assert load_judgments(judged_lake, "train") == {"q1": {"p1": 3}}
    assert load_judgments(judged_lake, "test") == {"q1": {"p1": 3}}
    add_judgments(judged_lake, [Judgment("q1", "p1", 5, "test"), Judgment("q1", "p1", 4, "test")])
    assert load_judgments(judged_lake) == {"q1": {"p1": 4}}


def test_bad_judgments_are_rejected_and_the_rest_is_loaded(judged_lake: Lake) -> None:
    change = add_judgments(
        judged_lake,
        [
            Judgment("q1", "p1", 1, "test"),
            Judgment("q9", "p1", 1, "test"),
            Judgment("q1", "p9", 1, "test"),
            Judgment("q1", "p2", 256, "test"),
            Judgment("q1", "p2", -1, "test"),
            Judgment("q1", "p2", 1, ""),
        ],
    )
    assert change.added == 1
    assert [(reject.line, reject.reason) for reject in change.rejects] == [
        (2, "unknown question 'q9'"),
        (3, "unknown passage 'p9'"),
        (4, "grade 256 is outside 0 … 255"),
        (5, "grade -1 is outside 0 … 255"),
        (6, "empty split"),
    ]
    assert load_judgments(judged_lake) == {"q1": {"p1": 1}}


def test_logged_requests_get_their_rel_again(
    judged_lake: Lake, workspace: Workspace, make_request: Callable[..., Request]
) -> None:
    hits = (Hit("p1", 2.0), Hit("p2", 1.0))
    log(
        judged_lake,
        workspace,
        [
            make_request(1, fused=hits),
            make_request(2, fused=hits, reranked=hits[::-1]),
            make_request(3, fused=hits, question_id="q2"),
        ],
    )
    assert rel(judged_lake) == {"r1": None, "r2": None, "r3": None}
    add_judgments(judged_lake, [Judgment("q1", "p2", 1, "test")])
    assert rel(judged_lake) == {"r1": [0, 1], "r2": [1, 0], "r3": None}
    add_judgments(judged_lake, [Judgment("q1", "p2", 3, "test"), Judgment("q2", "p1", 1, "test")])
    assert rel(judged_lake) == {"r1": [0, 3], "r2": [3, 0], "r3": [1, 0]}


def test_a_failure_while_rel_is_rewritten_takes_the_judgments_back(
    judged_lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise KeyError("on purpose")

    monkeypatch.setattr("ragdiag.store.judgments.rewrite_relevance", fail)
    with pytest.raises(KeyError, match="on purpose"):
        add_judgments(judged_lake, [Judgment("q1", "p2", 1, "test")])
    assert load_judgments(judged_lake) == {}
