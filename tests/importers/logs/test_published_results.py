"""Published result sets, from the file to Triage: what they can say, and what they cannot."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ragdiag.importers.logs.labels import read_label
from ragdiag.importers.logs.mapping import LabelTable
from ragdiag.metrics.answers import grade_answer
from ragdiag.records import DEFAULT_GRADER, Request
from ragdiag.settings import PROJECT, Workspace
from ragdiag.store.lake import Lake
from ragdiag.store.queries import Filters, failures, graded_counts
from ragdiag.store.results import find_served_version
from tests.diagnosed import diagnose
from tests.importers.logs.conftest import Import, contents

Stored = Callable[[], dict[str, Request]]
RAGCHECKER = {
    "fields": {
        "question_id": ["dataset", "query_id"],
        "question": "query",
        "topic": "dataset",
        "answer": "response",
        "version": "model_name",
        "gold_answer": "gt_answer",
        "label": "ragchecker.overall_label",
        "label_reason": "critiques",
    },
    "label": {"threshold": 0.5, "grader": "ragchecker:overall"},
    "rows": {"each": ["model1", "model2"]},
}


@pytest.mark.slow
def test_ragcheckers_pairs_are_graded_and_diagnosed(
    load: Import, stored: Stored, lake: Lake, workspace: Workspace, shared_data: Path
) -> None:
    path = shared_data / "ragchecker" / "baseline_ragchecker.json"
    report = load(path, **RAGCHECKER)
    pairs = json.loads(path.read_text())
    assert report.format == "evaluation"
    assert report.kinds["request"].new == 2 * len(pairs) == 560
    assert report.kinds["gold_answer"].new == 280
    assert report.reasons == {}
    labels = report.labels["ragchecker:overall"]
    right = sum(
        pair[model]["ragchecker"]["overall_label"] >= 0.5
        for pair in pairs
        for model in ("model1", "model2")
    )
    assert (labels["right"], labels["wrong"], labels["compared"]) == (right, 560 - right, 560)
    first = pairs[0]
    request = next(
        one
        for one in stored().values()
        if one.question == first["query"] and one.version_id == first["model1"]["model_name"]
    )
    assert request.answer == first["model1"]["response"]
    assert (request.traffic, request.topic) == ("evaluation", first["dataset"])
    golds = [first["gt_answer"]]
    expected = grade_answer(request.request_id, request.answer, "ok", golds)
    (graded,) = lake.rows(
        "select y, score from grades where request_id = ? and grader = ?",
        [request.request_id, DEFAULT_GRADER],
    )
    assert (graded["y"], graded["score"]) == (expected.y, pytest.approx(expected.score))

    version = find_served_version(lake, "bm25_gpt_4")
    found = diagnose(lake, workspace, version, traffic="evaluation")
    assert found.n == 70
    assert found.causes == {"gold_unknown": found.failures}
    assert found.verdicts == {"undetermined": found.failures}
    assert {row["tier"] for row in lake.rows("select tier from verdicts")} == {"C"}
    scope = Filters(traffic="evaluation", version_id="bm25_gpt_4")
    assert graded_counts(lake, scope)["failed"] == found.failures
    assert {row["cause"] for row in failures(lake, scope, limit=100)} == {"gold_unknown"}


@pytest.mark.slow
def test_an_inspector_document_keeps_its_passages(
    load: Import, stored: Stored, lake: Lake, shared_data: Path
) -> None:
    path = shared_data / "clapnq_human_eval" / "clapnq_rag_model_performance.json"
    mapping = {
        "fields": {"label": "scores.faithfulness"},
        "label": {"threshold": 3, "grader": "human:faithfulness"},
    }
    report = load(path, **mapping)
    document = json.loads(path.read_text())
    assert report.kinds["request"].new == len(document["results"]) == 400
    assert report.labels["human:faithfulness"].keys() >= {"right", "wrong", "agree"}
    texts = {one["text"] for one in document["documents"]}
    logged = lake.rows("select text from logged_passages")
    assert len(logged) == report.kinds["passage"].new > 90
    assert {row["text"] for row in logged} <= texts
    assert {len(request.context) for request in stored().values()} == {1}
    before = contents(lake)
    load(path, **mapping)
    assert contents(lake) == before


def test_the_mapping_in_the_guide_is_the_one_that_is_tested() -> None:
    import tomllib

    guide = (PROJECT / "docs" / "import.md").read_text(encoding="utf-8")
    blocks = [part.split("```")[0] for part in guide.split("```toml\n")[1:]]
    assert [tomllib.loads(block) for block in blocks][1] == RAGCHECKER


@pytest.mark.parametrize(
    ("label", "table", "y"),
    [
        (True, {}, 1),
        ("no", {}, 0),
        (1, {}, 1),
        ("0.0", {}, 0),
        (0.5, {}, None),
        (0.5, {"threshold": 0.5}, 1),
        ([1, 0, 0], {"threshold": 0.5}, 0),
        ("fine", {}, None),
        ("fine", {"correct": ["Fine"]}, 1),
        ("meh", {"incorrect": ["meh"], "threshold": 0.5}, 0),
        (None, {}, None),
        ([], {}, None),
        (["a"], {}, None),
    ],
)
def test_what_a_label_says(label: object, table: dict[str, object], y: int | None) -> None:
    grade = read_label("r", label, LabelTable.model_validate(table), "because")
    assert grade.y == y
    assert grade.status == ("error" if y is None else "ok")
    assert bool(grade.reason) is True


def test_an_evaluations_id_names_the_example(
    load: Import, stored: Stored, write_lines: Callable[..., Path]
) -> None:
    rows = [
        {"id": 7, "question": "q?", "answer": a, "reference": "yes", "system": system}
        for system, a in (("a", "yes"), ("b", "no"))
    ]
    load(write_lines("table.jsonl", *rows))
    assert {one.question_id for one in stored().values()} == {"7"}
    assert {one.version_id: one.answer for one in stored().values()} == {"a": "yes", "b": "no"}


def test_gold_that_contradicts_an_earlier_row_is_a_reject(
    load: Import, lake: Lake, write_lines: Callable[..., Path]
) -> None:
    row = {"question_id": "q", "question": "q?", "answer": "a", "gold_answer": "yes"}
    report = load(write_lines("table.jsonl", row, {**row, "gold_answer": "no"}))
    assert "other gold" in report.rejects[0].reason
    assert lake.rows("select answers from gold_answers") == [{"answers": ["yes"]}]
