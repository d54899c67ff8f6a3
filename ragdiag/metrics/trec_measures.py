"""trec_eval's measures of one query, each from its published definition.

A query without any relevant passage scores 0, as in trec_eval. ``k`` is a rank cutoff, ``level``
a recall level or a multiple of R, the number of relevant passages. Sources: Buckley & Voorhees
2004 (bpref), Yilmaz & Aslam 2006 (infAP), Järvelin & Kekäläinen 2002 (nDCG), Moffat & Zobel 2008
(RBP); the rest is defined in trec_eval's own help.
"""

from __future__ import annotations

import itertools
import math

from ragdiag.metrics.ranking import discounted_gain
from ragdiag.metrics.trec_ranking import NOT_JUDGED, NOT_POOLED, JudgedRanking

PERSISTENCE = 0.9
INFERENCE_SMOOTHING = 1e-5


def average_precision(ranking: JudgedRanking) -> float:
    return average_precision_at(ranking, ranking.num_ret)


def average_precision_at(ranking: JudgedRanking, k: int) -> float:
    ranks = range(1, min(k, ranking.num_ret) + 1)
    found = ranking.found
    total = sum(found[rank] / rank for rank in ranks if found[rank] > found[rank - 1])
    return _share(total, ranking.num_rel)


def r_precision(ranking: JudgedRanking) -> float:
    return recall_at(ranking, ranking.num_rel)


def reciprocal_rank(ranking: JudgedRanking) -> float:
    return 1.0 / ranking.found.index(1) if ranking.num_rel_ret else 0.0


def precision_at(ranking: JudgedRanking, k: int) -> float:
    return ranking.found_at(k) / k


def recall_at(ranking: JudgedRanking, k: int) -> float:
    return _share(ranking.found_at(k), ranking.num_rel)


def relative_precision_at(ranking: JudgedRanking, k: int) -> float:
    """Precision over the best precision that k hits could have."""
    return _share(ranking.found_at(k), min(k, ranking.num_rel))


def success_at(ranking: JudgedRanking, k: int) -> float:
    return float(ranking.found_at(k) > 0)


def unjudged_at(ranking: JudgedRanking, k: int) -> float:
    return sum(grade < 0 for grade in ranking.grades[:k]) / k


def interpolated_precision(ranking: JudgedRanking, level: float) -> float:
    """The best precision at any rank from which on the recall is at least ``level``.

    The recall level becomes a count of relevant hits, rounded to the nearest (halves up).
    """
    wanted = max(1, math.floor(level * ranking.num_rel + 0.5))
    if wanted > ranking.num_rel_ret:
        return 0.0
    first = ranking.found.index(wanted)
    return max(ranking.found[rank] / rank for rank in range(first, ranking.num_ret + 1))


def eleven_point_average(ranking: JudgedRanking) -> float:
    return sum(interpolated_precision(ranking, tenth / 10) for tenth in range(11)) / 11


def r_multiple_precision(ranking: JudgedRanking, level: float) -> float:
    """Precision at ``level`` times R hits, rounded up from a tenth on, as trec_eval does."""
    k = int(level * ranking.num_rel + 0.9)
    return _share(ranking.found_at(k), k)


def bpref(ranking: JudgedRanking) -> float:
    """How rarely judged-irrelevant hits stand above relevant ones; see ``ranking.bpref``."""
    rivals = min(ranking.num_nonrel, ranking.num_rel)
    above, total = 0, 0.0
    for grade in ranking.grades:
        if grade >= ranking.relevance_level:
            total += 1.0 - (min(above, ranking.num_rel) / rivals if above else 0.0)
        elif grade >= 0:
            above += 1
    return _share(total, ranking.num_rel)


def inferred_average_precision(ranking: JudgedRanking) -> float:
    """infAP: the expected average precision where only a sample of the pool was judged."""
    relevant = irrelevant = unjudged = 0
    total = 0.0
    for above, grade in enumerate(ranking.grades):
        if grade == NOT_JUDGED:
            unjudged += 1
        elif grade >= ranking.relevance_level:
            if above:
                pooled = (relevant + irrelevant + unjudged) / above
                smoothed = (relevant + INFERENCE_SMOOTHING) / (
                    relevant + irrelevant + 2 * INFERENCE_SMOOTHING
                )
                total += (1 + above * pooled * smoothed) / (above + 1)
            else:
                total += 1.0
            relevant += 1
        elif grade != NOT_POOLED:
            irrelevant += 1
    return _share(total, ranking.num_rel)


def ndcg(ranking: JudgedRanking) -> float:
    return _share(discounted_gain(ranking.grades), discounted_gain(ranking.ideal))


def ndcg_at(ranking: JudgedRanking, k: int) -> float:
    return _share(discounted_gain(ranking.grades[:k]), discounted_gain(ranking.ideal[:k]))


