"""Pairs from labels, from failures and from what users did; and several sources joined."""

from __future__ import annotations

import pytest

from ragdiag.errors import TrainingError
from ragdiag.records import Question
from ragdiag.training.data.clicks import ClickOptions, pairs_from_feedback
from ragdiag.training.data.examples import Pair
from ragdiag.training.data.mined import Mined, join_mined, require_pairs
from ragdiag.training.data.pairs import (
    failed_above_gold,
    pairs_from_failures,
    pairs_from_judgments,
    question_name,
)
from tests.training.mining import MONDAY, asked, diagnosed, said

HIDDEN = "[text 00112233445566778899aabbccddeeff]"


def test_a_question_without_a_positive_is_named() -> None:
    questions = [Question("q1", "Why?"), Question("q2", "How?"), Question("q3", HIDDEN)]
    found = pairs_from_judgments(
        questions, {"q1": {"a": 3, "b": 1}, "q2": {"a": 0}, "q3": {"a": 1}}
    )
    assert [(p.question_id, p.passage_id, p.weight) for p in found.pairs] == [
        ("q1", "a", 1.0),
        ("q1", "b", pytest.approx(1 / 3)),
    ]
    assert found.to_json()["skipped"] == {
        "no relevant passage": 1,
        "the question's text is not stored": 1,
    }


def test_failures_of_retrieval_with_a_known_gold_give_pairs_and_what_stood_above_it() -> None:
    requests = [
        asked("r1", "Where is the key?", ("a", "b", "gold", "c"), question_id="q1", day=2),
        asked("r2", "where's the key", ("b", "d"), question_id="q1"),
        asked("r3", "Who has no gold?"),
        asked("r4", "Was it well?", question_id="q1"),
        asked("r5", "Did it ramble?", question_id="q1"),
    ]
    diagnoses = {
        "r1": diagnosed("r1", "rerank_loss", "undetermined"),
        "r2": diagnosed("r2", "recall_miss", "retrieval"),
        "r3": diagnosed("r3", "recall_miss", "retrieval"),
        "r4": diagnosed("r4", "recall_miss", "lucky"),
        "r5": diagnosed("r5", "in_context", "generator"),
    }
    judgments = {"q1": {"gold": 1, "b": 0}}
    found = pairs_from_failures(requests, diagnoses, judgments)
    assert [(p.question, p.passage_id, p.source, p.request_ids) for p in found.pairs] == [
        ("Where is the key?", "gold", "failure", ("r1",)),
        ("where's the key", "gold", "failure", ("r2",)),
    ]
    assert found.skipped == {"failed, and its gold passage is unknown": ["r3"]}
    above = failed_above_gold(requests, diagnoses, judgments)
    assert above == {"q1": ("a", "b", "d"), question_name(requests[2]): ("a", "b", "c")}


def test_what_was_chosen_low_weighs_more_and_a_dislike_silences_it() -> None:
    requests = [
        asked("r1", "One?"),
        asked("r2", "Two?", citations=("b", "a")),
        asked("r3", "Three?"),
        asked("r4", "Four?"),
        asked("r5", "one", day=-1),
        asked("r6", "Six?"),
    ]
    feedback = [
        said("r1", "click", 1, "c"),
        said("r2", "thumbs", 1),
        said("r2", "click", 1, "b"),
        said("r3", "click", 1, "a"),
        said("r3", "task_success", 0),
        said("r4", "click", 1, "elsewhere"),
        said("r5", "click", 1, "b"),
        said("r6", "task_success", 1),
    ]
    found = pairs_from_feedback(requests, feedback, ClickOptions(eta=1.0, clip=2.5))
    names = {question_name(one): one.request_id for one in reversed(requests)}
    assert [(names[p.question_id], p.passage_id, p.source, p.weight) for p in found.pairs] == [
        ("r1", "c", "click", 2.5),
        ("r2", "b", "click", 1.0),
        ("r2", "a", "feedback", 1.0),
        ("r1", "b", "click", 2.0),
        ("r6", "a", "feedback", 1.0),
    ]
    assert found.skipped == {
        "somebody disliked the answer": ["r3"],
        "feedback on nothing that was shown": ["r4"],
    }
    flat = pairs_from_feedback(requests[:1], feedback[:1], ClickOptions(eta=0.0))
    assert flat.pairs[0].weight == 1.0


def test_clicks_weighed_by_propensity_find_the_relevance_that_position_hides() -> None:
    """Two passages that are equally good; one is shown first nine times in ten."""
    import random

    chance = random.Random(1)
    requests, feedback = [], []
    for n in range(4000):
        shown = ("a", "b") if chance.random() < 0.9 else ("b", "a")
        requests.append(asked(f"r{n}", "Which?", shown, question_id="q"))
        for rank, name in enumerate(shown, start=1):
            if chance.random() < 0.5 / rank:
                feedback.append(said(f"r{n}", "click", 1, name))
    found = pairs_from_feedback(requests, feedback, ClickOptions(clip=1e9)).pairs
    weights = {pair.passage_id: pair.weight for pair in found}
    assert weights["b"] / weights["a"] == pytest.approx(1.0, abs=0.1)


def test_joined_sources_have_one_pair_for_a_wording_and_a_passage() -> None:
    judged = Mined((Pair("q1", "How hot is tea?", "tea"),))
    logged = Mined(
        (
            Pair("r1", "how hot is tea", "tea", "click", 2.0, request_ids=("r1",)),
            Pair("r1", "how hot is tea", "pot", "click", 1.0, request_ids=("r1",)),
            Pair("r2", "Is it hot?", "tea", "feedback", 0.3, request_ids=("r2",)),
            Pair("r3", "is it hot", "tea", "click", 0.2, request_ids=("r3",)),
            Pair("q1", "How hot is tea?", "tea", "failure", request_ids=("r4",)),
        ),
        {"r1": MONDAY},
    )
    weak = Mined(
        (Pair("title:tea", "Green tea", "tea", "title"), Pair("title:x", "An X", "x", "title")),
        texts={"tea": "cut", "x": "cut too"},
    )
    found = join_mined([weak, logged, judged], {("q1", "pot")})
    assert [
        (p.question_id, p.passage_id, p.source, p.weight, p.request_ids) for p in found.pairs
    ] == [
        ("q1", "tea", "failure", 2.0, ()),
        ("r3", "tea", "click", 0.3, ("r2", "r3")),
        ("title:x", "x", "title", 1.0, ()),
    ]
    assert found.texts == {"x": "cut too"}
    assert found.skipped == {
        "judged irrelevant": ["q1"],
        "its passage has a better question": ["title:tea"],
    }


def test_a_question_that_is_known_keeps_its_id_whoever_asks_it() -> None:
    logged = Mined((Pair("r1", "How hot is tea?", "tea", "click"),))
    found = join_mined([logged], {("q1", "pot")}, {"how hot is tea": "q1"})
    assert found.pairs[0].question_id == "q1"


def test_too_few_pairs_are_counted_in_the_error() -> None:
    with pytest.raises(TrainingError, match=r"there are 9 pairs .* 10 are needed; judge more"):
        require_pairs([Pair("q", "?", "p")] * 9)
    refused = {"kept for evaluation": 40, "no gold": 3, "disliked": 2, "rare": 1}
    told = r"\(refused: 40 kept for evaluation; 3 no gold; 2 disliked\); judge more"
    with pytest.raises(TrainingError, match=told):
        require_pairs([], refused)
    require_pairs([Pair("q", "?", "p")] * 10)
