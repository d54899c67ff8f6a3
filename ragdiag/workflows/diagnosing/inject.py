"""Requests that succeed, asked again through a system with one known fault.

Which fault a request had is told only in the record that is returned beside it. What diagnosis is
given (:class:`Broken`) is what it has of any failure: the request as logged, the system that
answered, and the labels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ragdiag.diagnosis.injection import (
    CUT_TOKENS,
    FAULTS,
    BlindRetriever,
    DemotingRetriever,
    DistractedPacker,
    Fault,
    WrongSentenceGenerator,
    applies,
    echoes,
)
from ragdiag.generation.steadfast import SteadfastGenerator
from ragdiag.pipeline import Pipeline, open_pipeline
from ragdiag.progress import Progress, report
from ragdiag.records import Passage, Request
from ragdiag.retrieval.builds import load_index
from ragdiag.retrieval.filters import filter_of
from ragdiag.retrieval.hybrid import HybridRetriever
from ragdiag.retrieval.packing import Packer
from ragdiag.retrieval.text import load_tokenizer
from ragdiag.settings import Workspace
from ragdiag.store.corpus import removed_passages
from ragdiag.store.lake import Lake
from ragdiag.version import Version
from ragdiag.workflows.diagnosing.bench import Bench
from ragdiag.workflows.diagnosing.replays import Replays
from ragdiag.workflows.diagnosing.scenes import Evidence


@dataclass(frozen=True)
class Broken:
    """A failure to diagnose: ``bench`` knows the system that served it, ``replays`` asks that
    system's generator, ``labels`` are its gold."""

    request: Request
    bench: Bench
    replays: Replays
    labels: Evidence


@dataclass(frozen=True)
class Injected:
    """The failures, the record ``{request_id: fault}`` that diagnosis never sees, and of how many
    successes each fault was tried on."""

    broken: tuple[Broken, ...]
    record: dict[str, Fault]
    tried: dict[Fault, int]


@dataclass(frozen=True)
class _System:
    pipeline: Pipeline
    bench: Bench
    replays: Replays


