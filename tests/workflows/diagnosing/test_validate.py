"""Known faults in a real pipeline over the toy corpus: BM25, MiniLM's sentences as answers."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence

import pytest

from ragdiag.diagnosis.injection import EXPECTED, FAULTS
from ragdiag.diagnosis.sufficiency import TooFewLabels
from ragdiag.errors import InputError
from ragdiag.records import Answer, ContextPassage, GoldAnswer, Grade, Replay
from ragdiag.settings import Workspace
from ragdiag.store.corpus import add_gold_answers
from ragdiag.store.lake import Lake, close_lakes, open_lake
from ragdiag.store.results import save_findings, save_version
from ragdiag.store.validations import load_validation, load_validations
from ragdiag.version import Version, parse_spec
from ragdiag.workflows.comparing.evaluate import evaluate
from ragdiag.workflows.diagnosing import sufficiency
from ragdiag.workflows.diagnosing.diagnose import Scope, requests_in_scope
from ragdiag.workflows.diagnosing.inject import Injected, Injector
from ragdiag.workflows.diagnosing.replays import Job, Replays
from ragdiag.workflows.diagnosing.sufficiency import calibrate_sufficiency
from ragdiag.workflows.diagnosing.validate import (
    RECORDS,
    compare,
    diagnose_broken,
    read_record,
    shortfalls,
    validate,
    withhold,
    write_record,
)
from ragdiag.workflows.diagnosing.validation_price import plan_validation
from ragdiag.workflows.indexing.build import build_version_index
from tests.diagnosed import diagnose

SPEC = "[lexical]\n[context]\nk = 2\n[generator]\nkind = 'extractive'\nsentences = 1"


@pytest.fixture(scope="module")
def version() -> Version:
    return Version("narrow", parse_spec(SPEC, source="toy"))


@pytest.fixture(scope="module")
def evaluated(
    tmp_path_factory: pytest.TempPathFactory, stocked_workspace: Workspace, version: Version
) -> Workspace:
    """An evaluation of a version that takes two passages; to be copied."""
    workspace = Workspace(tmp_path_factory.mktemp("evaluated") / "workspace")
    shutil.copytree(stocked_workspace.root, workspace.root)
    lake = open_lake(workspace)
    save_version(lake, version)
    build_version_index(lake, workspace, version)
    evaluate(lake, workspace, version, "test")
    close_lakes()
    return workspace


@pytest.fixture
def lake(copied: Callable[[Workspace], Lake], evaluated: Workspace) -> Lake:
    return copied(evaluated)


@pytest.fixture
def injected(lake: Lake, workspace: Workspace, version: Version) -> Injected:
    requests = requests_in_scope(lake, version, Scope("test"))
    return Injector(lake, workspace, version, requests).inject(3)


def test_only_failures_count_and_each_replayed_verdict_names_its_fault(
    lake: Lake, injected: Injected
) -> None:
    assert {"gold_not_indexed", "distractors_added", "label_swapped"} <= set(
        injected.record.values()
    )
    assert "dense_blind" not in injected.tried
    for one in injected.broken:
        found = diagnose_broken([one])[one.request.request_id]["A"]
        assert found.verdict == EXPECTED[injected.record[one.request.request_id]].verdict


def test_deleting_the_record_changes_no_verdict(
    lake: Lake, workspace: Workspace, injected: Injected
) -> None:
    record = write_record(workspace, injected)
    kept = read_record(record)
    before = diagnose_broken(injected.broken)
    shutil.rmtree(workspace.root / RECORDS)
    after = diagnose_broken(injected.broken)
    assert after == before
    assert compare(kept, after)["A"].part.right.n == len(injected.broken)


def test_less_evidence_never_says_what_it_cannot_know(injected: Injected) -> None:
    told = diagnose_broken(injected.broken)
    said = {tier: {one[tier].verdict for one in told.values()} for tier in ("B", "C", "D")}  # type: ignore[index]
    assert not said["B"] & {"distraction", "generator"}
    assert said["C"] <= {"retrieval", "packing", "undetermined"}
    assert said["D"] == {"undetermined"}
    labels = injected.broken[0].labels
    assert withhold(labels, "C").gold == ()
    assert withhold(labels, "D").answers == ()


def test_what_was_found_is_kept_and_nothing_is_logged(
    lake: Lake, workspace: Workspace, version: Version
) -> None:
    counts = "select (select count(*) from requests) as n, (select count(*) from replays) as m"
    logged = lake.rows(counts)
    found = validate(lake, workspace, version, "test", n=1)
    assert lake.rows(counts) == logged
    kept = load_validation(lake, version.version_id) or {}
    assert kept["tiers"] == found.to_json()["tiers"]
    assert set(found.tried) < set(FAULTS)
    assert (workspace.root / found.record).is_file()


def test_questions_with_labels_in_doubt_are_left_out(
    lake: Lake, workspace: Workspace, version: Version
) -> None:
    whole = validate(lake, workspace, version, "test", n=1)
    assert plan_validation(lake, workspace, version, "test", 1).requests == 6
    hours = GoldAnswer("q-cats", ("fifteen hours a day", "twelve hours a day"))
    add_gold_answers(lake, [hours, GoldAnswer("q-tea", ("a tuple of two integers",))])
    found = validate(lake, workspace, version, "test", n=1)
    assert found.left_out == {
        "accepted answers contradict each other": 1,
        "no gold passage supports the gold answer": 1,
    }
    assert (whole.left_out, found.successes) == ({}, whole.successes - 2)
    assert plan_validation(lake, workspace, version, "test", 1).requests == 4
    told = shortfalls(found.to_json())
    assert "left out 1: accepted answers contradict each other" in told
    assert "dense_blind: not tried, since the version has not the part that it breaks" in told


def test_another_versions_generator_answers_and_is_named(
    lake: Lake, workspace: Workspace, version: Version
) -> None:
    spec = parse_spec(SPEC.replace("sentences = 1", "sentences = 2"), source="toy")
    other = Version("wordy", spec)
    found = validate(lake, workspace, version, "test", n=1, generator_of=other)
    assert (found.version, found.generator) == ("narrow", found.to_json()["generator"])
    assert load_validation(lake, version.version_id) is None
    assert load_validation(lake, other.version_id) == load_validations(lake)[0]
    validate(lake, workspace, version, "test", n=1)
    assert [one["version_id"] for one in load_validations(lake)] == [
        version.version_id,
        other.version_id,
    ]


def test_a_broken_generator_is_asked_itself_and_its_answers_are_nobody_elses(
    lake: Lake, workspace: Workspace, version: Version
) -> None:
    class Parrot:
        def answer(self, question: str, context: Sequence[ContextPassage]) -> Answer:
            return Answer("polly")

    request = requests_in_scope(lake, version, Scope("test"))[0]
    job: Job = (request, {"g": (ContextPassage("p", "Water boils at 100 degrees."),)})

    def replay(replays: Replays) -> Sequence[Replay]:
        return replays.replay(job, lambda said: Grade(request.request_id, "toy", 0)).draws

    kept = replay(Replays(lake, workspace, version.spec, ()))
    save_findings(lake, replays=kept)
    known = Replays(lake, workspace, version.spec, [request.question])
    first, second = replay(known.over(Parrot())), replay(known.over(Parrot()))
    assert {draw.answer for draw in (*first, *second)} == {"polly"}
    assert [draw.answer for draw in replay(known)] == [draw.answer for draw in kept]
    keys = {draw.draw_key for draw in (*kept, *first, *second)}
    assert len(keys) == len(kept) + len(first) + len(second)


def test_a_version_that_never_succeeds_has_nothing_to_break(
    lake: Lake, workspace: Workspace, version: Version
) -> None:
    lake.write(lambda cursor: cursor.execute("delete from gold_answers"))
    with pytest.raises(
        InputError, match="succeeds today with extractive; only what works can be broken"
    ):
        validate(lake, workspace, version, "test")


def test_sufficiency_asks_for_more_labels_than_six(
    lake: Lake, workspace: Workspace, version: Version
) -> None:
    diagnose(lake, workspace, version, split="test")
    with pytest.raises(InputError, match=r"of 6 requests it is known.*larger scope"):
        calibrate_sufficiency(lake, workspace, version, split="test")


def test_sufficiency_is_judged_by_documents(
    lake: Lake, workspace: Workspace, version: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def refuse(_rows: object, _labels: object, owners: list[str], _seed: int) -> None:
        asked.extend(owners)
        raise TooFewLabels("enough seen")

    diagnose(lake, workspace, version, split="test")
    monkeypatch.setattr(sufficiency, "calibrate", refuse)
    with pytest.raises(InputError, match="enough seen"):
        calibrate_sufficiency(lake, workspace, version, split="test")
    assert len(asked) == 6
    assert {owner.split()[0] for owner in asked} == {"document"}
