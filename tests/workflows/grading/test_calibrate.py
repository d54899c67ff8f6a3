"""Graders against people, and rates that few labels correct."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from ragdiag.errors import InputError, UnknownName
from ragdiag.grading.rules import DefaultGrader, rule_grader
from ragdiag.records import DEFAULT_GRADER, Request
from ragdiag.settings import Workspace
from ragdiag.stats.agreement import Agreement
from ragdiag.stats.intervals import wilson
from ragdiag.store.calibrations import load_calibrations
from ragdiag.store.findings import load_grades
from ragdiag.store.lake import Lake
from ragdiag.store.results import load_requests
from ragdiag.workflows.grading.calibrate import calibrate_graders, floor_grader
from ragdiag.workflows.grading.corrected_rates import correct_rate, sample_to_label
from ragdiag.workflows.grading.grade import grade_requests
from ragdiag.workflows.grading.human_labels import HumanLabels, read_labels
from tests.answered import OLD, answer, log
from tests.faulty_server import FaultyServer
from tests.grading.conftest import Judged

COUNT = 120
NUMERIC = rule_grader("numeric", None)


def truly_right(n: int) -> bool:
    """A third of the answers are wrong, and half of those the grader takes for right."""
    return n % 3 != 0


@pytest.fixture
def lake(copied: Callable[[Workspace], Lake], answered_corpus: Workspace) -> Lake:
    return copied(answered_corpus)


@pytest.fixture
def asked(lake: Lake, workspace: Workspace) -> list[Request]:
    log(lake, workspace, [answer(n, OLD, right=truly_right(n) or n % 2 == 0) for n in range(COUNT)])
    return load_requests(lake, version_id=OLD.version_id)


def write(path: Path, lines: list[dict[str, object]]) -> HumanLabels:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return read_labels(path)


def labels_of(requests: list[Request], path: Path) -> HumanLabels:
    return write(
        path,
        [
            {"request_id": r.request_id, "label": truly_right(int(r.request_id[-5:]))}
            for r in requests
        ],
    )


def test_agreement_is_counted_and_kept(lake: Lake, asked: list[Request], tmp_path: Path) -> None:
    found = calibrate_graders(lake, labels_of(asked, tmp_path / "people.jsonl"), [NUMERIC])
    agreed = found.found["numeric-v2"]
    assert (found.n, agreed.n) == (COUNT, COUNT)
    assert agreed.accuracy.value == pytest.approx(100 / 120)
    assert (agreed.sensitivity.value, agreed.specificity.value) == (1, 0.5)
    kept = load_calibrations(lake)["numeric-v2"]
    assert kept.estimate("accuracy") == agreed.accuracy
    assert kept.estimate("floor") == found.floor_found.auroc
    assert (kept.labels, kept.about) == ("people.jsonl", "correct")
    assert len(load_grades(lake, "human", [r.request_id for r in asked])) == COUNT
    assert "numeric-v2: accuracy 0.83 (0.76–0.89)" in found.to_text()


@pytest.mark.parametrize(("changing", "warns"), [(0, False), (3, True)])
def test_a_judge_is_asked_again_and_what_it_takes_back_is_kept(
    lake: Lake,
    judge: Judged,
    faulty_server: FaultyServer,
    tmp_path: Path,
    changing: int,
    warns: bool,
) -> None:
    """It takes back what it said of the first ``changing`` answers that it is asked about twice."""
    times: Counter[str] = Counter()

    def answer(prompt: str) -> str:
        said = re.findall(r"^it is (\d+)$", prompt, re.M)[0]
        times[said] += 1
        if times[said] == 2:
            times["twice"] += 1
        takes_back = times[said] == 2 and times["twice"] <= changing
        return json.dumps({"reason": "x", "verdict": "incorrect" if takes_back else "correct"})

    faulty_server.says(answer)
    labels = write(
        tmp_path / "l.jsonl",
        [
            {"item_id": f"i{n}", "label": n % 2, "answer": f"it is {n}", "answers": ["1"]}
            for n in range(40)
        ],
    )
    one = judge(concurrency=1)
    found = calibrate_graders(lake, labels, [one, NUMERIC], again=20)
    assert len(faulty_server.seen) == 60
    assert found.found[one.name].specificity.value == 0  # what it said first is what is measured
    flips = found.flips[one.name]
    assert (flips.rate.value, flips.rate.n, flips.undecided) == (changing / 20, 20, 0)
    assert load_calibrations(lake)[one.name].flips == flips.rate
    assert load_calibrations(lake)["numeric-v2"].flips is None
    assert ("do not rest a decision" in found.to_text()) == warns
    calibrate_graders(lake, labels, [one], again=0)
    assert len(faulty_server.seen) == 60
    assert load_calibrations(lake)[one.name].flips is None


def test_items_of_a_file_need_no_request(lake: Lake, tmp_path: Path) -> None:
    lines: list[dict[str, object]] = [
        {"item_id": f"i{n}", "label": n % 2, "answer": str(n % 2), "answers": ["1"]}
        for n in range(10)
    ]
    labels = write(tmp_path / "l.jsonl", [*lines, {"request_id": "gone", "label": 1}])
    found = calibrate_graders(lake, labels, [NUMERIC, floor_grader("correct")])
    assert (found.n, found.missing) == (10, 1)
    assert found.found["numeric-v2"].accuracy.value == 1
    assert lake.rows("select count(*) as n from grades") == [{"n": 0}]
    assert found.to_json()["graders"]["numeric-v2"]["n"] == 10


def test_what_cannot_be_measured_is_refused(lake: Lake, tmp_path: Path) -> None:
    labels = write(tmp_path / "l.jsonl", [{"request_id": "gone", "label": 1}])
    with pytest.raises(UnknownName, match=r"none of the 1 answers labelled in l\.jsonl is here"):
        calibrate_graders(lake, labels, [NUMERIC])
    with pytest.raises(InputError, match="use --about correct"):
        calibrate_graders(lake, labels, [NUMERIC], "grounded")


def test_few_labels_correct_the_grader(lake: Lake, asked: list[Request], tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="graded none of these 120"):
        correct_rate(lake, asked, "numeric-v2")
    grade_requests(lake, asked, NUMERIC)
    with pytest.raises(UnknownName, match="never calibrated"):
        correct_rate(lake, asked, "numeric-v2")
    lines = sample_to_label(lake, asked, "numeric-v2", 60)
    assert len(lines) == 60
    assert {line["propensity"] for line in lines} == {1.0, 0.4}
    assert {line["label"] for line in lines} == {None}
    for line in lines:
        line["label"] = truly_right(int(line["request_id"][-5:]))
    calibrate_graders(lake, write(tmp_path / "filled.jsonl", lines), [NUMERIC])
    found = correct_rate(lake, asked, "numeric-v2", strata="topic")
    assert found.graded.value == pytest.approx(100 / 120)
    assert found.corrected.low <= 80 / 120 <= found.corrected.high < found.graded.value
    assert found.by == "60 labels of these answers"


def said_right(n: int) -> bool:
    """Four of five answers; of the 40 others 30 are right."""
    return n % 5 != 4


def is_right(n: int) -> bool:
    return n % 20 != 0 if said_right(n) else n % 20 != 4


@pytest.fixture
def judged(lake: Lake, workspace: Workspace) -> list[Request]:
    """The grader's sensitivity is 150 / 180, its specificity 10 / 20."""
    log(lake, workspace, [answer(n, OLD, right=said_right(n)) for n in range(200)])
    found = load_requests(lake, version_id=OLD.version_id)
    grade_requests(lake, found, DefaultGrader())
    return found


