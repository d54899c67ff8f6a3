"""A diagnosis rests on the gold that its question had; once that is another, it is out of date."""

from __future__ import annotations

from collections.abc import Callable

from ragdiag.records import Diagnosis, GoldAnswer, Judgment, Passage, Question, Request
from ragdiag.settings import Workspace
from ragdiag.store.corpus import add_documents, add_gold_answers, add_judgments, add_questions
from ragdiag.store.findings import load_diagnoses
from ragdiag.store.gold_marks import gold_mark, load_gold_marks
from ragdiag.store.ingest import ingest
from ragdiag.store.lake import Lake
from ragdiag.store.results import save_findings
from ragdiag.store.spool import SpoolWriter


def test_a_mark_changes_with_what_is_gold_and_with_nothing_else(
    lake: Lake, workspace: Workspace, make_request: Callable[..., Request]
) -> None:
    add_documents(lake, [Passage(name, name, f"Of {name}.") for name in ("a", "b", "c")])
    add_questions(lake, [Question("q1", "Why?"), Question("q2", "Who?")])
    with SpoolWriter(workspace) as spool:
        spool.write(make_request(1, request_id="r1", question_id="q1"))
        spool.write(make_request(2, request_id="r2", question_id=None))
    ingest(lake, workspace)

    def mark() -> str:
        return load_gold_marks(lake, ["r1"])["r1"]

    assert load_gold_marks(lake, ["r1", "r2", "unknown"]) == {"r1": "", "r2": "", "unknown": ""}
    add_judgments(lake, [Judgment("q1", "a", 2, "s"), Judgment("q1", "b", 1, "s")])
    assert mark() == gold_mark(["a"], [])
    add_judgments(lake, [Judgment("q1", "a", 2, "t"), Judgment("q1", "c", 0, "s")])
    add_gold_answers(lake, [GoldAnswer("q2", ("you",))])
    assert mark() == gold_mark(["a"], [])
    add_gold_answers(lake, [GoldAnswer("q1", ("so", "thus"))])
    assert mark() == gold_mark(["a"], ["thus", "so"])
    add_judgments(lake, [Judgment("q1", "b", 2, "s")])
    assert mark() == gold_mark(["b", "a"], ["so", "thus"])


def test_a_diagnosis_on_other_gold_is_out_of_date(
    lake: Lake, workspace: Workspace, make_request: Callable[..., Request]
) -> None:
    with SpoolWriter(workspace) as spool:
        spool.write(make_request(1, request_id="r1", question_id="q1"))
    ingest(lake, workspace)
    found = Diagnosis("r1", "gold_unknown", "undetermined", "", "D", {"y": None})
    save_findings(lake, diagnoses=[found])
    assert load_diagnoses(lake, ["r1"]) == {"r1": found}
    add_questions(lake, [Question("q1", "Why?")])
    add_gold_answers(lake, [GoldAnswer("q1", ("so",))])
    assert load_diagnoses(lake, ["r1"]) == {}
