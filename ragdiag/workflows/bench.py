"""What diagnosing a version needs within reach: gold, generator, and the builds that served it."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ragdiag.diagnosis.replay import arm_contexts, outcomes, replay
from ragdiag.diagnosis.tiers import NO_SIGNS, Signs
from ragdiag.diagnosis.verdicts import judge, supports
from ragdiag.diagnosis.waterfall import Loss, best_judged, locate_loss
from ragdiag.generation.generator import Generator, load_generator
from ragdiag.generation.steadfast import SteadfastGenerator
from ragdiag.metrics.answers import grade_answer
from ragdiag.pipeline import Retriever, context_of
from ragdiag.privacy.hiding import NOT_STORED, is_hidden
from ragdiag.records import (
    DEFAULT_GRADER,
    Answer,
    Diagnosis,
    Grade,
    Hit,
    Passage,
    Replay,
    Request,
)
from ragdiag.retrieval.builds import build_ids, load_index
from ragdiag.retrieval.filters import filter_of
from ragdiag.retrieval.hybrid import HybridRetriever
from ragdiag.settings import Workspace
from ragdiag.store.corpus import (
    load_build_passages,
    load_gold_answers,
    load_judgments,
    load_passages,
    load_passages_by_id,
)
from ragdiag.store.findings import find_grade
from ragdiag.store.lake import Lake
from ragdiag.store.logged_passages import load_logged_passages
from ragdiag.version import LoggedVersion, Spec, Version
from ragdiag.workflows.signs import SignReader


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a diagnosis may use of one question beside its log: less makes a lower tier.

    ``reported`` is whether the user called the answer bad; None where nobody said anything.
    """

    gold: tuple[Passage, ...] = ()
    answers: tuple[str, ...] = ()
    may_replay: bool = True
    reported: bool | None = None


