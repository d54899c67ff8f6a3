"""Two versions on the same questions: paired metrics, wins and losses (METHODS.md §10)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ragdiag.metrics.answers import grade_answer
from ragdiag.metrics.ranking import score_ranking
from ragdiag.records import Request
from ragdiag.stats.paired import McNemar, PairedComparison, compare_paired, mcnemar
from ragdiag.store.lake import Lake
from ragdiag.version import Version
from ragdiag.workflows.comparing.compare_slices import (
    SliceComparison,
    compare_slices,
    correct_family,
)
from ragdiag.workflows.comparing.compare_words import comparison_json, comparison_text
from ragdiag.workflows.comparing.pairing import pair_evaluations
from ragdiag.workflows.comparing.sliced_questions import load_slices

PRIMARY_METRICS = ("MRR@10", "recall@10", "nDCG@10", "correct", "token_f1")
"""Over these, for all questions and for every slice, Holm corrects."""

SECONDARY_METRICS = ("precision@5",)
"""Shown beside them with their intervals, and not tested: precision counts what nobody judged as
irrelevant, so it is a lower bound for either version."""


@dataclass(frozen=True, slots=True)
class QuestionPair:
    """One question under both versions; metrics are by name, NaN where undefined. Questions of one
    ``cluster`` are not independent: they share the document that answers them, or their words."""

    question_id: str
    question: str
    cluster: str
    request_a: str
    request_b: str
    a: Mapping[str, float]
    b: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class MetricComparison:
    paired: PairedComparison
    p_holm: float


@dataclass(frozen=True)
class Comparison:
    """B − A over the questions that both versions were asked; A is the incumbent. ``family`` is
    how many tests Holm corrects over: every metric and every slice with enough questions, not the
    ``secondary`` ones. ``size`` is how many questions the split has, and ``snapshot`` the state of
    the lake that was read."""

    a: Version
    b: Version
    split: str
    pairs: tuple[QuestionPair, ...]
    metrics: Mapping[str, MetricComparison]
    secondary: Mapping[str, PairedComparison]
    slices: tuple[SliceComparison, ...]
    mcnemar: McNemar
    family: int
    size: int
    snapshot: int

    @property
    def clusters(self) -> int:
        return len({pair.cluster for pair in self.pairs})

    def to_json(self) -> dict[str, Any]:
        return comparison_json(self)

    def to_text(self) -> str:
        return comparison_text(self)


def compare_versions(lake: Lake, a: Version, b: Version, split: str) -> Comparison:
    """Pair each version's latest evaluation of every judged question of ``split``.

    Raises UnknownName where one of them has not been evaluated on it.
    """
    paired = pair_evaluations(lake, a, b, split)
    first, second = paired.first, paired.second
    pairs = tuple(
        QuestionPair(
            question_id=question_id,
            question=question,
            cluster=cluster,
            request_a=first[question_id].request_id,
            request_b=second[question_id].request_id,
            a=score_request(first[question_id], paired.judgments, paired.golds),
            b=score_request(second[question_id], paired.judgments, paired.golds),
        )
        for (question_id, question), cluster in zip(
            paired.questions.items(), paired.owners, strict=True
        )
    )
    metrics = {name: _compare_metric(pairs, name) for name in PRIMARY_METRICS}
    slices = compare_slices(pairs, load_slices(lake), PRIMARY_METRICS)
    corrected, sliced, family = correct_family(metrics, slices)
    return Comparison(
        a=a,
        b=b,
        split=split,
        pairs=pairs,
        metrics={name: MetricComparison(metrics[name], corrected[name]) for name in metrics},
        secondary={name: _compare_metric(pairs, name) for name in SECONDARY_METRICS},
        slices=sliced,
        mcnemar=mcnemar(
            [_outcome(p.a) for p in pairs],
            [_outcome(p.b) for p in pairs],
            clusters=[p.cluster for p in pairs],
        ),
        family=family,
        size=paired.size,
        snapshot=lake.snapshot(),
    )


def score_request(
    request: Request,
    judgments: Mapping[str, Mapping[str, int]],
    golds: Mapping[str, Sequence[str]],
) -> dict[str, float]:
    """Every ranking metric, ``correct`` and ``token_f1`` of one request; NaN where undefined."""
    question_id = request.question_id or ""
    grade = grade_answer(request.request_id, request.answer, request.status, golds.get(question_id))
    return {
        **score_ranking(request.ranking, judgments.get(question_id, {})),
        "correct": math.nan if grade.y is None else float(grade.y),
        "token_f1": math.nan if grade.score is None else grade.score,
    }


def _compare_metric(pairs: Sequence[QuestionPair], name: str) -> PairedComparison:
    known = [pair for pair in pairs if not math.isnan(pair.a[name] + pair.b[name])]
    return compare_paired(
        [pair.a[name] for pair in known],
        [pair.b[name] for pair in known],
        clusters=[pair.cluster for pair in known],
    )


def _outcome(scores: Mapping[str, float]) -> int | None:
    return None if math.isnan(scores["correct"]) else int(scores["correct"])
