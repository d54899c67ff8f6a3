"""Samples are the same every time, and hold what can be asked."""

from __future__ import annotations

from ragdiag.deploy.sampling import sample_judged, sample_positions, steady_sample
from ragdiag.records import Judgment
from ragdiag.store.corpus import add_judgments
from ragdiag.store.lake import Lake


def test_a_sample_stays_the_same_as_the_whole_grows() -> None:
    ids = [f"q{n}" for n in range(500)]
    before, after = steady_sample(ids, 50), steady_sample([*ids, "new"], 50)
    assert len(before) == len(set(before)) == 50
    assert len(set(before) - set(after)) <= 1
    assert steady_sample(ids, 50, seed="other") != before
    assert steady_sample(ids[:3], 50) == steady_sample(ids[2::-1], 50)


def test_positions_are_different_and_ascending() -> None:
    chosen = sample_positions(1000, 50)
    assert len(chosen) == 50
    assert chosen.tolist() == sorted(set(chosen.tolist()))
    assert chosen.tolist() == sample_positions(1000, 50).tolist()
    assert sample_positions(3, 50).tolist() == [0, 1, 2]


def test_only_questions_with_gold_within_reach_are_asked(corpus: Lake) -> None:
    add_judgments(corpus, [Judgment("q-tea", "tea", 0, "test")])
    asked = {question.question_id: grades for question, grades in sample_judged(corpus, 100)}
    assert asked.keys() == {"q-cats", "q-coffee", "q-moon", "q-bread", "q-glass"}
    assert asked["q-cats"] == {"cats": 1}
    within = sample_judged(corpus, 100, {"cats", "tea", "dogs"})
    assert [question.question_id for question, _ in within] == ["q-cats"]
    assert len(sample_judged(corpus, 2)) == 2
