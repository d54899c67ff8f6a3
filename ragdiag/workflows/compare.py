"""Two versions on the same questions: paired metrics, wins and losses (METHODS.md §10)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ragdiag.errors import UnknownName
from ragdiag.metrics.answers import grade_answer
from ragdiag.metrics.ranking import score_ranking
from ragdiag.records import Request
from ragdiag.stats.paired import PairedComparison, compare_paired, holm
from ragdiag.store.corpus import load_gold_answers, load_judgments
from ragdiag.store.lake import Lake
from ragdiag.store.results import load_requests
from ragdiag.version import Version

PRIMARY_METRICS = ("MRR@10", "recall@10", "nDCG@10", "correct", "token_f1")
"""The family over which Holm corrects."""


@dataclass(frozen=True, slots=True)
class QuestionPair:
    """One question under both versions; metrics are by name, NaN where undefined."""

    question_id: str
    question: str
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
    """B − A over the questions that both versions were asked; A is the incumbent."""

    a: Version
    b: Version
    split: str
    pairs: tuple[QuestionPair, ...]
    metrics: Mapping[str, MetricComparison]

    def to_json(self) -> dict[str, Any]:
        return {
            "a": self.a.name,
            "b": self.b.name,
            "split": self.split,
            "n": len(self.pairs),
            "metrics": {name: _metric_json(found) for name, found in self.metrics.items()},
        }

    def to_text(self) -> str:
        lines = [f"{self.b.name} against {self.a.name} on {len(self.pairs)} questions"]
        for name, found in self.metrics.items():
            paired, change = found.paired, found.paired.difference
            if math.isnan(paired.p):
                lines.append(f"{name:10} undefined: {change.reason or 'no test'}, n = {paired.n}")
                continue
            lines.append(
                f"{name:10} {paired.a:.3f} → {paired.b:.3f}"
                f"  {change.value:+.3f} ({change.low:+.3f} to {change.high:+.3f})"
                f"  p = {paired.p:.4f}, Holm {found.p_holm:.4f}"
                f"  detectable {paired.minimum_detectable:.3f}"
            )
        return "\n".join(lines)


def compare_versions(lake: Lake, a: Version, b: Version, split: str) -> Comparison:
    """Pair each version's latest evaluation of every judged question of ``split``.

    Raises UnknownName where one of them has not been evaluated on it.
    """
    judgments = load_judgments(lake, split)
    golds = load_gold_answers(lake)
    first, second = (latest_requests(lake, version, split, judgments) for version in (a, b))
    pairs = tuple(
        QuestionPair(
            question_id=question_id,
            question=first[question_id].question,
            request_a=first[question_id].request_id,
            request_b=second[question_id].request_id,
            a=score_request(first[question_id], judgments, golds),
            b=score_request(second[question_id], judgments, golds),
        )
        for question_id in sorted(first.keys() & second.keys())
    )
    return Comparison(a, b, split, pairs, _compare_metrics(pairs))


def latest_requests(
    lake: Lake, version: Version, split: str, judgments: Mapping[str, Mapping[str, int]]
) -> dict[str, Request]:
    """Question → the version's latest evaluation request of it, for the questions of ``judgments``,
    which are those of ``split``. Raises UnknownName where there is none."""
    requests = load_requests(
        lake, version_id=version.version_id, traffic="evaluation", question_ids=list(judgments)
    )
    if not requests:
        raise UnknownName(
            f"version {version.name} has no evaluation on split {split!r}",
            remedy=f"run: ragdiag evaluate {version.name} --split {split}",
        )
    ordered = sorted(requests, key=lambda request: request.asked_at)
    return {request.question_id or "": request for request in ordered}


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


def _compare_metrics(pairs: Sequence[QuestionPair]) -> dict[str, MetricComparison]:
    compared = {}
    for name in PRIMARY_METRICS:
        known = [
            (pair.a[name], pair.b[name])
            for pair in pairs
            if not (math.isnan(pair.a[name]) or math.isnan(pair.b[name]))
        ]
        compared[name] = MetricComparison(
            compare_paired([x for x, _ in known], [y for _, y in known]), math.nan
        )
    defined = [name for name, found in compared.items() if not math.isnan(found.paired.p)]
    corrected = holm([compared[name].paired.p for name in defined])
    return compared | {
        name: replace(compared[name], p_holm=p) for name, p in zip(defined, corrected, strict=True)
    }


def _metric_json(found: MetricComparison) -> dict[str, Any]:
    paired = found.paired
    return {
        "a": _number(paired.a),
        "b": _number(paired.b),
        "difference": paired.difference.to_json(),
        "p": _number(paired.p),
        "p_holm": _number(found.p_holm),
        "p_sign_flip": _number(paired.p_sign_flip),
        "minimum_detectable": _number(paired.minimum_detectable),
    }


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
