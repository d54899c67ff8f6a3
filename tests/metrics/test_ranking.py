from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragdiag.metrics import ranking
from ragdiag.metrics.trec import score_run
from ragdiag.records import Hit

JUDGED = {"gold": 2, "also": 1, "bad": 0}


def hits(*passage_ids: str) -> list[Hit]:
    """Hits in this order, with scores that say so."""
    return [Hit(passage_id, 1.0 - rank / 100) for rank, passage_id in enumerate(passage_ids)]


def test_every_metric_of_a_small_ranking() -> None:
    scores = ranking.score_ranking(hits("bad", "gold", "new", "also"), JUDGED)
    ideal = 2 / math.log2(2) + 1 / math.log2(3)
    assert scores == pytest.approx(
        {
            "MRR@10": 1 / 2,
            "recall@10": 1.0,
            "recall@100": 1.0,
            "nDCG@10": (2 / math.log2(3) + 1 / math.log2(5)) / ideal,
            "hit@10": 1.0,
            "MAP": (1 / 2 + 2 / 4) / 2,
            "precision@5": 2 / 5,
        }
    )


def test_cutoffs_hide_what_comes_after_them() -> None:
    late = hits(*(f"x{number}" for number in range(10)), "gold")
    scores = ranking.score_ranking(late, JUDGED)
    assert (scores["MRR@10"], scores["hit@10"], scores["recall@10"]) == (0.0, 0.0, 0.0)
    assert scores["recall@100"] == 0.5
    assert scores["MAP"] == pytest.approx(1 / 11 / 2)


def test_a_passage_found_twice_counts_once() -> None:
    twice = ranking.score_ranking(hits("gold", "gold", "also"), JUDGED)
    assert twice == ranking.score_ranking(hits("gold", "also"), JUDGED)


def test_no_hits_score_0() -> None:
    assert set(ranking.score_ranking([], JUDGED).values()) == {0.0}


@pytest.mark.parametrize("judged", [{}, {"bad": 0}])
def test_without_a_relevant_passage_everything_is_undefined(judged: dict[str, int]) -> None:
    scores = ranking.score_ranking(hits("bad"), judged)
    assert scores.keys() == ranking.RANKING_METRICS.keys()
    assert all(math.isnan(value) for value in scores.values())
    assert math.isnan(ranking.recall_at_k([0], 0, 5))
    assert math.isnan(ranking.average_precision([0], 0))
    assert math.isnan(ranking.ndcg_at_k([0], [0], 5))
    assert math.isnan(ranking.r_precision([0], 0))
    assert math.isnan(ranking.bpref([0], [0]))


def test_judged_at_k_of_no_hits_is_undefined() -> None:
    assert math.isnan(ranking.judged_at_k([], 5))


GRADES = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 3), min_size=1)


@given(judged=GRADES, order=st.permutations("abcdefghij"), length=st.integers(1, 10))
def test_metrics_equal_trec_evals_where_they_are_defined(
    judged: dict[str, int], order: list[str], length: int
) -> None:
    if not any(judged.values()):
        return
    ranked = hits(*order[:length])
    run = {"q": {hit.passage_id: hit.score for hit in ranked}}
    names = ["recip_rank", "recall_10", "recall_100", "ndcg_cut_10", "success_10", "map", "P_5"]
    expected = score_run({"q": judged}, run, [*names, "Rprec", "bpref"]).per_query["q"]
    scores = ranking.score_ranking(ranked, judged)
    fields = ["MRR@10", "recall@10", "recall@100", "nDCG@10", "hit@10", "MAP", "precision@5"]
    assert [scores[field] for field in fields] == pytest.approx([expected[n] for n in names])
    grades = [judged.get(hit.passage_id) for hit in ranked]
    gold = list(judged.values())
    assert ranking.bpref(grades, gold) == pytest.approx(expected["bpref"])
    n_relevant = sum(grade > 0 for grade in gold)
    found = [grade or 0 for grade in grades]
    assert ranking.r_precision(found, n_relevant) == pytest.approx(expected["Rprec"])