class Injector:
    """Breaks one version; its parts are loaded once, and each fault's system is made once."""

    def __init__(
        self,
        lake: Lake,
        workspace: Workspace,
        version: Version,
        successes: Sequence[Request],
        progress: Progress | None = None,
    ) -> None:
        """Of ``successes`` only those count that succeed today too, with gold in the prompt.
        Questions whose labels are in doubt are not asked, since what failed on them could not be
        told from what was broken; ``left_out`` counts them by reason."""
        self._bench = Bench(lake, workspace, version)
        # No question is named: a fault's answers are not those that the lake keeps.
        self._replays = Replays(lake, workspace, version.spec, ())
        pipeline = open_pipeline(lake, workspace, version)
        self._pipeline = pipeline.with_parts(generator=SteadfastGenerator(pipeline.generator))
        self.generator = pipeline.generator.name
        self._spec = version.spec
        self._index = load_index(workspace, pipeline.build_id, version.spec)
        self._removed = removed_passages(lake, self._index.passage_ids)
        self._passages = self._bench.passages_of(pipeline.build_id)
        self.successes: list[tuple[Request, Evidence]] = []
        self.left_out: Counter[str] = Counter()
        for number, request in enumerate(successes, start=1):
            labels = replace(self._bench.evidence(request), reported=True)
            if labels.gold and labels.doubt is not None:
                self.left_out[labels.doubt] += 1
            elif labels.gold and self._succeeds(request, labels):
                self.successes.append((request, labels))
            asked = f"asked {number} of {len(successes)} again, {len(self.successes)} succeed"
            report(progress, number / len(successes), asked)

    def inject(self, n: int, seed: int = 0, progress: Progress | None = None) -> Injected:
        """Up to ``n`` failures of each fault, from successes in an order that ``seed`` draws."""
        broken: list[Broken] = []
        record: dict[str, Fault] = {}
        tried: dict[Fault, int] = {}
        paths = {
            path
            for path, part in (("dense", self._index.ann), ("lexical", self._index.lexical))
            if part is not None
        }
        for number, fault in enumerate(FAULTS):
            if not applies(fault, paths):
                continue
            system, found, tried[fault] = self._system(fault), 0, 0
            for at in np.random.default_rng(seed).permutation(len(self.successes)).tolist():
                report(progress, number / len(FAULTS), f"injecting {fault}: {found} of {n} fail")
                if found == n:
                    break
                tried[fault] += 1
                if (failure := self._break(fault, system, at)) is not None:
                    found += 1
                    broken.append(failure)
                    record[failure.request.request_id] = fault
        return Injected(tuple(broken), record, tried)

    def _succeeds(self, request: Request, labels: Evidence) -> bool:
        again = _ask(self._pipeline, request)
        grade = self._bench.grade(again, again.said, labels)
        seen = self._bench.look_at(again, grade, labels)
        return grade.y == 1 and seen.loss.cause == "in_context"

    def _break(self, fault: Fault, system: _System, at: int) -> Broken | None:
        """The request with the fault; None where its answer is right all the same."""
        request, labels = self.successes[at]
        if fault == "label_swapped":
            other = self._elsewhere(at)
            if other is None:
                return None
            labels = replace(labels, answers=other.answers)
        pipeline = system.pipeline
        if fault == "distractors_added":
            pipeline = pipeline.with_parts(
                packer=DistractedPacker(pipeline.packer, _echoes(request))
            )
        asked = _ask(pipeline, request)
        grade = system.bench.grade(asked, asked.said, labels)
        return Broken(asked, system.bench, system.replays, labels) if grade.y == 0 else None

    def _elsewhere(self, at: int) -> Evidence | None:
        """The labels of the next success that shares no gold document: an answer that its own gold
        passage tells is no wrong label."""
        own = {passage.document_id for passage in self.successes[at][1].gold}
        others = (*self.successes[at + 1 :], *self.successes[:at])
        found = (labels for _, labels in others)
        return next((x for x in found if own.isdisjoint(p.document_id for p in x.gold)), None)

    def _system(self, fault: Fault) -> _System:
        """The version with one part exchanged, and the bench that knows that system."""
        pipeline, passages = self._pipeline, dict(self._passages)
        gold = {p.passage_id for _, labels in self.successes for p in labels.gold}
        if fault == "gold_not_indexed":
            passages = {name: one for name, one in passages.items() if name not in gold}
            pipeline = pipeline.with_parts(retriever=self._retriever(gold))
        elif fault == "dense_blind":
            pipeline = pipeline.with_parts(retriever=BlindRetriever(self._retriever(), "dense"))
        elif fault == "lexical_blind":
            pipeline = pipeline.with_parts(retriever=BlindRetriever(self._retriever(), "lexical"))
        elif fault == "gold_demoted":
            worse = DemotingRetriever(pipeline.retriever, frozenset(gold))
            pipeline = pipeline.with_parts(retriever=worse)
        elif fault == "context_cut":
            spec = self._spec.context.model_copy(update={"max_tokens": CUT_TOKENS})
            pipeline = pipeline.with_parts(packer=Packer(passages, spec, load_tokenizer()))
        elif fault == "distractors_added":
            passages |= {p.passage_id: p for r, _ in self.successes for p in _echoes(r)}
        elif fault == "wrong_sentence":
            pipeline = pipeline.with_parts(generator=WrongSentenceGenerator(pipeline.generator))
        bench = self._bench.over(pipeline.build_id, passages, pipeline.retriever)
        return _System(pipeline, bench, self._replays.over(pipeline.generator))

    def _retriever(self, hidden: set[str] | None = None) -> HybridRetriever:
        return HybridRetriever(self._index.without(self._removed | (hidden or set())), self._spec)


def _ask(pipeline: Pipeline, request: Request) -> Request:
    return pipeline.ask(
        request.question,
        question_id=request.question_id,
        topic=request.topic,
        traffic="evaluation",
        only=filter_of(request),
    )


def _echoes(request: Request) -> tuple[Passage, ...]:
    return echoes(request.question, request.question_id or request.request_id)
