"""From a lake to sets: what evaluation asks never trains, and the report says where all went."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ragdiag.errors import TrainingError
from ragdiag.records import Judgment, Passage, Question
from ragdiag.settings import Workspace
from ragdiag.store.corpus import add_documents, add_judgments, add_questions, load_passages
from ragdiag.store.gold_marks import load_gold_marks
from ragdiag.store.ingest import ingest
from ragdiag.store.lake import Lake, close_lakes, open_lake
from ragdiag.store.regressions import Regression, add_regressions
from ragdiag.store.results import save_findings
from ragdiag.store.signals import Window
from ragdiag.store.spool import SpoolWriter
from ragdiag.training.data.assemble import PARTS, Assembled, AssembleOptions, assemble
from ragdiag.training.data.leaks import check_leaks
from ragdiag.training.data.negatives import NegativeOptions
from ragdiag.training.data.pairs import question_name
from ragdiag.training.data.sets import load_set
from ragdiag.training.data.sources import SourceOptions, gather_pairs
from tests.training.mining import MONDAY, asked, diagnosed, said

THINGS = [
    *("anvil", "bellows", "chisel", "drill", "easel", "funnel", "gimlet", "hammer", "inkwell"),
    *("jigsaw", "kettle", "ladder", "mallet", "needle", "oilcan", "pliers", "quill", "rasp"),
    *("saw", "trowel", "urn", "vice", "wrench", "yoke"),
]
JUDGED, TESTED = THINGS[:16], THINGS[16:20]
URN = asked("urn-1", "Has anybody seen an urn?", ("vice", "urn"), day=5)
LABELS = AssembleOptions(SourceOptions(fallback=()))


def question(thing: str) -> str:
    return f"Where do we keep the {thing} that {thing[::-1]} made?"


def text(thing: str) -> str:
    own = " ".join(f"{thing}{n}" for n in range(9))
    return f"Every {thing} is kept apart. It was made by {thing[::-1]}. {own}."


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, empty_workspace: Workspace) -> Workspace:
    """Sixteen judged questions, four that evaluation asks, and a week of users; to be read."""
    workspace = Workspace(tmp_path_factory.mktemp("shop") / "workspace")
    shutil.copytree(empty_workspace.root, workspace.root)
    lake = open_lake(workspace)
    add_documents(lake, [Passage(thing, thing, text(thing)) for thing in THINGS])
    add_documents(lake, [Passage("old#0", "old", f"An older {text('anvil')}")])
    add_questions(lake, [Question(thing, question(thing)) for thing in [*JUDGED, *TESTED]])
    add_judgments(lake, [Judgment(thing, thing, 1, "train") for thing in JUDGED])
    add_judgments(lake, [Judgment(thing, thing, 1, "test") for thing in TESTED])
    add_judgments(lake, [Judgment("anvil", "old#0", 1, "test")])
    add_judgments(lake, [Judgment("bellows", "chisel", 0, "train")])
    requests = [
        asked("failed", question("drill"), ("saw", "urn", "drill"), question_id="drill"),
        asked("tested", question("quill"), ("quill", "rasp"), question_id="quill"),
        asked("typed", question("rasp").lower().strip("?"), ("rasp", "saw")),
        URN,
        asked("no-1", question("bellows"), ("chisel", "saw"), day=1),
        asked("fine", question("funnel"), ("funnel",), question_id="funnel", day=3),
        replace(
            asked("measured", question("easel"), ("saw",), question_id="easel", day=6),
            traffic="evaluation",
        ),
    ]
    with SpoolWriter(workspace) as spool:
        for one in requests:
            spool.write(one)
        for name, passage in (("tested", "quill"), ("typed", "rasp"), ("no-1", "chisel")):
            spool.write(said(name, "click", 1, passage))
        spool.write(said("urn-1", "click", 1, "urn"))
    ingest(lake, workspace)
    diagnoses = [
        diagnosed("failed", "rerank_loss", "retrieval"),
        diagnosed("tested", "recall_miss", "retrieval"),
        diagnosed("measured", "recall_miss", "retrieval"),
    ]
    marks = load_gold_marks(lake, [one.request_id for one in diagnoses])
    save_findings(
        lake,
        diagnoses=[
            replace(one, evidence={"gold_mark": marks[one.request_id]}) for one in diagnoses
        ],
    )
    close_lakes(workspace)
    return workspace


@pytest.fixture
def stocked(shop: Workspace) -> Lake:
    """Opened anew where another test has closed all lakes of the process."""
    return open_lake(shop)


def test_all_that_a_lake_gives_is_used_but_for_what_evaluation_asks(
    stocked: Lake, tmp_path: Path
) -> None:
    found = assemble(stocked, LABELS)
    pairs = {p.question_id: p for part in PARTS[:3] for p in getattr(found, part).pairs}
    assert sorted(pairs) == sorted([*JUDGED[1:], question_name(URN)])
    assert pairs["drill"].source == "failure"
    assert pairs["drill"].negatives[:2] == ("saw", "urn"), "what stood above it is hardest"
    urn = pairs[question_name(URN)]
    assert (urn.source, urn.weight, urn.request_ids) == ("click", 2.0, ("urn-1",))
    assert all(p.passage_id not in p.negatives for p in pairs.values())
    report = json.loads(json.dumps(found.report))
    assert report["kept_for_evaluation"] == 5
    skipped = report["joined"]["skipped"]
    assert skipped["kept for evaluation"] == 2, "whoever asked it, in whatever letters"
    assert skipped["judged irrelevant"] == 1
    assert report["sources"]["failures"]["skipped"] == {
        "failed, and its gold passage is unknown": 1
    }
    assert report["without_text"] == 0
    assert sum(report["parts"][part]["pairs"] for part in PARTS[:3]) == len(pairs)
    check(found)

    found.save(tmp_path)
    for part in PARTS:
        assert load_set(tmp_path, part).data_hash == report["parts"][part]["data_hash"]
    assert assemble(stocked, LABELS).report == found.report
    other = replace(LABELS, split=replace(LABELS.split, seed=1))
    assert assemble(stocked, other).dev.data_hash != found.dev.data_hash


def test_questions_have_the_time_when_a_user_first_asked_them_however_it_went(
    stocked: Lake,
) -> None:
    found = gather_pairs(stocked, load_passages(stocked), LABELS.sources)
    days = {"drill": 0, "bellows": 1, "funnel": 3, question_name(URN): 5}
    assert found.asked_at == {name: MONDAY + timedelta(days=day) for name, day in days.items()}
    report = assemble(stocked, LABELS).report
    assert report["no_holdout"] == "users asked 4 of 16 questions, fewer than half"
    assert (report["cut"], report["parts"]["temporal"]["pairs"]) == (None, 0)


def test_regression_questions_and_what_repeats_them_are_never_learnt_from(
    shop: Workspace, copied: Callable[[Workspace], Lake]
) -> None:
    lake = copied(shop)
    add_regressions(lake, [Regression("jigsaw"), Regression("bellows")])
    add_questions(lake, [Question("twin", question("jigsaw").lower())])
    add_judgments(lake, [Judgment("twin", "jigsaw", 1, "train")])
    found = assemble(lake, LABELS)
    learnt = {p.question_id for part in PARTS for p in getattr(found, part).pairs}
    assert not learnt & {"jigsaw", "twin", "bellows"}
    assert "kettle" in learnt
    assert found.report["kept_for_evaluation"] == 7


def check(found: Assembled) -> None:
    for part in PARTS[1:]:
        check_leaks(found.train, getattr(found, part))
    assert found.train.pairs
    assert found.dev.pairs
    dev = {pair.question_id for pair in found.dev.pairs}
    assert {pair.question_id for pair in found.synthetic.pairs} <= dev
    asked_in_dev = {pair.question for pair in found.dev.pairs}
    assert not asked_in_dev & {pair.question for pair in found.synthetic.pairs}


def test_a_window_leaves_out_what_was_asked_outside(stocked: Lake) -> None:
    window = Window(until=MONDAY + timedelta(days=3))
    found = assemble(stocked, replace(LABELS, sources=replace(LABELS.sources, window=window)))
    assert "click" not in json.dumps(found.report["parts"])


def test_sentences_of_held_out_documents_train_too_and_change_no_part(stocked: Lake) -> None:
    plain, found = (assemble(stocked, replace(LABELS, sentences=n)) for n in (0, 200))
    drawn = [pair for pair in found.train.pairs if pair.source == "sentence"]
    assert [p for p in found.train.pairs if p.source != "sentence"] == list(plain.train.pairs)
    assert found.dev.data_hash == plain.dev.data_hash
    assert {pair.passage_id for pair in found.dev.pairs} & {pair.passage_id for pair in drawn}
    assert {*TESTED} & {pair.passage_id for pair in drawn}
    assert any(pair.negatives for pair in drawn)
    assert all(pair.passage_id not in pair.negatives for pair in drawn)
    assert found.report["parts"]["train"]["by_source"]["sentence"] == len(drawn)


def test_weak_pairs_come_where_labels_are_few_and_variants_where_they_are_asked_for(
    stocked: Lake,
) -> None:
    found = assemble(stocked, AssembleOptions(augment=1))
    titles = [p for p in found.train.pairs if p.source == "title"]
    assert titles
    assert all("is kept apart" not in found.train.texts[p.passage_id] for p in titles)
    asked_as = {p.question_id: set[str]() for p in found.train.pairs}
    for pair in found.train.pairs:
        asked_as[pair.question_id].add(pair.question)
    assert all(len(wordings) == 2 for wordings in asked_as.values())
    check(found)
    enough = replace(LABELS.sources, fallback=("title",), enough=10)
    assert "titles" not in assemble(stocked, AssembleOptions(enough)).report["sources"]


def test_what_evaluation_keeps_does_not_count_as_enough(
    shop: Workspace, copied: Callable[[Workspace], Lake]
) -> None:
    lake = copied(shop)
    given = len(gather_pairs(lake, [], LABELS.sources).mined.pairs)
    sources = replace(LABELS.sources, fallback=("title",), enough=given)
    assert "titles" not in gather_pairs(lake, load_passages(lake), sources).report["sources"]
    add_judgments(lake, [Judgment("jigsaw", "jigsaw", 1, "held")])
    assert "titles" in gather_pairs(lake, load_passages(lake), sources).report["sources"]


def test_no_variant_and_no_sentence_asks_what_evaluation_asks(
    shop: Workspace, copied: Callable[[Workspace], Lake]
) -> None:
    lake, options = copied(shop), replace(LABELS, augment=3, sentences=200)
    pairs = assemble(lake, options).train.pairs
    variant = min((p for p in pairs if p.question_id in JUDGED), key=lambda p: len(p.question))
    sentence = next(p for p in pairs if p.source == "sentence")
    assert variant.question != question(variant.question_id)
    add_questions(
        lake, [Question("t1", variant.question.upper()), Question("t2", sentence.question)]
    )
    add_judgments(lake, [Judgment(name, "saw", 1, "test") for name in ("t1", "t2")])
    learnt = {p.question for p in assemble(lake, options).train.pairs}
    assert not learnt & {variant.question, sentence.question}
    assert question(variant.question_id) in learnt


def test_a_variant_that_stands_in_its_own_passage_is_left_out(
    empty_workspace: Workspace, copied: Callable[[Workspace], Lake]
) -> None:
    lake = copied(empty_workspace)
    documents = [
        Passage(
            thing, thing, f"Its sign says {thing} hall here. {text(thing)}", f"The {thing} hall"
        )
        for thing in THINGS
    ]
    add_documents(lake, documents)
    found = assemble(lake, AssembleOptions(augment=3))
    asked_for = {p.question for p in found.train.pairs}
    assert not asked_for & {f"{thing} hall" for thing in THINGS}
    assert len(asked_for) > len(found.train.positives), "the other variants stay"


def test_without_hard_negatives_none_is_looked_for_and_none_need_be_left(
    empty_workspace: Workspace, copied: Callable[[Workspace], Lake]
) -> None:
    lake = copied(empty_workspace)
    same = [Passage(thing, thing, "The same words stand in every passage.") for thing in THINGS]
    add_documents(lake, [replace(one, text=f"{one.passage_id}: {one.text}") for one in same])
    add_questions(lake, [Question(thing, question(thing)) for thing in THINGS])
    add_judgments(lake, [Judgment(thing, thing, 1, "train") for thing in THINGS])
    with pytest.raises(TrainingError, match="24 pairs has a negative left") as refused:
        assemble(lake, LABELS)
    assert "--negatives 0" in refused.value.remedy
    none = replace(LABELS, negatives=NegativeOptions(per_pair=0), sentences=30)
    found = assemble(lake, none, dense=lambda pairs: [list(THINGS) for _ in pairs])
    assert found.report["negatives"]["found"] == {}
    assert not any(pair.negatives for pair in found.train.pairs)


def test_too_little_is_told_with_its_number(stocked: Lake) -> None:
    only = AssembleOptions(SourceOptions(sources=("click",), fallback=()))
    with pytest.raises(TrainingError, match="there are 1 pairs to learn from, and 10 are needed"):
        assemble(stocked, only)
    generated = AssembleOptions(SourceOptions(sources=("generated",)))
    with pytest.raises(TrainingError, match="no language model is configured"):
        assemble(stocked, generated)


def test_a_model_writes_questions_to_passages_that_have_none(stocked: Lake) -> None:
    def ask(messages: Sequence[Any]) -> str:
        assert len(messages) == 2 + 2 * 4, "four judged pairs are shown first"
        thing = next(one for one in THINGS if f"Every {one} is" in messages[-1]["content"])
        return json.dumps(
            {"question": f"In which place would one look for a {thing}{thing}, {thing}?"}
        )

    sources = replace(LABELS.sources, sources=("judgment", "generated"), most_generated=3)
    found = assemble(stocked, replace(LABELS, sources=sources), ask=ask)
    assert found.report["sources"]["generated"]["pairs"] == {"generated": 3}
    asked_about = {p.passage_id for p in found.train.pairs if p.source == "generated"}
    assert not asked_about & set(JUDGED[1:])
    check(found)
