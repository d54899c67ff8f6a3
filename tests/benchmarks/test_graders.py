"""The floors that graders are held against, on real labels."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.graders import (
    annotated_pearson,
    read_faithful,
    read_preferred,
    score_differences,
    undecided_between,
)
from ragdiag.grading.groundedness import LEXICAL, GroundednessGrader, lexical_support
from ragdiag.grading.rules import rule_grader
from ragdiag.records import Grade
from ragdiag.stats.agreement import auroc


def test_words_of_the_context_tell_faithful_answers(shared_data: Path) -> None:
    path = shared_data / "clapnq_human_eval" / "clapnq_rag_model_performance.json"
    _, items, labels = read_faithful(path)
    grades = GroundednessGrader("grounded_lexical", lexical_support, LEXICAL).grade(items)
    decided = [(g.score, y) for g, y in zip(grades, labels, strict=True) if g.score is not None]
    found = auroc(*map(list, zip(*decided, strict=True)))
    assert (found.n, round(found.value, 3)) == (238, 0.910)


def test_words_of_the_gold_answer_tell_the_preferred_answer(shared_data: Path) -> None:
    pairs, people = read_preferred(shared_data / "ragchecker")
    differences = score_differences(rule_grader("content_f1", None), pairs)
    found = {name: annotated_pearson(differences, said).value for name, said in people.items()}
    assert found == pytest.approx(
        {"overall": 0.531, "correctness": 0.430, "completeness": 0.559}, abs=5e-4
    )


def test_what_is_not_decided_ranks_between_wrong_and_right() -> None:
    grades = [Grade("a", "g", 0, 0.2), Grade("b", "g", 1, 0.6), Grade("c", "g", None, None)]
    assert undecided_between(grades) == [0.2, 0.6, pytest.approx(0.4)]
