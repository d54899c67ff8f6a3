"""Whose word decides: people before judges, judges before the default grader."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ragdiag.records import DEFAULT_GRADER, Diagnosis, Grade, Request
from ragdiag.settings import Workspace
from ragdiag.store.deciding import load_deciding, load_people, overrule
from ragdiag.store.findings import load_diagnoses
from ragdiag.store.ingest import ingest
from ragdiag.store.lake import Lake
from ragdiag.store.queries import Filters, failures, graded_counts
from ragdiag.store.results import save_findings
from ragdiag.store.spool import SpoolWriter

JUDGE = "judge:m/correct-v1"
FIRST = "contains_or_f1"
NAMES = ("ada", "bo", "cy")


@pytest.fixture
def asked(lake: Lake, workspace: Workspace, make_request: Callable[..., Request]) -> str:
    request = make_request(1, request_id="r1")
    with SpoolWriter(workspace) as spool:
        spool.write(request)
    ingest(lake, workspace)
    return request.request_id


def say(lake: Lake, **said: int | None) -> None:
    names = {"own": DEFAULT_GRADER, "first": FIRST, "judge": JUDGE, "human": "human"}
    grades = [Grade("r1", names.get(who, f"reviewer:{who}"), y, 0.5) for who, y in said.items()]
    save_findings(lake, grades=grades)


@pytest.mark.parametrize(
    ("said", "y", "whose"),
    [
        ({"own": 1}, 1, DEFAULT_GRADER),
        ({"own": 1, "judge": 0}, 0, JUDGE),
        ({"own": 1, "judge": None}, 1, DEFAULT_GRADER),
        ({"own": 1, "judge": 1, "human": 0}, 0, "human"),
        ({"own": 0, "judge": 0, "ada": 1}, 1, "human"),
        ({"own": 0, "ada": 1, "bo": 1, "cy": 0}, 1, "human"),
        ({"own": 1, "judge": 0, "ada": 1, "bo": 0}, 0, JUDGE),
        ({"own": 1, "ada": None}, 1, DEFAULT_GRADER),
        ({"ada": 0}, 0, "human"),
        ({"first": 1}, 1, FIRST),
        ({"first": 1, "own": 0}, 0, DEFAULT_GRADER),
        ({"own": 0, "first": 1}, 0, DEFAULT_GRADER),
        ({"first": 1, "judge": 0}, 0, JUDGE),
    ],
)
def test_the_first_who_decides(lake: Lake, asked: str, said, y: int, whose: str) -> None:
    say(lake, **said)
    found = load_deciding(lake, [asked])[asked]
    assert (found.y, found.grader) == (y, whose)
    # The counts of the pages say the same.
    counts = graded_counts(lake, Filters())
    assert (counts["graded"], counts["failed"]) == (1, 1 - y)
    assert len(failures(lake, Filters())) == 1 - y


def test_reviewers_are_counted_and_a_changed_mind_counts_once(lake: Lake, asked: str) -> None:
    say(lake, ada=1, bo=0)
    assert load_people(lake, [asked]) == {}
    say(lake, bo=1, cy=0)
    assert load_deciding(lake, [asked])[asked].reason == "2 to 1"
    assert load_people(lake, [asked, "unknown"]) == {asked: 1}


def test_a_diagnosis_of_another_outcome_is_out_of_date(lake: Lake, asked: str) -> None:
    say(lake, own=1)
    found = Diagnosis(asked, "in_context", "ok", "", "B", {"y": 1})
    save_findings(lake, diagnoses=[found])
    assert load_diagnoses(lake, [asked]) == {asked: found}
    say(lake, ada=0)
    assert load_diagnoses(lake, [asked]) == {}
    assert failures(lake, Filters())[0]["verdict"] == "not_diagnosed"
    again = Diagnosis(asked, "in_context", "generator", "", "B", {"y": 0})
    save_findings(lake, diagnoses=[again])
    assert load_diagnoses(lake, [asked]) == {asked: again}
    assert failures(lake, Filters())[0]["verdict"] == "generator"


def test_a_person_decides_where_there_is_no_gold_answer() -> None:
    own = Grade("r1", DEFAULT_GRADER, None, status="no_gold", reason="no gold answer")
    assert overrule(own, own) is own
    found = overrule(own, Grade("r1", "human", 0, reason="1 to 0"))
    assert (found.grader, found.y, found.status) == ("human", 0, "no_gold")
