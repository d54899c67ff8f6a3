"""Run a version over a split: every request logged, graded and scored, with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ragdiag.diagnosis.stage_recall import StageRecall
from ragdiag.errors import UnknownName
from ragdiag.metrics.answers import exact_match, grade_answer
from ragdiag.metrics.latency import quantile_estimate
from ragdiag.metrics.ranking import RANKING_METRICS, score_ranking
from ragdiag.pipeline import open_pipeline
from ragdiag.privacy.hiding import is_hidden
from ragdiag.privacy.screening import open_screen
from ragdiag.progress import Progress
from ragdiag.question_clusters import load_clusters
from ragdiag.records import LATENCY_STAGES, Estimate, Grade, Request
from ragdiag.retrieval.filters import STRANGER, PassageFilter
from ragdiag.settings import Workspace
from ragdiag.stats.clustered_rates import clustered_rate, clustered_score
from ragdiag.stats.intervals import rate_bounds_with_unknown
from ragdiag.store.corpus import load_gold_answers, load_judgments, load_questions
from ragdiag.store.ingest import ingest
from ragdiag.store.lake import Lake
from ragdiag.store.results import save_findings
from ragdiag.version import Version
from ragdiag.workflows.comparing.pairing import latest_requests
from ragdiag.workflows.comparing.sliced_questions import SliceScores, load_slices, score_slices
from ragdiag.workflows.diagnosing.contradictions import contradicting_gold
from ragdiag.workflows.diagnosing.stage_recall import load_stage_recall
from ragdiag.workflows.logs.asking import Asking, ask_and_log

QUANTILES = {"p50": 0.50, "p95": 0.95, "p99": 0.99}


@dataclass(frozen=True)
class Evaluation:
    """One version on one split. ``requests`` are in question order; metrics are named as in the
    field (``MRR@10``), latencies are quantiles in milliseconds by stage. ``correct_bounds`` is the
    rate of right answers over all requests if every one of the ``ungraded`` were wrong, and if
    every one were right; ``contradicting`` are the questions of which two accepted answers cannot
    both be right, with those two. ``snapshot`` is a state of the lake that has all of it."""

    version: Version
    split: str
    requests: tuple[Request, ...]
    metrics: Mapping[str, Estimate]
    latency_ms: Mapping[str, Mapping[str, Estimate]]
    ungraded: int
    correct_bounds: tuple[float, float]
    stages: Sequence[StageRecall]
    slices: Sequence[SliceScores]
    contradicting: Mapping[str, tuple[str, str]]
    snapshot: int

    @property
    def errors(self) -> int:
        """Questions that the generator failed on; they count as wrong."""
        return sum(request.status == "error" for request in self.requests)

    def to_json(self) -> dict[str, Any]:
        return {
            "version": self.version.name,
            "version_id": self.version.version_id,
            "split": self.split,
            "n": len(self.requests),
            "errors": self.errors,
            "metrics": {name: value.to_json() for name, value in self.metrics.items()},
            **(
                {"ungraded": self.ungraded, "correct_bounds": list(self.correct_bounds)}
                if self.ungraded
                else {}
            ),
            "gold_recall_by_stage": {one.stage: one.to_json() for one in self.stages},
            "slices": [one.to_json() for one in self.slices],
            "contradicting_gold": {name: list(two) for name, two in self.contradicting.items()},
            "latency_ms": {
                stage: {name: value.to_json() for name, value in quantiles.items()}
                for stage, quantiles in self.latency_ms.items()
            },
            "snapshot": self.snapshot,
        }


def evaluate(
    lake: Lake,
    workspace: Workspace,
    version: Version,
    split: str,
    progress: Progress | None = None,
    *,
    only: PassageFilter = STRANGER,
) -> Evaluation:
    """Ask every question of ``split`` whose text is stored; a judged question without results
    counts as 0. Answers are graded as they are stored, like the gold answers.

    ``only`` is who asks them all: a tenant's gold passages are found by nobody else.

    Returns when what was logged can be read. Raises UnknownName for a split without questions,
    GeneratorDown where the generator fails again and again.
    """
    questions = [one for one in load_questions(lake, split) if not is_hidden(one.text)]
    if not questions:
        raise UnknownName(
            f"no question of the split {split!r} has its text stored",
            remedy="name another split: [privacy] store_text was false when these came in",
        )
    asked = ask_and_log(
        open_pipeline(lake, workspace, version),
        workspace,
        [Asking(one.text, question_id=one.question_id, topic=one.topic) for one in questions],
        "evaluation",
        progress,
        only=only,
    )
    answers = open_screen(workspace).redact([request.answer for request in asked])
    requests = tuple(
        replace(request, answer=answer or "")
        for request, answer in zip(asked, answers, strict=True)
    )
    ingest(lake, workspace)
    golds = load_gold_answers(lake)
    grades = [grade_request(request, golds) for request in requests]
    save_findings(lake, grades=grades)
    return _score(lake, version, split, requests, grades, golds)


def read_evaluation(lake: Lake, version: Version, split: str) -> Evaluation:
    """The latest evaluation of ``split`` that the lake has; nothing is asked. Raises UnknownName
    where there is none."""
    latest = latest_requests(lake, version, split)
    asked = (one.question_id for one in load_questions(lake, split))
    requests = tuple(latest[name] for name in asked if name in latest)
    golds = load_gold_answers(lake)
    grades = [grade_request(request, golds) for request in requests]
    return _score(lake, version, split, requests, grades, golds)


def _score(
    lake: Lake,
    version: Version,
    split: str,
    requests: tuple[Request, ...],
    grades: Sequence[Grade],
    golds: Mapping[str, Sequence[str]],
) -> Evaluation:
    judgments = load_judgments(lake, split)
    texts = {one.question_id: one.question for one in requests if one.question_id}
    clusters = load_clusters(lake, texts, judgments)
    owners = [clusters.get(one.question_id or "", one.request_id) for one in requests]
    known = [grade.y for grade in grades if grade.y is not None]
    ungraded = len(grades) - len(known)
    return Evaluation(
        version=version,
        split=split,
        requests=requests,
        metrics={
            **ranking_estimates(requests, judgments, owners),
            **answer_estimates(requests, grades, golds, owners),
        },
        latency_ms=latency_estimates(requests),
        ungraded=ungraded,
        correct_bounds=rate_bounds_with_unknown(sum(known), len(known), ungraded),
        stages=load_stage_recall(lake, requests, judgments),
        slices=score_slices(requests, grades, judgments, owners, load_slices(lake)),
        contradicting=contradicting_gold(golds, {r.question_id for r in requests if r.question_id}),
        snapshot=lake.snapshot(),
    )


def grade_request(request: Request, golds: Mapping[str, Sequence[str]]) -> Grade:
    """The default grade (METHODS.md §2) of one logged answer."""
    return grade_answer(
        request.request_id, request.answer, request.status, golds.get(request.question_id or "")
    )


def ranking_estimates(
    requests: Sequence[Request],
    judgments: Mapping[str, Mapping[str, int]],
    owners: Sequence[str],
) -> dict[str, Estimate]:
    """Mean of each ranking metric with its interval, over questions where it is defined: those of
    which a relevant passage is known. ``owners`` name what belongs together, one a request: BCa
    where each stands alone, else by owners (clustered_rates.py)."""
    scores = [
        score_ranking(request.ranking, judgments.get(request.question_id or "", {}))
        for request in requests
    ]
    if not any(judgments.get(request.question_id or "") for request in requests):
        unknown = Estimate.undefined("no question has a gold passage")
        return dict.fromkeys(RANKING_METRICS, unknown)
    return {
        name: clustered_score([score[name] for score in scores], owners) for name in RANKING_METRICS
    }


def answer_estimates(
    requests: Sequence[Request],
    grades: Sequence[Grade],
    golds: Mapping[str, Sequence[str]],
    owners: Sequence[str],
) -> dict[str, Estimate]:
    """Share correct, exact matches and abstentions, and token F1, of requests with their grades and
    ``owners`` in the same order: Wilson and BCa where each owner has one, else by owners
    (clustered_rates.py)."""
    graded = list(zip(grades, owners, strict=True))
    known = [(float(grade.y), owner) for grade, owner in graded if grade.y is not None]
    scored = [
        (grade.score, owner)
        for grade, owner in graded
        if grade.y is not None and grade.score is not None
    ]
    exact = [
        (float(bool(exact_match(request.answer, accepted))), owner)
        for request, owner in zip(requests, owners, strict=True)
        if (accepted := golds.get(request.question_id or ""))
    ]
    silent = [float(request.status == "no_answer") for request in requests]
    return {
        "correct": clustered_rate(*_columns(known)),
        "token_f1": clustered_score(*_columns(scored)),
        "exact_match": clustered_rate(*_columns(exact)),
        "no_answer": clustered_rate(silent, owners),
    }


def _columns(pairs: Sequence[tuple[float, str]]) -> tuple[list[float], list[str]]:
    return [value for value, _ in pairs], [owner for _, owner in pairs]


def latency_estimates(requests: Sequence[Request]) -> dict[str, dict[str, Estimate]]:
    """p50, p95 and p99 of every stage that was measured, the total first."""
    measured = {
        stage: [request.latency_ms[stage] for request in requests if stage in request.latency_ms]
        for stage in ("total", *LATENCY_STAGES[:-1])
    }
    return {
        stage: {name: quantile_estimate(values, q) for name, q in QUANTILES.items()}
        for stage, values in measured.items()
        if values
    }
