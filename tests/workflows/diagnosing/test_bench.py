"""Lists that production cut are completed only where looking again shows the same head."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from ragdiag.importers.beir import import_beir
from ragdiag.records import (
    Answer,
    Diagnosis,
    GoldAnswer,
    Grade,
    Hit,
    Judgment,
    Passage,
    PassageMetadata,
    Question,
    Request,
    Retrieval,
)
from ragdiag.retrieval.filters import STRANGER, PassageFilter
from ragdiag.settings import Workspace
from ragdiag.store.corpus import add_documents, add_gold_answers, add_judgments, add_questions
from ragdiag.store.lake import close_lakes, open_lake
from ragdiag.version import LoggedVersion, Version, parse_spec
from ragdiag.workflows.diagnosing.bench import Bench
from ragdiag.workflows.diagnosing.replays import Replays
from ragdiag.workflows.indexing.served_builds import with_whole_lists

WHOLE = tuple(Hit(f"p{rank}", 1.0 / rank) for rank in range(1, 21))
LOGGED = Request(
    "r1",
    datetime(2026, 1, 5, tzinfo=UTC),
    "v",
    "production",
    "Why?",
    lexical=WHOLE[:10],
    fused=WHOLE[:10],
    searched_depth=100,
    logged_depth=10,
)


class Shelf:
    def __init__(self, hits: tuple[Hit, ...], dense: tuple[Hit, ...] | None = None) -> None:
        self._retrieval = Retrieval(hits, lexical=hits, dense=dense)

    def retrieve(self, question: str, *, only: PassageFilter = STRANGER) -> Retrieval:
        self.asked_by = only
        return self._retrieval


def test_the_same_head_brings_the_whole_list() -> None:
    completed = with_whole_lists(LOGGED, Shelf(WHOLE))
    assert completed.fused == WHOLE
    assert completed.logged_depth is None


def test_whoever_asked_asks_again() -> None:
    shelf = Shelf(WHOLE)
    with_whole_lists(LOGGED, shelf)
    assert shelf.asked_by == STRANGER
    with_whole_lists(replace(LOGGED, tenant="acme", roles=("legal",)), shelf)
    assert shelf.asked_by == PassageFilter("acme", frozenset({"legal"}))


def test_another_head_changes_nothing() -> None:
    assert with_whole_lists(LOGGED, Shelf(WHOLE[::-1])) is LOGGED
    assert with_whole_lists(LOGGED, Shelf(WHOLE[:5])) is LOGGED


def test_a_path_that_was_blind_when_it_served_stays_blind() -> None:
    assert with_whole_lists(LOGGED, Shelf(WHOLE, dense=WHOLE)) is LOGGED


def test_gold_that_who_asked_may_not_see_is_lost_by_no_stage(workspace: Workspace) -> None:
    lake = open_lake(workspace, create=True)
    secret = Passage("p-acme", "acme", "It boils at 90.", metadata=PassageMetadata("acme"))
    public = Passage("p-all", "all", "Water is wet.")
    add_documents(lake, [secret, public])
    add_questions(lake, [Question("q1", "Why?"), Question("q2", "Why not?")])
    gold = [("q1", "p-acme"), ("q2", "p-acme"), ("q2", "p-all")]
    add_judgments(lake, [Judgment(question, passage, 1, "t") for question, passage in gold])
    add_gold_answers(lake, [GoldAnswer("q1", ("90",)), GoldAnswer("q2", ("wet",))])
    spec = parse_spec("[lexical]\n[generator]\nkind = 'extractive'", source="toy")
    bench = Bench(lake, workspace, Version("v", spec))
    nothing = {"lexical": (), "fused": (), "logged_depth": None, "question_id": "q1"}
    wrong = Grade("r1", "default", 0, 0.0)

    def examined(**fields: object) -> Diagnosis:
        asked = replace(LOGGED, **{**nothing, **fields})  # type: ignore[arg-type]
        found, _ = bench.examine(asked, wrong, None)
        assert found is not None
        return found

    found = examined()
    assert (found.cause, found.verdict) == ("gold_withheld", "undetermined")
    assert found.evidence["rule"] == "its gold passages may not be seen by who asked"
    assert examined(tenant="acme").cause == "recall_miss"
    assert examined(fused=(Hit("p-acme", 1.0),)).cause == "packing"
    some = examined(question_id="q2")
    assert (some.cause, some.evidence["n_gold"]) == ("recall_miss", 1)
    add_gold_answers(lake, [GoldAnswer("q2", ("90",))])
    bench = Bench(lake, workspace, Version("v", spec))
    assert examined(question_id="q2", tenant="acme").cause == "recall_miss"
    assert examined(question_id="q2").cause == "gold_withheld"  # the other does not answer
    add_gold_answers(lake, [GoldAnswer("q2", ("blue",))])
    bench = Bench(lake, workspace, Version("v", spec))
    neither = examined(question_id="q2")  # nor does what is withheld
    assert (neither.cause, neither.verdict) == ("recall_miss", "label_suspect")
    elsewhere = Bench(lake, workspace, LoggedVersion("v"))
    assert elsewhere.look_at(replace(LOGGED, question_id="q1"), wrong).loss.cause == (
        "beyond_logged_depth"
    )
    close_lakes()


def test_what_is_not_stored_is_neither_graded_nor_replayed(
    workspace: Workspace, toy_beir: Path
) -> None:
    lake = open_lake(workspace, create=True)
    import_beir(lake, toy_beir)
    spec = parse_spec("[lexical]\n[generator]\nkind = 'extractive'", source="toy")
    bench = Bench(lake, workspace, Version("v", spec))
    stand_in = f"[text {'0' * 32}]"
    hidden = replace(LOGGED, question=stand_in, answer=stand_in, question_id="q-tea")
    grade = bench.grade(hidden, Answer(hidden.answer))
    assert (grade.y, grade.reason) == (None, "(text not stored)")
    failed = replace(grade, y=0, status="ok")
    wrong = replace(hidden, answer="boiling")
    replays = Replays(lake, workspace, spec, [wrong.question])
    found, draws = bench.examine(wrong, failed, replays)
    assert draws == []
    assert found is not None
    assert (found.tier, found.verdict) == ("B", "retrieval")  # what the logged ranks tell
    close_lakes()
