"""From a tuned generator to a verdict: both versions answer the test split, and the gate decides.

Nothing is promoted: a version whose gate passed is left ready to be tried on a share of production.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from ragdiag.errors import UnknownName
from ragdiag.privacy.hiding import is_hidden
from ragdiag.progress import Progress, part
from ragdiag.records import Estimate
from ragdiag.settings import Workspace
from ragdiag.stats.bootstrap import bounded_mean
from ragdiag.stats.contrasts import paired_means
from ragdiag.stats.criteria import Criterion
from ragdiag.stats.gates import gate_quality
from ragdiag.stats.intervals import wilson
from ragdiag.stats.paired import compare_paired
from ragdiag.store.corpus import load_gold_answers, load_questions
from ragdiag.store.lake import Lake
from ragdiag.store.results import save_version
from ragdiag.training.answers.located import AnswerExample
from ragdiag.training.recording import Recording
from ragdiag.training.runs import Candidate, Change, Measured, Moved, Overfit, SetName
from ragdiag.version import Version
from ragdiag.workflows.comparing.compare import QuestionPair, compare_versions
from ragdiag.workflows.comparing.evaluate import evaluate
from ragdiag.workflows.comparing.gate import gate_versions
from ragdiag.workflows.tuning.answer_holdout import ask_made, unasked_reason
from ragdiag.workflows.tuning.tuned_change import (
    LEAST_IN_SLICE,
    MOVED_SHOWN,
    Gains,
    judge_release,
    overfit_of,
    tested,
)
from ragdiag.workflows.tuning.tuned_version import same_passages

AnswerMetric = Literal["correct", "token_f1"]
METRICS: tuple[AnswerMetric, ...] = ("correct", "token_f1")


def require_test_answers(lake: Lake, test: str) -> int:
    """How many questions of the split can be tested on. Raises UnknownName where there is none."""
    golds = load_gold_answers(lake)
    asked = [one for one in load_questions(lake, test) if not is_hidden(one.text)]
    answered = sum(bool(golds.get(one.question_id)) for one in asked)
    if not answered:
        raise UnknownName(
            f"no question of the split {test!r} has a gold answer to be tested on",
            remedy="name another with --test, or import answers: ragdiag import gold",
        )
    return answered


def release_generator(
    lake: Lake,
    workspace: Workspace,
    recording: Recording,
    version: Version,
    tuned: Version,
    test: str,
    metric: AnswerMetric,
    made: Sequence[AnswerExample],
    progress: Progress | None = None,
) -> None:
    """Ask both versions, which one index serves, the split ``test`` and what is ``made`` of the dev
    questions, judge ``tuned`` by ``metric``, and write all down, also why ``version`` was asked
    nothing made.

    Raises TrainingError where another index begins to serve, and what asking questions raises.
    """
    save_version(lake, tuned)
    with same_passages(lake, workspace, version, tuned):
        # Both in one run, so that their times are of one machine in one mood.
        evaluate(lake, workspace, version, test, part(progress, 0.0, 0.4))
        evaluate(lake, workspace, tuned, test, part(progress, 0.4, 0.8))
        held = ask_made(lake, workspace, version, tuned, made, part(progress, 0.8, 1.0))
    pairs = compare_versions(lake, version, tuned, test).pairs
    topics = {one.question_id: one.topic for one in load_questions(lake, test)}
    measured = [_measured("test", pairs, topics, metric)]
    quality: dict[SetName, Criterion] = {}
    overfit: list[Overfit] = []
    if held:
        measured.append(_measured("synthetic", held, {}, metric))
        old, new = [p.a[metric] for p in held], [p.b[metric] for p in held]
        means = paired_means(old, new, [p.cluster for p in held])
        quality["synthetic"] = gate_quality(means, metric)
        sides = _gains("test", pairs, metric), _gains("synthetic", held, metric)
        overfit.append(overfit_of(metric, *sides))
    recording.say(
        measured=tuple(measured),
        moved_by="score",
        gained=_moved(pairs, 1),
        lost=_moved(pairs, -1),
        overfit=tuple(overfit),
    )
    release = gate_versions(lake, version, tuned, test, metric=metric)
    gate = judge_release(release, quality, overfit)
    if (unasked := unasked_reason(version)) is not None:
        gate = replace(gate, reasons=(*gate.reasons, unasked))
    recording.say(gate=gate, candidate=Candidate(tuned.name, tuned.version_id))


def _gains(name: SetName, pairs: Sequence[QuestionPair], metric: AnswerMetric) -> Gains:
    values = [pair.b[metric] - pair.a[metric] for pair in pairs]
    return Gains(name, values, [pair.cluster for pair in pairs])


def _measured(
    name: SetName, pairs: Sequence[QuestionPair], topics: dict[str, str], metric: AnswerMetric
) -> Measured:
    """``metric`` first; on all questions, and on those of each topic that has enough of them."""
    names = sorted(METRICS, key=lambda one: one != metric)
    by_topic: dict[str, list[QuestionPair]] = defaultdict(list)
    for pair in pairs:
        if topic := topics.get(pair.question_id):
            by_topic[topic].append(pair)
    slices = {
        topic: tuple(_change(one, chosen) for one in names)
        for topic, chosen in sorted(by_topic.items())
        if LEAST_IN_SLICE <= len(chosen) < len(pairs)
    }
    return Measured(name, tuple(_change(one, pairs) for one in names), slices)


def _change(metric: AnswerMetric, pairs: Sequence[QuestionPair]) -> Change:
    """Over the questions that have a gold answer."""
    known = [
        (pair.a[metric], pair.b[metric], pair.cluster)
        for pair in pairs
        if not (math.isnan(pair.a[metric]) or math.isnan(pair.b[metric]))
    ]
    before, after = [x for x, _, _ in known], [y for _, y, _ in known]
    paired = compare_paired(before, after, clusters=[cluster for _, _, cluster in known])
    return Change(
        metric, _mean(metric, before), _mean(metric, after), paired.difference, *tested(paired)
    )


def _mean(metric: AnswerMetric, scores: Sequence[float]) -> Estimate:
    return (
        wilson(int(sum(scores)), len(scores)) if metric == "correct" else bounded_mean(scores, 0, 1)
    )


def _moved(pairs: Sequence[QuestionPair], sign: int) -> tuple[Moved, ...]:
    """Questions that became right (``sign`` 1) or wrong (−1), by their token F1 before and after,
    the largest move first."""
    found = [pair for pair in pairs if sign * (pair.b["correct"] - pair.a["correct"]) > 0]
    found.sort(key=lambda p: (-sign * (p.b["token_f1"] - p.a["token_f1"]), p.question_id))
    moved = (Moved(p.question_id, p.a["token_f1"], p.b["token_f1"]) for p in found)
    return tuple(moved)[:MOVED_SHOWN]
