"""Ranking metrics of one query, as plain functions on relevance grades.

``grades`` are the grades of the ranked hits, rank 1 first: 0 is irrelevant or unjudged, higher is
better. Where it matters that a hit was never judged, its grade is ``None``. ``gold_grades`` are
the grades of all judged passages of the query, retrieved or not. Every value lies in 0 … 1 and is
NaN where the query has no relevant passage, because then no ranking is better than another.
Definitions: METHODS.md §9; they agree with trec_eval (see ``trec.py``) up to that last rule.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from ragdiag.records import Hit

RankingMetric = Callable[[Sequence[int], Sequence[int]], float]


def recall_at_k(grades: Sequence[int], n_relevant: int, k: int) -> float:
    """Share of the relevant passages that are among the first k hits.

    >>> recall_at_k([0, 1, 1], n_relevant=4, k=3)
    0.5
    """
    return _relevant(grades[:k]) / n_relevant if n_relevant else math.nan


def precision_at_k(grades: Sequence[int], k: int) -> float:
    """Share of relevant hits among the first k; missing hits count as irrelevant.

    >>> precision_at_k([1, 0], k=4)
    0.25
    """
    return _relevant(grades[:k]) / k


def hit_at_k(grades: Sequence[int], k: int) -> float:
    """1 if any of the first k hits is relevant, else 0.

    >>> hit_at_k([0, 0, 2], k=3), hit_at_k([0, 0, 2], k=2)
    (1.0, 0.0)
    """
    return float(any(grade > 0 for grade in grades[:k]))


def reciprocal_rank(grades: Sequence[int], k: int | None = None) -> float:
    """1 / rank of the first relevant hit within the first k (all hits without k), else 0.

    >>> reciprocal_rank([0, 1, 1]), reciprocal_rank([0, 1], k=1)
    (0.5, 0.0)
    """
    ranks = (rank for rank, grade in enumerate(grades[:k], start=1) if grade > 0)
    return 1.0 / next(ranks, math.inf)


def average_precision(grades: Sequence[int], n_relevant: int) -> float:
    """Precision at each relevant hit, summed and divided by the number of relevant passages.

    >>> average_precision([1, 0, 1], n_relevant=2)  # (1/1 + 2/3) / 2
    0.8333333333333333
    """
    if not n_relevant:
        return math.nan
    found, total = 0, 0.0
    for rank, grade in enumerate(grades, start=1):
        if grade > 0:
            found += 1
            total += found / rank
    return total / n_relevant


def ndcg_at_k(grades: Sequence[int], gold_grades: Sequence[int], k: int) -> float:
    """Discounted gain of the first k hits over that of the ideal first k.

    Gain is the grade itself, discount is log2(1 + rank): Järvelin & Kekäläinen 2002, as trec_eval.

    >>> round(ndcg_at_k([0, 3], gold_grades=[3], k=2), 4)  # (3 / log2 3) / (3 / log2 2)
    0.6309
    """
    ideal = discounted_gain(sorted(gold_grades, reverse=True)[:k])
    return discounted_gain(grades[:k]) / ideal if ideal > 0 else math.nan


def discounted_gain(gains: Sequence[float]) -> float:
    """Σ gain / log2(1 + rank), ignoring gains that are not positive.

    >>> discounted_gain([1, 0, 2])  # 1/1 + 2/2
    2.0
    """
    return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, start=1) if gain > 0)


def r_precision(grades: Sequence[int], n_relevant: int) -> float:
    """Precision at rank R, the number of relevant passages.

    >>> r_precision([1, 0, 1], n_relevant=2)
    0.5
    """
    return recall_at_k(grades, n_relevant, k=n_relevant)


def judged_at_k(grades: Sequence[int | None], k: int) -> float:
    """Share of the first k hits that were judged at all; NaN without any hit.

    Where it is low, the other metrics say little.

    >>> judged_at_k([1, None, 0, None], k=3)
    0.6666666666666666
    """
    top = grades[:k]
    return sum(grade is not None for grade in top) / len(top) if top else math.nan


def bpref(grades: Sequence[int | None], gold_grades: Sequence[int]) -> float:
    """Binary preference: how rarely judged-irrelevant hits stand above relevant ones.

    (1/R) Σ over relevant hits of 1 − min(irrelevant above, R) / min(irrelevant judged, R). Hits
    without a judgment are skipped. Source: Buckley & Voorhees 2004, as trec_eval.

    >>> bpref([0, 1, None, 1], gold_grades=[1, 1, 0, 0])  # (1/2 + 1/2) / 2
    0.5
    """
    n_relevant = _relevant(gold_grades)
    if not n_relevant:
        return math.nan
    n_irrelevant = min(len(gold_grades) - n_relevant, n_relevant)
    above, total = 0, 0.0
    for grade in grades:
        if grade is None:
            continue
        if grade <= 0:
            above += 1
        else:
            total += 1.0 - (min(above, n_relevant) / n_irrelevant if above else 0.0)
    return total / n_relevant


RANKING_METRICS: dict[str, RankingMetric] = {
    "MRR@10": lambda grades, gold: reciprocal_rank(grades, 10),
    "recall@10": lambda grades, gold: recall_at_k(grades, _relevant(gold), 10),
    "recall@100": lambda grades, gold: recall_at_k(grades, _relevant(gold), 100),
    "nDCG@10": lambda grades, gold: ndcg_at_k(grades, gold, 10),
    "hit@10": lambda grades, gold: hit_at_k(grades, 10),
    "MAP": lambda grades, gold: average_precision(grades, _relevant(gold)),
    "precision@5": lambda grades, gold: precision_at_k(grades, 5),
}
"""The field's names; each takes the grades of the ranked hits and those of all judged passages."""


def score_ranking(hits: Sequence[Hit], judged: Mapping[str, int]) -> dict[str, float]:
    """Every metric of RANKING_METRICS for one query; all NaN where nothing judged is relevant.

    A passage found twice in one list counts once, at its first rank. No hits at all score 0.

    >>> scores = score_ranking([Hit("p2", 0.9), Hit("p1", 0.8)], {"p1": 1})
    >>> scores["MRR@10"], scores["hit@10"], scores["precision@5"]
    (0.5, 1.0, 0.2)
    """
    gold = list(judged.values())
    if not _relevant(gold):
        return dict.fromkeys(RANKING_METRICS, math.nan)
    ranked = dict.fromkeys(hit.passage_id for hit in hits)
    grades = [judged.get(passage_id, 0) for passage_id in ranked]
    return {name: metric(grades, gold) for name, metric in RANKING_METRICS.items()}


def _relevant(grades: Sequence[int]) -> int:
    return sum(grade > 0 for grade in grades)


def best_judged(judged: Mapping[str, int]) -> list[str]:
    """The passages of a question's highest grade: graded judgments mark as lower what is related
    but does not answer, and that must not count as gold that arrived.

    >>> best_judged({"answer": 2, "related": 1, "not": 0}), best_judged({"not": 0})
    (['answer'], [])
    """
    best = max(judged.values(), default=0)
    return sorted(passage_id for passage_id, grade in judged.items() if grade == best > 0)
