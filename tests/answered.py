"""Requests as versions of stated quality would have answered them, for tests of gates and
deployments: two hundred questions, each with one gold passage and one gold answer."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ragdiag.records import GoldAnswer, Hit, IndexBuild, Judgment, Passage, Question, Request
from ragdiag.settings import Workspace
from ragdiag.store.corpus import add_documents, add_gold_answers, add_judgments, add_questions
from ragdiag.store.ingest import ingest
from ragdiag.store.lake import Lake, close_lakes, open_lake
from ragdiag.store.results import save_build, save_version
from ragdiag.store.spool import SpoolWriter
from ragdiag.version import ExtractiveSpec, LexicalSpec, Spec, Version

MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)
QUESTIONS = 200
OLD, NEW, THIRD = (
    Version(name, Spec(lexical=LexicalSpec(k1=k1), generator=ExtractiveSpec()))
    for name, k1 in (("old", 1.5), ("new", 1.2), ("third", 0.9))
)


def fill_corpus(workspace: Workspace, *, passages_each: int = 1) -> Lake:
    """Questions, gold and three versions that have an index; nothing is asked yet. A document has
    ``passages_each`` passages, each of them the gold of one question."""
    lake = open_lake(workspace, create=True)
    questions = [Question(f"q{n}", f"How is item {n} set?", "items") for n in range(QUESTIONS)]
    add_documents(
        lake,
        [
            Passage(f"p{n}", f"p{n // passages_each}", f"Item {n} is set to {n}.")
            for n in range(QUESTIONS)
        ],
    )
    add_questions(lake, questions)
    add_judgments(lake, [Judgment(f"q{n}", f"p{n}", 1, "test") for n in range(QUESTIONS)])
    add_gold_answers(lake, [GoldAnswer(f"q{n}", (f"set to {n}",)) for n in range(QUESTIONS)])
    for version in (OLD, NEW, THIRD):
        save_version(lake, version)
        key = version.spec.index_key
        save_build(
            lake, IndexBuild(f"b-{key}", key, "c", QUESTIONS, None, None, 1, 0.1, MONDAY, {})
        )
    return lake


@pytest.fixture(scope="session")
def answered_corpus(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace that ``fill_corpus`` has filled; to be copied, never opened."""
    workspace = Workspace(tmp_path_factory.mktemp("answered") / "workspace")
    fill_corpus(workspace)
    close_lakes(workspace)
    return workspace


def answer(number: int, version: Version, **changes: Any) -> Request:
    """The request ``number`` about question ``number`` modulo QUESTIONS; ``right`` and ``rank`` (0:
    not found) say how well it went, ``total_ms`` how long it took."""
    n = number % QUESTIONS
    right, rank = changes.pop("right", True), changes.pop("rank", 1)
    others = [f"p{(n + step) % QUESTIONS}" for step in range(1, 4)]
    ranked = [*others[: rank - 1], f"p{n}", *others[rank - 1 :]] if rank else others
    hits = tuple(Hit(passage, 1.0 / place) for place, passage in enumerate(ranked, start=1))
    fields: dict[str, Any] = {
        "request_id": f"{version.name}-{number:05}",
        "asked_at": MONDAY + timedelta(seconds=number),
        "version_id": version.version_id,
        "traffic": "evaluation",
        "question": f"How is item {n} set?",
        "question_id": f"q{n}",
        "answer": f"Item {n} is set to {n}." if right else "Nobody knows.",
        "latency_ms": {"total": changes.pop("total_ms", 20.0 + number % 40)},
        "lexical": hits,
        "fused": hits,
    }
    return Request(**{**fields, **changes})


def log(lake: Lake, workspace: Workspace, requests: Iterable[Any]) -> None:
    """Through the spool, as services do."""
    with SpoolWriter(workspace) as spool:
        spool.write_all(requests)
    ingest(lake, workspace)
