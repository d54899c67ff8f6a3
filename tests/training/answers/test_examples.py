"""Examples come of a split's questions and a version's passages; what tells is among them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from ragdiag.errors import KeyMissing, TrainingError
from ragdiag.privacy.encryption import is_encrypted
from ragdiag.privacy.keys import new_key, parse_keys
from ragdiag.records import ContextPassage, GoldAnswer, Judgment, Passage, Question
from ragdiag.store.corpus import add_documents, add_gold_answers, add_judgments, add_questions
from ragdiag.store.lake import Lake
from ragdiag.training.answers.examples import AnswerOptions, gather_answers, split_answers
from ragdiag.training.answers.located import find_places
from ragdiag.training.answers.sets import forget_examples, load_examples, save_examples
from ragdiag.training.run_folder import RunFolder

NAMES = (
    "oslo rome lima paris cairo delhi quito dakar seoul hanoi minsk sofia riga bern tunis "
    "accra lagos perth osaka turin genoa porto malmo basel derby leeds hull bath york truro "
    "ripon wells ely kyoto nara kobe"
)
TOWNS = NAMES.split()
NOISE = ContextPassage("noise", "Nothing is told here.")


def year(at: int) -> str:
    return str(1800 + at)


def asked(at: int) -> str:
    """Two names, so that no question is nearly another."""
    return f"Opened when, near {TOWNS[at - 7]} in {TOWNS[at]}?"


@pytest.fixture
def told(lake: Lake) -> Lake:
    """A document a town, with a question, its answer and its passage; the last four are for
    testing, the first has no answer, the second another one than its passage tells."""
    passages = [Passage(t, t, f"The mill at {t} opened in {year(n)}.") for n, t in enumerate(TOWNS)]
    add_documents(lake, passages)
    add_questions(lake, [Question(t, asked(n)) for n, t in enumerate(TOWNS)])
    given = [GoldAnswer(t, (year(n if n != 1 else 99),)) for n, t in enumerate(TOWNS) if n]
    add_gold_answers(lake, given)
    last = len(TOWNS) - 4
    add_judgments(
        lake, [Judgment(t, t, 1, "train" if n < last else "test") for n, t in enumerate(TOWNS)]
    )
    return lake


def missed(question: str) -> Sequence[ContextPassage]:
    return (NOISE, ContextPassage("noise2", "Nor here."))


def found(question: str) -> Sequence[ContextPassage]:
    town = question.rstrip("?").split()[-1]
    return (NOISE, ContextPassage(town, f"… at {town} opened in {year(TOWNS.index(town))}."))


def test_what_the_version_found_is_kept_and_what_it_missed_put_in(told: Lake) -> None:
    kept = gather_answers(told, found, AnswerOptions())
    for one in kept.examples:
        assert one.context == tuple(found(one.question))
    put_in = gather_answers(told, missed, AnswerOptions())
    places = [find_places(one)[0].passage for one in put_in.examples]
    assert set(places) == {0, 1}, "its place says nothing"
    for one in put_in.examples:
        assert [p.passage_id for p in one.context if p != NOISE] == [one.question_id]
    assert gather_answers(told, missed, AnswerOptions()) == put_in


def test_what_is_tested_on_is_not_learned_and_the_rest_says_why(told: Lake) -> None:
    data = gather_answers(told, found, AnswerOptions())
    assert [one.question_id for one in data.examples] == sorted(TOWNS[2:-4])
    assert {one.question_id: one.reason for one in data.refused} == {
        "oslo": "it has no gold answer",
        "rome": "its answer stands in no gold passage",
    }
    with pytest.raises(TrainingError, match="4 of 4 test examples can be used, and 10 are"):
        gather_answers(told, found, AnswerOptions("test"))


def test_parts_share_nothing_and_some_are_to_be_declined(told: Lake, tmp_path: Path) -> None:
    options = AnswerOptions(declines=0.5)
    parts = split_answers(gather_answers(told, found, options), options)
    train, dev = (
        {one.question_id for one in part if one.answers} for part in (parts.train, parts.dev)
    )
    assert not train & dev
    assert len(train | dev) == len(TOWNS) - 6
    assert len(dev) >= 10
    declined = [one for one in parts.train if not one.answers]
    assert len(declined) == round(len(train) / 2)
    assert all(one.context == (NOISE,) for one in declined)
    parts.save(tmp_path)
    assert tuple(load_examples(tmp_path, "dev")) == parts.dev


def test_too_few_to_choose_by_are_told(told: Lake) -> None:
    data = gather_answers(told, found, AnswerOptions())
    few = type(data)(data.examples[:20], (), data.pairs, data.passages)
    with pytest.raises(TrainingError, match=r"20 questions of the split 'train' .*24 are the"):
        split_answers(few, AnswerOptions())


def test_sealed_examples_are_read_and_cleared_with_their_key(told: Lake, tmp_path: Path) -> None:
    parts = split_answers(gather_answers(told, found, AnswerOptions()), AnswerOptions())
    keys = parse_keys(new_key(), "OURS")
    parts.save(tmp_path, keys)
    asked = parts.dev[0].question
    with pytest.raises(KeyMissing, match=r"dev\.answers\.jsonl is encrypted"):
        load_examples(tmp_path, "dev")
    assert forget_examples(tmp_path, (), [asked], keys=keys).pairs
    assert is_encrypted(tmp_path / "dev.answers.jsonl")
    assert asked not in {one.question for one in load_examples(tmp_path, "dev", keys)}


def test_a_forgotten_user_is_in_no_example(told: Lake, tmp_path: Path) -> None:
    data = gather_answers(told, found, AnswerOptions())
    options = AnswerOptions(declines=1.0)
    parts = split_answers(data, options)
    run = RunFolder(tmp_path / "run")
    path = save_examples(run.root, parts.train)
    by_id, by_text = [one for one in parts.train if one.answers][:2]
    gone = ({by_id.question_id}, {by_text.question})
    assert forget_examples(tmp_path, *gone, dry_run=True).pairs == 4
    assert load_examples(run.root) == list(parts.train)
    assert forget_examples(tmp_path, *gone).files == (path,)
    left = {one.question for one in load_examples(run.root)}
    assert left == {one.question for one in parts.train} - {by_id.question, by_text.question}
    assert forget_examples(tmp_path, *gone).files == ()
    path.write_text(path.read_text().replace("Opened", "Closed", 1))
    with pytest.raises(TrainingError, match=r"train\.answers\.jsonl are not what was written"):
        load_examples(run.root)
