"""Versions that other services served: graded and located, never replayed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from ragdiag.errors import UnknownName
from ragdiag.records import (
    ContextHit,
    Feedback,
    GoldAnswer,
    Hit,
    Judgment,
    Passage,
    Question,
    Request,
)
from ragdiag.settings import Workspace
from ragdiag.store.corpus import add_documents, add_gold_answers, add_judgments, add_questions
from ragdiag.store.findings import load_diagnoses
from ragdiag.store.ingest import ingest
from ragdiag.store.lake import Lake, close_lakes, open_lake
from ragdiag.store.results import find_served_version
from ragdiag.store.spool import SpoolWriter
from ragdiag.version import LoggedVersion
from ragdiag.workflows.grading.reviews import save_label
from tests.diagnosed import diagnose

GOLD = Passage("cats", "cats", "Cats sleep fifteen hours a day.")


def asked(request_id: str, fused: tuple[str, ...], context: tuple[str, ...]) -> Request:
    return Request(
        request_id=request_id,
        asked_at=datetime(2026, 1, 5, tzinfo=UTC),
        version_id="theirs",
        traffic="production",
        question="How long do cats sleep?",
        build_id="a-build-of-theirs",
        question_id="q",
        answer="An hour.",
        dense=tuple(Hit(passage, 1.0) for passage in fused),
        fused=tuple(Hit(passage, 1.0) for passage in fused),
        context=tuple(ContextHit(passage, 1.0, 100) for passage in context),
    )


@pytest.fixture
def lake(workspace: Workspace) -> Iterator[Lake]:
    lake = open_lake(workspace, create=True)
    add_documents(lake, [GOLD])
    add_questions(lake, [Question("q", "How long do cats sleep?")])
    add_judgments(lake, [Judgment("q", "cats", 1, "test")])
    add_gold_answers(lake, [GoldAnswer("q", ("fifteen hours",))])
    with SpoolWriter(workspace) as spool:
        spool.write(asked("missed", ("dogs",), ("dogs",)))
        spool.write(asked("packed", ("dogs", "cats"), ("dogs",)))
        spool.write(asked("shown", ("cats",), ("cats",)))
    ingest(lake, workspace)
    yield lake
    close_lakes()


def test_the_loss_is_located_and_nothing_is_replayed(lake: Lake, workspace: Workspace) -> None:
    found = diagnose(lake, workspace, find_served_version(lake, "theirs"))
    assert (found.n, found.failures) == (3, 3)
    assert found.causes == {"recall_miss": 1, "packing": 1, "in_context": 1}
    assert found.verdicts == {"retrieval": 1, "packing": 1, "undetermined": 1}
    assert found.tiers == {"B": {"packing": 1, "retrieval": 1, "undetermined": 1}}
    assert found.headroom["tau"].reason is not None
    diagnoses = load_diagnoses(lake, ["missed", "packed", "shown"])
    assert {one.tier for one in diagnoses.values()} == {"B"}
    assert lake.rows("select * from replays") == []
    assert found.to_json()["version"] == "theirs"


def test_a_gold_answer_alone_is_looked_for_in_what_was_retrieved(
    lake: Lake, workspace: Workspace
) -> None:
    lake.write(lambda cursor: cursor.execute("delete from judgments"))
    found = diagnose(lake, workspace, find_served_version(lake, "theirs"))
    assert found.tiers == {"C": {"packing": 1, "undetermined": 2}}
    told = load_diagnoses(lake, ["missed", "packed", "shown"])
    assert told["missed"].evidence["signs"]["answer_at"] is None
    assert told["shown"].evidence["signs"]["answer_at"] == "in_context"


def test_what_nobody_can_grade_is_bounded_and_waits_for_sufficiency(
    lake: Lake, workspace: Workspace
) -> None:
    for table in ("judgments", "gold_answers"):
        lake.write(lambda cursor, name=table: cursor.execute(f"delete from {name}"))
    found = diagnose(lake, workspace, find_served_version(lake, "theirs"))
    assert (found.failures, found.ungraded, found.failed_bounds) == (0, 3, (0.0, 1.0))
    assert found.tiers == {"D": {"undetermined": 3}}
    assert "3 could not be graded: 0.0% to 100.0% of all failed" in found.to_text()
    assert "tier D     3 undetermined" in found.to_text()
    told = found.to_json()
    assert (told["ungraded"], told["failed_bounds"]) == (3, [0.0, 1.0])
    assert told["tiers"] == found.tiers


def test_without_a_gold_answer_what_people_say_and_the_gold_passages_decide(
    lake: Lake, workspace: Workspace
) -> None:
    lake.write(lambda cursor: cursor.execute("delete from gold_answers"))
    save_label(lake, "ada", "missed", "wrong")
    with SpoolWriter(workspace) as spool:
        spool.write(Feedback("f1", "packed", datetime(2026, 1, 6, tzinfo=UTC), "thumbs", -1.0))
    ingest(lake, workspace)
    found = diagnose(lake, workspace, find_served_version(lake, "theirs"))
    assert (found.failures, found.verdicts) == (1, {"retrieval": 1})
    assert found.tiers == {"D": {"packing": 1, "retrieval": 1, "undetermined": 1}}
    told = load_diagnoses(lake, ["missed", "packed", "shown"])
    assert "somebody calls the answer wrong" in told["missed"].evidence["rule"]
    assert told["shown"].evidence["rule"] == "nothing says that the answer failed"


def test_a_name_that_nothing_has_is_unknown(lake: Lake) -> None:
    assert find_served_version(lake, "theirs") == LoggedVersion("theirs")
    with pytest.raises(UnknownName, match="no version 'ours'"):
        find_served_version(lake, "ours")


def test_an_empty_scope_names_the_traffic(lake: Lake, workspace: Workspace) -> None:
    with pytest.raises(UnknownName, match=r"no evaluation traffic.*--traffic"):
        diagnose(lake, workspace, find_served_version(lake, "theirs"), traffic="evaluation")