def ndcg_over_relevant(ranking: JudgedRanking) -> float:
    """ndcg_rel: nDCG at the rank of each relevant hit, averaged over all relevant passages; one
    that was not retrieved counts with the nDCG of the whole list. Relevant is any positive grade.
    """
    dcg, best = _cumulated(ranking.grades), _cumulated(ranking.ideal)
    if not ranking.ideal:
        return 0.0
    ranks = [rank for rank, grade in enumerate(ranking.grades, start=1) if grade > 0]
    total = sum(dcg[rank] / best[min(rank, len(ranking.ideal))] for rank in ranks)
    total += (len(ranking.ideal) - len(ranks)) * dcg[-1] / best[-1]
    return total / len(ranking.ideal)


def ndcg_at_level_ends(ranking: JudgedRanking) -> float:
    """Rndcg: nDCG averaged over the ranks at which the ideal grade falls, and the last rank.

    trec_eval leaves the last rank out where it is at most one beyond the last ideal hit.
    """
    if not ranking.num_rel:
        return 0.0
    dcg, best = _cumulated(ranking.grades), _cumulated(ranking.ideal)
    ends = [len(list(hits)) for _, hits in itertools.groupby(ranking.ideal)]
    ranks = list(itertools.accumulate(ends))
    values = [dcg[min(rank, ranking.num_ret)] / best[rank] for rank in ranks]
    if ranking.num_ret > len(ranking.ideal) + 1:
        values.append(dcg[-1] / best[-1])
    return sum(values) / len(values)


def gain(ranking: JudgedRanking) -> float:
    """G: each hit's gain over log2(2 + what a perfect list had gained more by then), summed over
    the ideal sum. A rank costs at least 1, so that irrelevant hits push later ones down."""
    cost, gained, total = 0, 0, 0.0
    for grade, best in itertools.zip_longest(
        ranking.grades, ranking.ideal[: ranking.num_ret], fillvalue=0
    ):
        cost += max(best, 1)
        if grade > 0:
            gained += grade
            total += grade / math.log2(2 + cost - gained)
    return _share(total, sum(ranking.ideal))


def binary_gain(ranking: JudgedRanking) -> float:
    """binG: 1 / log2(2 + irrelevant hits above), averaged over the relevant passages."""
    found = ranking.found
    total = sum(
        1 / math.log2(2 + rank - found[rank])
        for rank in range(1, ranking.num_ret + 1)
        if found[rank] > found[rank - 1]
    )
    return _share(total, ranking.num_rel)


def rank_biased_precision(ranking: JudgedRanking) -> float:
    """(1 − p) Σ gain · p^(rank − 1), p = 0.9. Grades are divided by the highest judged one."""
    top = ranking.ideal[0] if ranking.ideal else 1
    weighted = sum(
        PERSISTENCE**rank * grade / top for rank, grade in enumerate(ranking.grades) if grade > 0
    )
    return (1 - PERSISTENCE) * weighted


def rank_biased_residual(ranking: JudgedRanking) -> float:
    """What rank-biased precision would gain if every unjudged hit, and every later one, had full
    gain; 0 where every hit is judged."""
    weights = [PERSISTENCE**rank for rank, grade in enumerate(ranking.grades) if grade < 0]
    return PERSISTENCE**ranking.num_ret + (1 - PERSISTENCE) * sum(weights) if weights else 0.0


def utility(ranking: JudgedRanking) -> float:
    """Relevant hits less the others."""
    return float(2 * ranking.num_rel_ret - ranking.num_ret)


def set_precision(ranking: JudgedRanking) -> float:
    return _share(ranking.num_rel_ret, ranking.num_ret)


def set_recall(ranking: JudgedRanking) -> float:
    return _share(ranking.num_rel_ret, ranking.num_rel)


def set_relative_precision(ranking: JudgedRanking) -> float:
    return _share(ranking.num_rel_ret, min(ranking.num_ret, ranking.num_rel))


def set_map(ranking: JudgedRanking) -> float:
    return set_precision(ranking) * set_recall(ranking)


def set_f(ranking: JudgedRanking) -> float:
    return _share(2 * ranking.num_rel_ret, ranking.num_ret + ranking.num_rel)


def num_nonrel_judged_ret(ranking: JudgedRanking) -> float:
    return float(sum(0 <= grade < ranking.relevance_level for grade in ranking.grades))


def relevance_string(ranking: JudgedRanking, k: int) -> str:
    """The grades of the first k hits, one character each: 0 … 9, > above, - unpooled, . unjudged.

    >>> relevance_string(JudgedRanking((1, 12, NOT_POOLED, NOT_JUDGED, 0), {}), 4)
    '1>-.'
    """
    marks = {NOT_POOLED: "-", NOT_JUDGED: "."}
    return "".join(
        marks.get(grade, str(grade) if grade <= 9 else ">") for grade in ranking.grades[:k]
    )


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _cumulated(gains: tuple[int, ...]) -> list[float]:
    """Discounted gain of the first 0, 1, 2, … hits."""
    terms = (max(g, 0) / math.log2(rank + 1) for rank, g in enumerate(gains, start=1))
    return [0.0, *itertools.accumulate(terms)]