def fill(lines: list[dict[str, object]]) -> list[dict[str, object]]:
    return [{**line, "label": is_right(int(str(line["request_id"])[-5:]))} for line in lines]


def test_labels_drawn_by_grade_tell_what_the_grader_is_worth(
    lake: Lake, judged: list[Request], tmp_path: Path
) -> None:
    lines = fill(sample_to_label(lake, judged, DEFAULT_GRADER, 80))
    assert {line["propensity"] for line in lines} == {1.0, 0.25}
    found = calibrate_graders(lake, write(tmp_path / "drawn.jsonl", lines), [DefaultGrader()])
    agreed = found.found[DEFAULT_GRADER]
    assert agreed.sensitivity.value == pytest.approx(150 / 180, abs=0.02)
    assert agreed.sensitivity.low < 150 / 180 < agreed.sensitivity.high
    assert agreed.specificity.low < 10 / 20 < agreed.specificity.high
    assert "weighs 1 / the chance" in found.to_text()
    kept = load_calibrations(lake)[DEFAULT_GRADER]
    assert kept.told("sensitivity") != kept.estimate("sensitivity").n


def test_labels_that_favour_a_grade_and_tell_no_chance_are_refused(
    lake: Lake, workspace: Workspace, judged: list[Request], tmp_path: Path
) -> None:
    lines = fill(sample_to_label(lake, judged, DEFAULT_GRADER, 80))
    some = [lines[0], *({**line, "propensity": None} for line in lines[1:])]
    found = calibrate_graders(lake, write(tmp_path / "some.jsonl", some), [DefaultGrader()])
    assert "79 of 80 labelled answers have no chance" in found.to_text()
    bare: list[dict[str, object]] = [
        {name: line[name] for name in ("request_id", "label")} for line in lines
    ]
    found = calibrate_graders(lake, write(tmp_path / "bare.jsonl", bare), [DefaultGrader()])
    agreed = found.found[DEFAULT_GRADER]
    for one in (agreed.accuracy, agreed.kappa, agreed.sensitivity, agreed.auroc, found.floor_found):
        why = one.auroc.reason if isinstance(one, Agreement) else one.reason
        assert why == (
            f"labels without a chance (propensity) are not spread at random over what "
            f"{DEFAULT_GRADER} says: draw them with grade sample, "
            "or give every line the chance 1 if all were drawn alike"
        )
    assert load_calibrations(lake) == {}
    good = calibrate_graders(lake, write(tmp_path / "all.jsonl", lines), [DefaultGrader()])
    calibrate_graders(lake, write(tmp_path / "again.jsonl", bare), [DefaultGrader()])
    kept = load_calibrations(lake)[DEFAULT_GRADER].estimate("sensitivity")
    assert kept == good.found[DEFAULT_GRADER].sensitivity, "what was refused replaces nothing"


