"""What fine-tuning changed: the version before and the one after, ranked on held-out questions."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ragdiag.metrics.ranking import score_ranking
from ragdiag.pipeline import Retriever, serving_parts
from ragdiag.progress import Progress, report
from ragdiag.records import Hit, Question
from ragdiag.retrieval.hybrid import HybridRetriever
from ragdiag.retrieval.rerank import open_reranker
from ragdiag.settings import Workspace
from ragdiag.stats.bootstrap import bounded_mean
from ragdiag.stats.contrasts import independent_means, paired_means
from ragdiag.stats.criteria import Criterion
from ragdiag.stats.gates import gate_quality
from ragdiag.stats.paired import PairedComparison, compare_paired
from ragdiag.store.lake import Lake
from ragdiag.training.runs import Change, Gated, Measured, Moved, Overfit, SetName
from ragdiag.version import Version
from ragdiag.workflows.comparing.gate import ReleaseGate

METRICS = ("MRR@10", "nDCG@10", "recall@10")
PRIMARY = METRICS[0]
DENSE = f"dense {PRIMARY}"
"""The same of the dense path's own list, where there is one."""
LEAST_IN_SLICE = 10
TOP = 10
"""Where the gold of a regression question must stay."""
MOVED_SHOWN = 200

Ranking = tuple[Hit, ...]


@dataclass(frozen=True)
class HeldOut:
    """Questions that nothing was learnt from, with their judgments (question → passage → grade).
    Questions of one cluster are not independent; one without a cluster stands alone."""

    name: SetName
    questions: Sequence[Question]
    judgments: Mapping[str, Mapping[str, int]]
    clusters: Mapping[str, str] = field(default_factory=dict)

    def owners(self, questions: Sequence[Question]) -> list[str]:
        return [self.clusters.get(q.question_id, f"alone {q.question_id}") for q in questions]


@dataclass(frozen=True)
class Ranked:
    """Of every question, by its id: the list that would be packed, and the dense path's."""

    final: Mapping[str, Ranking]
    dense: Mapping[str, Ranking | None]


class Ranker:
    """A version's retrieval without its generator; loads its index once."""

    def __init__(self, lake: Lake, workspace: Workspace, version: Version) -> None:
        spec = version.spec
        index, passages = serving_parts(lake, workspace, version)
        self._retriever: Retriever = HybridRetriever(index.unrestricted(), spec)
        self._reranker = None
        if spec.reranker is not None:
            self._reranker = open_reranker(passages, spec.reranker, workspace)

    def rank(self, questions: Sequence[Question], progress: Progress | None = None) -> Ranked:
        final: dict[str, Ranking] = {}
        dense: dict[str, Ranking | None] = {}
        for number, question in enumerate(questions, start=1):
            found = self._retriever.retrieve(question.text)
            hits = found.fused
            if self._reranker is not None:
                hits = self._reranker.rerank(question.text, hits)
            final[question.question_id], dense[question.question_id] = hits, found.dense
            report(progress, number / len(questions), f"ranked {number} of {len(questions)}")
        return Ranked(final, dense)


def measure_change(asked: HeldOut, before: Ranked, after: Ranked) -> Measured:
    """Every metric on all questions, and on those of each topic that has enough of them."""
    by_topic: dict[str, list[Question]] = defaultdict(list)
    for question in asked.questions:
        if question.topic:
            by_topic[question.topic].append(question)
    slices = {
        topic: _changes(asked, chosen, before, after)
        for topic, chosen in sorted(by_topic.items())
        if LEAST_IN_SLICE <= len(chosen) < len(asked.questions)
    }
    measured = Measured(asked.name, _changes(asked, asked.questions, before, after), slices)
    if asked.name != "regressions":
        return measured
    gained, lost = moved_questions(asked, before, after)
    return replace(measured, gained=gained, lost=lost)


def moved_questions(
    asked: HeldOut, before: Ranked, after: Ranked
) -> tuple[tuple[Moved, ...], tuple[Moved, ...]]:
    """Questions that gained and that lost, by the reciprocal rank of their first relevant passage,
    the largest move first."""
    gained: list[tuple[float, Moved]] = []
    lost: list[tuple[float, Moved]] = []
    for question in asked.questions:
        name = question.question_id
        judged = asked.judgments.get(name, {})
        ranks = [_first_rank(one.final[name], judged) for one in (before, after)]
        change = _reciprocal(ranks[1]) - _reciprocal(ranks[0])
        if change:
            (gained if change > 0 else lost).append((abs(change), Moved(name, *ranks)))

    def largest(found: list[tuple[float, Moved]]) -> tuple[Moved, ...]:
        ordered = sorted(found, key=lambda one: (-one[0], one[1].question_id))
        return tuple(one for _, one in ordered[:MOVED_SHOWN])

    return largest(gained), largest(lost)


def lost_regressions(asked: HeldOut, before: Ranked, after: Ranked) -> list[str]:
    """Ids of the questions whose first relevant passage left the first TOP, or the first place."""
    lost = []
    for question in asked.questions:
        name = question.question_id
        judged = asked.judgments.get(name, {})
        old, new = (_first_rank(one.final[name], judged) or math.inf for one in (before, after))
        if old <= TOP < new or old == 1 < new:
            lost.append(name)
    return lost