class Bench:
    """Examines requests of one version; each part is loaded once, when first needed.

    Without a spec (another service's log) nothing is replayed, and no corpus gap is claimed.
    """

    def __init__(self, lake: Lake, workspace: Workspace, version: Version | LoggedVersion) -> None:
        self._lake = lake
        self._workspace = workspace
        self._spec = version.spec
        self._judgments = load_judgments(lake)
        self._answers = load_gold_answers(lake)
        gold = {p for judged in self._judgments.values() for p in best_judged(judged)}
        found = {**load_logged_passages(lake, gold), **load_passages_by_id(lake, gold)}
        self._passages = {name: _readable(passage) for name, passage in found.items()}
        self._texts: dict[str, dict[str, str]] = {}
        self._retrievers: dict[str, Retriever] = {}
        self._loaded: Generator | None = None
        self._signs = SignReader(lake)

    def over(
        self, build_id: str, texts: Mapping[str, str], retriever: Retriever, generator: Generator
    ) -> Bench:
        """The same bench for requests that another system served: a build of these passages, this
        retriever and this generator."""
        other = copy.copy(self)
        other._texts = {build_id: dict(texts)}
        other._retrievers = {build_id: retriever}
        other._loaded = SteadfastGenerator(generator)
        other._signs = self._signs.anew()
        return other

    def evidence(self, request: Request) -> Evidence:
        """Everything that the workspace knows about the question, and what its user said."""
        answers = tuple(self._answers.get(request.question_id or "", ()))
        return Evidence(
            tuple(self._gold(request)),
            answers,
            reported=None if answers else self._signs.reported(request),
        )

    def grade(self, request: Request, answer: Answer, evidence: Evidence | None = None) -> Grade:
        """The default grade; of an answer that is not stored the one it got while it was told."""
        if is_hidden(answer.text):
            unknown = Grade(request.request_id, DEFAULT_GRADER, None, None, "error", NOT_STORED)
            return find_grade(self._lake, request.request_id) or unknown
        known = self._answers.get(request.question_id or "")
        golds = known if evidence is None else evidence.answers
        return grade_answer(request.request_id, answer.text, answer.status, golds)

    def examine(
        self, request: Request, grade: Grade, evidence: Evidence | None = None
    ) -> tuple[Diagnosis, list[Replay]]:
        """The verdict on one request, with the draws it rests on (none for a success), from
        ``evidence`` alone; default: everything that is known."""
        known = self.evidence(request) if evidence is None else evidence
        gold, answers = known.gold, known.answers
        served = {} if self._spec is None else self._served(request.build_id)
        loss = self._locate(request, gold, answers, served)
        draws = []
        texts = [passage.text for passage in gold if passage.text]
        told = not is_hidden(request.question) and len(texts) == len(gold)
        if grade.y == 0 and gold and told and known.may_replay and self._spec is not None:
            contexts = arm_contexts(context_of(request, served), gold)
            draws = replay(
                request,
                contexts,
                self._generator(self._spec),
                lambda answer: self.grade(request, answer, known),
            )
        supported = not texts or not answers or supports(texts, answers)
        signs = self._read_signs(request, grade, known, served)
        found = judge(request, grade, loss, outcomes(draws), gold_supported=supported, signs=signs)
        return found, draws

    def sufficiency_features(self, request: Request) -> tuple[float, ...] | None:
        """What the sufficiency of its context is estimated from; None where the texts of its
        context are not known."""
        served = {} if self._spec is None else self._served(request.build_id)
        return self._signs.features(request, served)

    def _read_signs(
        self, request: Request, grade: Grade, known: Evidence, served: Mapping[str, str]
    ) -> Signs:
        """Only where there is no gold passage, and only what the tier needs."""
        if grade.y == 1 or known.gold or is_hidden(request.question):
            return NO_SIGNS
        if grade.status == "no_gold":
            return self._signs.without_gold(request, served, known.reported)
        held = self._signs.holders(request, served, known.answers)
        if not held:
            return NO_SIGNS
        return Signs(answer_at=self._locate(request, held, known.answers, served).cause)

    def _locate(
        self,
        request: Request,
        gold: Sequence[Passage],
        answers: Sequence[str],
        served: Mapping[str, str],
    ) -> Loss:
        spec = self._spec
        golden = {passage.passage_id for passage in gold}

        def locate(logged: Request) -> Loss:
            return locate_loss(
                logged,
                gold=golden,
                # Nobody knows what another service has indexed: no corpus gap can be claimed.
                indexed=golden if spec is None else served.keys(),
                texts={p.passage_id: served.get(p.passage_id, p.text) for p in gold},
                answers=answers,
                k=len(logged.ranking) if spec is None else spec.context.k,
            )

        loss = locate(request)
        again = request.build_id and not is_hidden(request.question)
        if loss.cause != "beyond_logged_depth" or not again or spec is None:
            return loss
        return locate(with_whole_lists(request, self._retriever(request.build_id, spec)))

    def _generator(self, spec: Spec) -> Generator:
        if self._loaded is None:
            self._loaded = SteadfastGenerator(load_generator(spec.generator))
        return self._loaded

    def _gold(self, request: Request) -> list[Passage]:
        gold = best_judged(self._judgments.get(request.question_id or "", {}))
        # Of a log's gold passages some are known by their ids alone.
        return [self._passages.get(name) or Passage(name, name, "") for name in gold]

    def passages_of(self, build_id: str) -> dict[str, Passage]:
        """The passages of a build; the corpus as it is where the log names no build."""
        passages = (
            load_build_passages(self._lake, build_ids(self._workspace, build_id))
            if build_id
            else load_passages(self._lake)
        )
        return {passage.passage_id: passage for passage in passages}

    def _served(self, build_id: str) -> dict[str, str]:
        """Texts by passage of a build."""
        if build_id not in self._texts:
            found = self.passages_of(build_id)
            self._texts[build_id] = {name: passage.text for name, passage in found.items()}
        return self._texts[build_id]

    def _retriever(self, build_id: str, spec: Spec) -> Retriever:
        if build_id not in self._retrievers:
            index = load_index(self._workspace, build_id, spec)
            self._retrievers[build_id] = HybridRetriever(index, spec)
        return self._retrievers[build_id]


def _readable(passage: Passage) -> Passage:
    """Without its text where that is not stored: the passage is known by its id alone."""
    return replace(passage, text="") if is_hidden(passage.text) else passage


def with_whole_lists(request: Request, retriever: Retriever) -> Request:
    """The request with the lists that its log cut off, retrieved again from the same build.

    Only where the logged part comes out the same: a path that was broken when it served must not
    be healed by looking again. Otherwise the request is returned as it is.
    """
    again = retriever.retrieve(request.question, only=filter_of(request))
    pairs = (
        (request.lexical, again.lexical),
        (request.dense, again.dense),
        (request.fused, again.fused),
    )
    if not all(_begins_with(whole, logged) for logged, whole in pairs):
        return request
    return replace(
        request, lexical=again.lexical, dense=again.dense, fused=again.fused, logged_depth=None
    )


def _begins_with(whole: Sequence[Hit] | None, logged: Sequence[Hit] | None) -> bool:
    if whole is None or logged is None:
        return whole is logged
    head: Iterator[Hit] = iter(whole)
    return all(hit.passage_id == next(head, Hit("", 0.0)).passage_id for hit in logged)
