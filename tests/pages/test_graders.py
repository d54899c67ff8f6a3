"""A score never stands without what its grader is worth."""

from __future__ import annotations

import shutil

import pytest

from ragdiag.records import Grade
from ragdiag.settings import Workspace
from ragdiag.stats.agreement import agreement
from ragdiag.store.calibrations import GraderCalibration, save_calibration
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
    for grader, graded in (("contains_or_f1", [1, 1, 0, 0] * 5), ("numeric-v1", [None] * 20)):
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
    assert "decided none of the answers" in opinions["Against people"][1]
    assert "agrees with people on 75 %" in said(open_page("overview", measured))


def test_a_grader_that_was_never_measured_says_so(toy_workspace, open_page, said) -> None:
    assert "was never held against people" in said(open_page("overview", toy_workspace))
    assert "was never held against people" in said(open_page("versions", toy_workspace))
