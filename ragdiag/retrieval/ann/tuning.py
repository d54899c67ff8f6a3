"""Which index is the cheapest that still finds what comparing every vector would find.

Each setting is built once and searched with every effort, by real questions against their exact
neighbours among whole vectors. A setting qualifies where the lower 95 % bound of its mean recall@k
meets the target; of those the cheapest is taken. The better half of many estimates is lucky, so the
choice is made on one half of the questions and its recall told from the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from time import perf_counter
from typing import Literal

import numpy as np
import numpy.typing as npt

from ragdiag.metrics.latency import quantile_estimate
from ragdiag.records import Estimate
from ragdiag.retrieval.ann.index import Ann, Effort, build_ann
from ragdiag.retrieval.ann.kinds import load_faiss
from ragdiag.retrieval.ann.reduction import fit_reduction
from ragdiag.stats.bootstrap import bca_mean
from ragdiag.version import AnnSpec

Vectors = npt.NDArray[np.float32]
Neighbours = npt.NDArray[np.int64]
Objective = Literal["latency", "memory"]

_BUILDS: Mapping[str, Mapping[str, Sequence[int]]] = {
    "flat": {},
    "flat_sq8": {},
    "hnsw": {"m": (16, 32), "ef_construction": (100, 200)},
    "hnsw_sq8": {"m": (16, 32), "ef_construction": (100, 200)},
    "ivf_pq": {},
    "opq": {},
    "rabitq": {},
}
_LISTS = {"nprobe": (4, 8, 16, 32, 64, 128), "refine_factor": (1, 2, 4, 8)}
_EFFORTS: Mapping[str, Mapping[str, Sequence[int]]] = {
    "flat": {},
    "flat_sq8": {},
    "hnsw": {"ef_search": (16, 32, 64, 128, 256, 512)},
    "hnsw_sq8": {"ef_search": (16, 32, 64, 128, 256, 512)},
    "ivf_pq": _LISTS,
    "opq": _LISTS,
    "rabitq": _LISTS,
}


@dataclass(frozen=True, slots=True)
class Trial:
    """One setting with what it found and cost. ``recall`` is of the questions that choose,
    ``confirmed`` of the others; times are of one search in one thread, milliseconds;
    ``bytes_per_vector`` counts links, lists, refiner and the reduction."""

    spec: AnnSpec
    recall: Estimate
    confirmed: Estimate
    p50_ms: Estimate
    p95_ms: Estimate
    bytes_per_vector: float
    build_seconds: float


@dataclass(frozen=True, slots=True)
class Task:
    """What every setting is measured by: unit ``vectors`` (n, d) and ``questions`` (q, d), and the
    ``k`` exact neighbours of each (q, k). Lists are searched ``depth`` deep, as they are served."""

    vectors: Vectors
    questions: Vectors
    neighbours: Neighbours
    depth: int

    @property
    def k(self) -> int:
        return int(self.neighbours.shape[1])


def make_task(vectors: Vectors, questions: Vectors, k: int, depth: int) -> Task:
    """Find the exact neighbours; of n < k vectors all are."""
    faiss = load_faiss()
    k = min(k, len(vectors))
    _, found = faiss.knn(questions, vectors, k, metric=faiss.METRIC_INNER_PRODUCT)
    return Task(vectors, questions, np.asarray(found, dtype=np.int64), max(k, depth))


def settings(spec: AnnSpec, kinds: Sequence[str]) -> list[AnnSpec]:
    """What is built: the sweep of each kind's building settings, the rest as in ``spec``."""
    return [
        spec.model_copy(update={"kind": kind, **dict(zip(sweep, values, strict=True))})
        for kind in kinds
        for sweep in [_BUILDS[kind]]
        for values in product(*sweep.values())
    ]