def find_overfit(
    learned: HeldOut, unseen: HeldOut, before: Mapping[str, Ranked], after: Mapping[str, Ranked]
) -> Overfit:
    """How much more ``learned`` gained than ``unseen``. Rankings are by the name of the set."""
    sides = []
    for asked in (learned, unseen):
        old, new = (
            _scores(asked, asked.questions, ranked[asked.name].final, PRIMARY)
            for ranked in (before, after)
        )
        gains = [y - x for x, y in zip(old, new, strict=True)]
        sides.append(Gains(asked.name, gains, asked.owners(asked.questions)))
    return overfit_of(PRIMARY, *sides)


@dataclass(frozen=True)
class Gains:
    """After − before of every question of a set, and the cluster that it belongs to."""

    name: SetName
    values: Sequence[float]
    owners: Sequence[str]


def overfit_of(metric: str, learned: Gains, unseen: Gains) -> Overfit:
    """The gain on ``learned`` less that on ``unseen`` (Welch): other questions in each."""
    means = independent_means(unseen.values, learned.values, unseen.owners, learned.owners)
    drop = means.contrast(1.0).estimate(means.n_a + means.n)
    known = not (math.isnan(drop.low) or math.isnan(drop.value))
    verdict = "unknown" if not known else "overfit" if drop.low > 0 else "none"
    return Overfit(metric, learned.name, unseen.name, drop, verdict)  # type: ignore[arg-type]


def judge_release(
    release: ReleaseGate,
    held_out: Mapping[SetName, Criterion],
    overfit: Sequence[Overfit],
    lost: int = 0,
) -> Gated:
    """The gate on the test split (METHODS.md §11), which every other set can only make stricter: a
    loss shown on one of them (``held_out``: quality by set) rolls back; a gain that is not of use
    on new questions holds, and so do regression questions, of which ``lost`` are. A reason names
    no question: ids stand in what was measured."""
    decision = release.decision
    reasons = [
        f"{name}: {one.reason}"
        for name, one in release.criteria.items()
        if one.decision == decision
    ]
    for name, found in held_out.items():
        if found.decision == "rollback":
            decision = "rollback"
            reasons.insert(0, f"{name} questions: {found.reason}")
    holding = [_lost_words(lost)] if lost else []
    holding += [
        f"{one.learned} gained {one.drop.value:.3f} {one.metric} more than {one.unseen}: part of "
        "the gain is not of use on new questions"
        for one in overfit
        if one.verdict == "overfit"
    ]
    if decision == "rollback":
        return Gated(decision, (*reasons, *holding))
    if holding:
        decision = "inconclusive"
    needed = [release.needed_words] if release.needed_words else []
    return Gated(decision, (*holding, *reasons, *needed))


def _lost_words(lost: int) -> str:
    return (
        f"{lost} regression questions are lost (the passage that answers left the first {TOP} or "
        "the first place)"
    )


def quality_of(asked: HeldOut, before: Ranked, after: Ranked) -> Criterion:
    """The gate's criterion of quality on a set."""
    old, new = (_scores(asked, asked.questions, one.final, PRIMARY) for one in (before, after))
    return gate_quality(paired_means(old, new, asked.owners(asked.questions)), PRIMARY)


def _changes(
    asked: HeldOut, chosen: Sequence[Question], before: Ranked, after: Ranked
) -> tuple[Change, ...]:
    owners = asked.owners(chosen)
    found = [
        _change(
            name,
            owners,
            _scores(asked, chosen, before.final, name),
            _scores(asked, chosen, after.final, name),
        )
        for name in METRICS
    ]
    if all(one.dense[q.question_id] is not None for one in (before, after) for q in chosen):
        found.append(
            _change(
                DENSE,
                owners,
                _scores(asked, chosen, before.dense, PRIMARY),
                _scores(asked, chosen, after.dense, PRIMARY),
            )
        )
    return tuple(found)


def _change(
    metric: str, owners: Sequence[str], before: Sequence[float], after: Sequence[float]
) -> Change:
    paired = compare_paired(before, after, clusters=owners)
    return Change(
        metric,
        bounded_mean(before, 0, 1),
        bounded_mean(after, 0, 1),
        paired.difference,
        *tested(paired),
    )


def tested(paired: PairedComparison) -> tuple[float | None, float | None]:
    """p of the paired test, and the least difference it would show; None where undefined."""
    p, least = paired.p, paired.minimum_detectable
    return None if math.isnan(p) else p, None if math.isnan(least) else least


def _scores(
    asked: HeldOut,
    chosen: Sequence[Question],
    rankings: Mapping[str, Ranking | None],
    metric: str,
) -> list[float]:
    return [
        score_ranking(rankings[q.question_id] or (), asked.judgments.get(q.question_id, {}))[metric]
        for q in chosen
    ]


def _first_rank(hits: Ranking, judged: Mapping[str, int]) -> int | None:
    ranks = (rank for rank, hit in enumerate(hits, start=1) if judged.get(hit.passage_id, 0) > 0)
    return next(ranks, None)


def _reciprocal(rank: int | None) -> float:
    return 1 / rank if rank is not None else 0.0
