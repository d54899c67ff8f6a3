"""A score never stands without what its grader is worth."""

from __future__ import annotations

import shutil

import pytest

from ragdiag.records import DEFAULT_GRADER, Grade, SentenceSupport
from ragdiag.retrieval.text import split_sentences
from ragdiag.settings import Workspace
from ragdiag.stats.agreement import agreement
from ragdiag.stats.intervals import wilson
from ragdiag.store.calibrations import KNOWN_TRUTH, GraderCalibration, save_calibration
from ragdiag.store.lake import close_lakes, open_lake
from ragdiag.store.results import save_findings


@pytest.fixture
def measured(workspace: Workspace, toy_workspace: Workspace) -> Workspace:
    """The toy workspace with two more opinions on one request, and two graders calibrated."""
    close_lakes(toy_workspace)  # what another test has open may not be copied
    shutil.copytree(toy_workspace.root, workspace.root)
    lake = open_lake(workspace)
    said = [Grade("p-10-05", "numeric-v1", None, status="undefined"), Grade("p-10-05", "human", 0)]
    save_findings(lake, grades=said)
    scores = [0.9, 0.8, 0.4, 0.6] * 5
    for grader, graded in ((DEFAULT_GRADER, [1, 1, 0, 0] * 5), ("numeric-v1", [None] * 20)):
        found = agreement(graded, [1, 1, 0, 1] * 5, scores)
        kept = {**found.to_json(), "floor": found.auroc.to_json()}
        save_calibration(lake, GraderCalibration(grader, "correct", "people.jsonl", kept))
    close_lakes(workspace)
    return workspace


def test_agreement_stands_beside_the_score(measured: Workspace, open_page, said) -> None:
    app = open_page("request", measured, request_id="p-10-05")
    assert "agrees with people on 75 % (53–89, n=20); AUROC 1.00" in said(app)
    opinions = next(frame.value for frame in app.dataframe if "Grader" in frame.value)
    assert dict(zip(opinions["Grader"], opinions["Says"], strict=True)) == {
        "human": "wrong",
        "numeric-v1": "undecided",
    }
    assert opinions["Against people"][0] == "A person's own label."
    assert "decided none of the labelled answers" in opinions["Against people"][1]
    assert "agrees with people on 75 %" in said(open_page("overview", measured))


def test_a_judge_that_takes_its_verdicts_back_has_a_warning_beside_its_score(
    measured: Workspace, open_page
) -> None:
    lake, judge = open_lake(measured), "judge:m/correct-v1"
    save_findings(lake, grades=[Grade("p-10-05", judge, 1, 1.0)])
    found = agreement([1, 1, 0, 0] * 5, [1, 1, 0, 1] * 5, [0.9, 0.8, 0.4, 0.6] * 5)
    for flipped, told in ((4, "Warning: 13 % ("), (3, " 10 % (")):
        kept = {**found.to_json(), "floor": found.auroc.to_json()}
        kept["flips"] = wilson(flipped, 30).to_json()
        save_calibration(lake, GraderCalibration(judge, "correct", "people.jsonl", kept))
        app = open_page("request", measured, request_id="p-10-05")
        opinions = next(frame.value for frame in app.dataframe if "Grader" in frame.value)
        (text,) = opinions["Against people"][opinions["Grader"] == judge]
        assert told in text.replace("\xa0", " ")
        assert "n=30) of its verdicts changed when it was asked again" in text
        assert ("do not rest a decision on single verdicts" in text) == (flipped == 4)


def test_what_the_demo_knows_is_not_said_to_be_peoples_word(
    measured: Workspace, open_page, said
) -> None:
    found = agreement([1, 0] * 5, [1, 0] * 5, [0.9, 0.1] * 5)
    kept = {**found.to_json(), "floor": found.auroc.to_json()}
    lake = open_lake(measured)
    save_calibration(lake, GraderCalibration(DEFAULT_GRADER, "correct", KNOWN_TRUTH, kept))
    text = said(open_page("overview", measured))
    assert "agrees with the demo's known truth on 100" in text
    assert "copied word for word" in text
    assert "agrees with people" not in text


def test_each_sentence_stands_with_what_supports_it_by_whose_word(
    measured: Workspace, open_page, said
) -> None:
    lake = open_lake(measured)
    answer = lake.rows("select answer from requests where request_id = 'p-10-05'")[0]["answer"]
    (sentence,) = split_sentences(answer)
    words, judge, older, other = (f"grounded_{one}" for one in ("words", "judge:m/v2", "a", "b"))
    supports = [SentenceSupport(True, 0.834, "p1")], [SentenceSupport(False, None, None)]
    assert "No grader has judged the sentences" in said(
        open_page("request", measured, request_id="p-10-05")
    )
    save_findings(
        lake,
        grades=[
            Grade("p-10-05", words, 1, 0.834, sentences=tuple(supports[0])),
            Grade("p-10-05", judge, 0, 0.0, sentences=tuple(supports[1])),
            Grade("p-10-05", older, 1, 1.0),
            Grade("p-10-05", other, 1, 1.0, sentences=tuple(supports[0] * 2)),
            Grade("p-10-05", "grounded_c", None, None, "undefined", "declines to answer"),
        ],
    )
    app = open_page("request", measured, request_id="p-10-05")
    assert not app.exception
    table = next(frame.value for frame in app.dataframe if "Sentence" in frame.value)
    assert table.to_dict("list") == {
        "Sentence": [sentence],
        words: ["supported, 0.83, most by p1"],
        judge: ["not supported"],
    }
    text = said(app).replace("\xa0", " ")
    assert f"1 of 1 sentence supported. The grader {words} was never held against people" in text
    assert "grounded_a: graded the answer before sentences were kept" in text
    assert "grounded_b: judged 2 sentences, and the answer is cut into others by now" in text
    assert "grounded_c: declines to answer" in text


def test_a_grader_that_was_never_measured_says_so(toy_workspace, open_page, said) -> None:
    assert "was never held against people" in said(open_page("overview", toy_workspace))
    assert "was never held against people" in said(open_page("versions", toy_workspace))