def try_setting(task: Task, spec: AnnSpec) -> list[Trial]:
    """Build ``spec`` and search with every effort of its kind. Raises IndexFault where it cannot
    be built of these vectors."""
    started = perf_counter()
    reduction = fit_reduction(task.vectors, spec)
    vectors = task.vectors if reduction is None else reduction.apply(task.vectors)
    questions = task.questions if reduction is None else reduction.apply(task.questions)
    ann = build_ann(vectors, spec)
    seconds = perf_counter() - started
    size = (ann.bytes + (0 if reduction is None else reduction.bytes)) / len(vectors)
    return [_measured(task, questions, ann, tried, size, seconds) for tried in _with_efforts(spec)]


def choose(trials: Sequence[Trial], target: float, objective: Objective) -> Trial | None:
    """The cheapest trial whose recall's lower bound meets ``target``; None where none does."""
    good = [trial for trial in trials if trial.recall.low >= target]

    def cost(trial: Trial) -> tuple[float, float]:
        time, size = trial.p95_ms.value, trial.bytes_per_vector
        return (time, size) if objective == "latency" else (size, time)

    return min(good, key=cost, default=None)


def pareto(trials: Sequence[Trial]) -> list[Trial]:
    """Those trials that no other beats in recall, p95 and bytes at once, by rising p95."""

    def beats(one: Trial, other: Trial) -> bool:
        a = (-one.recall.value, one.p95_ms.value, one.bytes_per_vector)
        b = (-other.recall.value, other.p95_ms.value, other.bytes_per_vector)
        return a != b and all(x <= y for x, y in zip(a, b, strict=True))

    kept = [one for one in trials if not any(beats(other, one) for other in trials)]
    return sorted(kept, key=lambda trial: trial.p95_ms.value)


def exact_recall(recalls: Sequence[float], k: int) -> Estimate:
    """Of a search that misses nothing, whatever is asked."""
    return Estimate(1.0, 1.0, 1.0, len(recalls))


def mean_recall(recalls: Sequence[float], k: int) -> Estimate:
    """The mean recall@``k`` with its interval, in 0 … 1.

    Where every question has the same recall nothing tells how far another one may fall short; the
    lower bound then is that with one question more, which finds one neighbour less.

    >>> found = mean_recall([1.0] * 250, 10)
    >>> found.value, round(found.low, 4), found.high
    (1.0, 0.998, 1.0)
    """
    found = bca_mean(recalls)
    if len(recalls) > 1 and min(recalls) == max(recalls):
        low = bca_mean([*recalls, recalls[0] - 1 / k]).low
        return Estimate(found.value, max(low, 0.0), 1.0, found.n)
    return replace(found, low=max(found.low, 0.0), high=min(found.high, 1.0))


def _with_efforts(spec: AnnSpec) -> Iterator[AnnSpec]:
    sweep = _EFFORTS[spec.kind]
    for values in product(*sweep.values()):
        yield spec.model_copy(update=dict(zip(sweep, values, strict=True)))


def with_effort(setting: AnnSpec, tried: AnnSpec) -> AnnSpec:
    """``setting``, searched as ``tried`` of the same kind was."""
    return setting.model_copy(update={name: getattr(tried, name) for name in _EFFORTS[tried.kind]})


def _measured(
    task: Task, questions: Vectors, ann: Ann, spec: AnnSpec, size: float, seconds: float
) -> Trial:
    effort = Effort.of(spec)
    ann.search(questions[0], task.depth, effort=effort)  # pays for what is loaded on first use
    recalls, times = [], []
    for question, exact in zip(questions, task.neighbours, strict=True):
        started = perf_counter()
        found, _ = ann.search(question, task.depth, effort=effort)
        times.append((perf_counter() - started) * 1e3)
        recalls.append(len(np.intersect1d(found[: task.k], exact)) / task.k)
    # Whole vectors compared one by one find the neighbours by definition: no estimate.
    is_exact = spec.kind == "flat" and questions.shape[1] == task.vectors.shape[1]
    told = exact_recall if is_exact and min(recalls) == 1.0 else mean_recall
    return Trial(
        spec=spec,
        recall=told(recalls[::2], task.k),
        confirmed=told(recalls[1::2], task.k),
        p50_ms=quantile_estimate(times, 0.5),
        p95_ms=quantile_estimate(times, 0.95),
        bytes_per_vector=size,
        build_seconds=seconds,
    )