def test_labels_of_what_a_grader_has_graded_alone_are_not_refused(
    lake: Lake, workspace: Workspace, judged: list[Request], tmp_path: Path
) -> None:
    log(lake, workspace, [answer(n, OLD, right=True) for n in range(200, 300)])
    every = fill([{"request_id": one.request_id} for one in judged])
    found = calibrate_graders(lake, write(tmp_path / "part.jsonl", every), [DefaultGrader()])
    assert found.found[DEFAULT_GRADER].accuracy.reason is None


def test_labels_drawn_at_random_need_no_chance(
    lake: Lake, judged: list[Request], tmp_path: Path
) -> None:
    every = [{"request_id": one.request_id} for one in judged]
    found = calibrate_graders(
        lake, write(tmp_path / "all.jsonl", fill(every[::3])), [DefaultGrader()]
    )
    agreed = found.found[DEFAULT_GRADER]
    assert agreed.sensitivity == wilson(round(agreed.sensitivity.value * 60), 60)
    assert "count as drawn at random" in found.to_text()


def test_old_labels_correct_new_answers_and_undecided_ones_widen_it(
    lake: Lake, workspace: Workspace, asked: list[Request], tmp_path: Path
) -> None:
    calibrate_graders(lake, labels_of(asked, tmp_path / "old.jsonl"), [NUMERIC])
    log(lake, workspace, [answer(n, OLD, right=n % 6 != 3) for n in range(COUNT, 2 * COUNT)])
    log(lake, workspace, [answer(n, OLD, question_id=None) for n in range(240, 250)])
    new = load_requests(lake, version_id=OLD.version_id)[COUNT:]
    grade_requests(lake, new, NUMERIC)
    found = correct_rate(lake, new, "numeric-v2")
    assert found.by == "the labels of old.jsonl"
    assert (found.rows, found.labels) == (130, 0)
    assert found.corrected.low < 0.66 * 120 / 130 < found.corrected.high
    assert found.corrected.reason == ("10 undecided answers count as wrong below and right above")
