"""The requests of one version as values: quality by a metric, and what is watched as failed or not.

``old`` is whom production serves, ``new`` the candidate.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from ragdiag.errors import InputError
from ragdiag.metrics.ranking import RANKING_METRICS
from ragdiag.stats.failure_shares import FailureShare, failure_share
from ragdiag.store.outcomes import Outcome

Judgments = Mapping[str, Mapping[str, int]]
Cluster = Literal["owner", "question"]
"""What belongs together: a user's requests, or those that ask one question."""

DEFAULT_METRIC = "correct"
PRODUCTION_METRICS = (
    DEFAULT_METRIC,
    "token_f1",
    *("MRR@10", "recall@10", "nDCG@10", "hit@10", "precision@5"),
)
"""Production logs ten hits of each stage, so no metric may look deeper."""

MONITORS = ("failures", "errors", "slow")


def check_production_metric(metric: str) -> None:
    """Raises InputError that lists the metrics."""
    if metric not in PRODUCTION_METRICS:
        raise InputError(
            f"running traffic has no metric {metric!r}",
            remedy=f"name one of: {', '.join(PRODUCTION_METRICS)}",
        )


def metric_values(outcomes: Sequence[Outcome], metric: str, judgments: Judgments) -> list[float]:
    """One value a request; NaN where it is not graded, or its question has nothing relevant."""
    return [_metric_value(one, metric, judgments) for one in outcomes]


def monitored(
    outcomes: Sequence[Outcome], values: Sequence[float], monitor: str, slow_ms: float | None
) -> Iterator[tuple[Outcome, bool]]:
    """The requests of which it is known, and whether they count as bad.

    ``failures``: the metric is 0. ``errors``: the request failed; of answers from a cache, which
    never do, it is not known. ``slow``: it took longer than ``slow_ms``.
    """
    for outcome, value in zip(outcomes, values, strict=True):
        if monitor == "failures" and not math.isnan(value):
            yield outcome, value == 0
        elif monitor == "errors" and not outcome.cache_hit:
            yield outcome, outcome.status == "error"
        elif monitor == "slow" and slow_ms is not None and not math.isnan(outcome.total_ms):
            yield outcome, outcome.total_ms > slow_ms


def error_rate(outcomes: Sequence[Outcome], by: Cluster) -> FailureShare:
    """How many failed, of how many that no cache answered, and of how many users or questions."""
    anew = answered_anew(outcomes)
    return failure_share([one.status == "error" for one in anew], clusters_of(anew, by))


def answered_anew(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Those that no cache answered."""
    return [one for one in outcomes if not one.cache_hit]


def clusters_of(outcomes: Sequence[Outcome], by: Cluster) -> list[str]:
    return [one.owner if by == "owner" else one.question for one in outcomes]


def _metric_value(outcome: Outcome, metric: str, judgments: Judgments) -> float:
    if metric == "correct":
        return math.nan if outcome.y is None else float(outcome.y)
    if metric == "token_f1":
        return outcome.score
    gold = list(judgments.get(outcome.question_id or "", {}).values())
    if outcome.rel is None or not any(grade > 0 for grade in gold):
        return math.nan
    return RANKING_METRICS[metric](outcome.rel, gold)
