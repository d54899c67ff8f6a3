from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragdiag.metrics.ranking import reciprocal_rank
from ragdiag.retrieval.fusion import Span, convex
from ragdiag.retrieval.fusion_tuning import (
    ALPHAS,
    Evidence,
    adjust_alpha,
    choose_alpha,
    reciprocal_ranks,
)

UNIT = Span(0.0, 1.0)
shares = st.integers(0, 4).map(lambda quarter: quarter / 4)
candidates = st.lists(st.tuples(shares, shares, st.booleans()), max_size=15)


def evidence(rows: list[tuple[float, float, bool]]) -> Evidence:
    dense, lexical, relevant = zip(*rows, strict=True) if rows else ((), (), ())
    return Evidence(np.array(dense), np.array(lexical), np.array(relevant, dtype=bool))


@given(candidates)
def test_ranks_are_those_of_convex_fusion(rows: list[tuple[float, float, bool]]) -> None:
    found = reciprocal_ranks(evidence(rows))
    for at, alpha in enumerate(ALPHAS.tolist()):
        fused = convex(
            dict(enumerate(row[0] for row in rows)),
            dict(enumerate(row[1] for row in rows)),
            alpha=alpha,
            dense_span=UNIT,
            lexical_span=UNIT,
        )
        grades = [int(rows[position][2]) for position, _ in fused]
        assert found[at] == pytest.approx(reciprocal_rank(grades, 10))


def questions(n: int, dense_knows: float, lexical_knows: float, seed: int = 0) -> list[Evidence]:
    """Six candidates; each path sees the relevant one first with its own luck, independently."""
    chance = np.random.default_rng(seed)
    made = []
    for _ in range(n):
        dense, lexical = chance.random(6) * 0.8, chance.random(6) * 0.8
        gold = chance.integers(6)
        dense[gold] = 0.9 if chance.random() < dense_knows else dense[gold]
        lexical[gold] = 0.9 if chance.random() < lexical_knows else lexical[gold]
        made.append(Evidence(dense, lexical, np.arange(6) == gold))
    return made


def test_two_paths_that_know_different_things_are_weighed() -> None:
    choice = choose_alpha(questions(400, 0.6, 0.6))
    assert 0.1 < choice.alpha < 0.9
    assert choice.against_single.difference.low > 0
    assert choice.n == 400
    assert len(choice.by_alpha) == len(ALPHAS)


@pytest.mark.parametrize(("dense", "lexical", "end"), [(1.0, 0.0, 1.0), (0.0, 1.0, 0.0)])
def test_a_path_that_knows_everything_stands_alone(
    dense: float, lexical: float, end: float
) -> None:
    choice = choose_alpha(questions(200, dense, lexical))
    assert choice.alpha == choice.best_single == end
    assert choice.fold_alphas == [end] * 5
    assert choice.against_single.difference.value == 0


def test_a_gain_within_one_standard_error_is_not_taken() -> None:
    """Both paths are alike on all but one question, which fusion happens to win."""
    same = questions(100, 1.0, 1.0)
    lucky = Evidence(np.array([0.9, 0.8, 0.0]), np.array([0.0, 0.8, 0.9]), np.arange(3) == 1)
    scores = np.stack([reciprocal_ranks(one) for one in [*same, lucky]])
    assert scores.mean(axis=0).argmax() not in (0, 20)
    assert choose_alpha([*same, lucky]).alpha == 0.0


def test_few_labels_are_refused() -> None:
    with pytest.raises(ValueError, match="49 judged questions"):
        choose_alpha(questions(49, 0.5, 0.5))


@pytest.mark.parametrize("alpha", [0.0, 0.35, 0.5, 1.0])
def test_a_weight_stays_where_no_other_is_shown_to_be_better(alpha: float) -> None:
    assert adjust_alpha(questions(60, 1.0, 1.0), alpha, range(60)) == pytest.approx(alpha)


@pytest.mark.parametrize(("dense", "lexical", "end"), [(1.0, 0.0, 1.0), (0.0, 1.0, 0.0)])
def test_a_weight_moves_as_far_as_the_questions_show(
    dense: float, lexical: float, end: float
) -> None:
    """No farther than to the first weight that is as good as the end alone."""
    asked = questions(200, dense, lexical)
    moved = adjust_alpha(asked, 1 - end, range(200))
    scores = np.stack([reciprocal_ranks(one) for one in asked]).mean(axis=0)
    assert abs(moved - end) < 0.5
    assert scores[np.abs(ALPHAS - moved).argmin()] >= scores.max() - 0.01
    assert adjust_alpha(asked, end, range(200)) == end


def test_a_weight_between_the_candidates_goes_to_the_nearest() -> None:
    assert adjust_alpha(questions(60, 1.0, 1.0), 0.37, range(60)) == pytest.approx(0.35)


def test_questions_of_few_documents_move_a_weight_less() -> None:
    """Of five documents one alone needs the dense path, in all of its twenty questions."""
    asked = [*questions(80, 0.9, 1.0), *questions(20, 1.0, 0.0)]
    alone = adjust_alpha(asked, 0.1, range(100))
    together = adjust_alpha(asked, 0.1, [at // 20 for at in range(100)])
    assert together < alone
    assert adjust_alpha(asked, 0.1, ["one"] * 100) == 0.1


def test_a_weight_is_not_moved_by_few_labels() -> None:
    with pytest.raises(ValueError, match="49 judged questions"):
        adjust_alpha(questions(49, 0.5, 0.5), 0.5, range(49))
