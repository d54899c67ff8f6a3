"""What diagnosing a version needs within reach: gold, and the builds that served it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property

from ragdiag.diagnosis.arms import arm_contexts, find_misleading, oracle_order
from ragdiag.diagnosis.replay import outcomes
from ragdiag.diagnosis.second_level import split_cause
from ragdiag.diagnosis.verdicts import judge, supports
from ragdiag.diagnosis.waterfall import Loss, best_judged, locate_loss
from ragdiag.metrics.answers import grade_answer
from ragdiag.pipeline import Retriever
from ragdiag.privacy.hiding import NOT_STORED, is_hidden
from ragdiag.records import (
    DEFAULT_GRADER,
    Answer,
    ContextPassage,
    Diagnosis,
    Grade,
    Hit,
    Passage,
    Replay,
    Request,
    Retrieval,
)
from ragdiag.retrieval.builds import Index, build_ids, load_index
from ragdiag.retrieval.filters import filter_of
from ragdiag.retrieval.hybrid import HybridRetriever
from ragdiag.retrieval.packing import Packer
from ragdiag.retrieval.text import load_tokenizer
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
from ragdiag.workflows.replays import Job, Replays
from ragdiag.workflows.scenes import Examination, rare_overlap, scene_of

DEEPER = 10
"""Times the candidates that a path is searched for gold that it did not find (METHODS.md §4b)."""

MOST_CANDIDATES = 10_000


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
        self._known = load_passages_by_id(lake, gold)
        found = {**load_logged_passages(lake, gold), **self._known}
        self._passages = {name: _readable(passage) for name, passage in found.items()}
        self._builds: dict[str, dict[str, Passage]] = {}
        self._indexes: dict[str, Index] = {}
        self._retrievers: dict[tuple[str, int], Retriever] = {}

    def grade(self, request: Request, answer: Answer) -> Grade:
        """The default grade; of an answer that is not stored the one it got while it was told."""
        if is_hidden(answer.text):
            unknown = Grade(request.request_id, DEFAULT_GRADER, None, None, "error", NOT_STORED)
            return find_grade(self._lake, request.request_id) or unknown
        golds = self._answers.get(request.question_id or "")
        return grade_answer(request.request_id, answer.text, answer.status, golds)

    def look_at(self, request: Request, grade: Grade) -> Examination:
        """Where the gold was lost; nothing is asked of a generator."""
        gold = self._gold(request)
        answers = self._answers.get(request.question_id or "", ())
        served = {} if self._spec is None else self._served(request.build_id)
        context = tuple(
            ContextPassage(hit.passage_id, one.text[: hit.chars], one.title, hit.score)
            for hit in request.context
            if (one := served.get(hit.passage_id)) is not None
        )
        loss = self._locate(request, gold, answers, served)
        whole = request
        if loss.cause == "beyond_logged_depth" and self._can_retrieve(request):
            whole = with_whole_lists(request, self._retriever(request.build_id))
            loss = self._locate(whole, gold, answers, served)
        return Examination(request, whole, grade, loss, gold, answers, context)

    def job(self, seen: Examination) -> Job | None:
        """The arms to replay; None where a replay can show nothing. Of an answer that was right by
        luck only whether it needs a context at all is asked."""
        request, gold = seen.request, seen.gold
        if self._spec is None or is_hidden(request.question):
            return None
        if seen.grade.y == 1:
            lucky = seen.loss.cause not in ("in_context", "gold_unknown")
            return (request, {"none": ()}) if lucky and len(seen.context) else None
        if seen.grade.y != 0 or not gold or not all(passage.text for passage in gold):
            return None
        golden = {passage.passage_id for passage in gold}
        served = self._served(request.build_id)
        order = [hit for hit in oracle_order(seen.whole, golden) if hit.passage_id in served]
        packer = Packer(served, self._spec.context, load_tokenizer())
        misleading = (
            find_misleading(request.answer, seen.context, golden)
            if seen.loss.cause == "in_context" and request.status == "ok"
            else None
        )
        contexts = arm_contexts(
            seen.context, gold, oracle=packer.pack(order), misleading=misleading
        )
        return request, contexts

    def examine(
        self, request: Request, grade: Grade, replays: Replays | None
    ) -> tuple[Diagnosis | None, list[Replay]]:
        """The verdict on one request, with the draws it rests on; no verdict where the budget ended
        before all of them were had. Without ``replays`` nothing is asked."""
        seen = self.look_at(request, grade)
        job = None if replays is None else self.job(seen)
        draws: list[Replay] = []
        if job is not None and replays is not None:
            replayed = replays.replay(job, lambda answer: self.grade(request, answer))
            draws = list(replayed.draws)
            if not replayed.complete:
                return None, draws
        arms = outcomes(draws)
        texts = [passage.text for passage in seen.gold if passage.text]
        supported = not texts or not seen.answers or supports(texts, seen.answers)
        found = judge(request, grade, seen.loss, arms, gold_supported=supported)
        documents = sorted({passage.document_id for passage in seen.gold})
        evidence = {**found.evidence, "n_gold": len(seen.gold), "gold_documents": documents}
        scene = scene_of(
            seen,
            draws,
            {} if self._spec is None else self._served(request.build_id),
            spec=self._spec,
            ever=frozenset(self._known),
            rare=self._rare_overlap,
            deeper=self._deeper(request),
        )
        return split_cause(replace(found, evidence=evidence), scene), draws

    def _locate(
        self,
        request: Request,
        gold: Sequence[Passage],
        answers: Sequence[str],
        served: Mapping[str, Passage],
    ) -> Loss:
        spec = self._spec
        golden = {passage.passage_id for passage in gold}
        return locate_loss(
            request,
            gold=golden,
            # Nobody knows what another service has indexed: no corpus gap can be claimed.
            indexed=golden if spec is None else served.keys(),
            texts={p.passage_id: served.get(p.passage_id, p).text for p in gold},
            answers=answers,
            k=len(request.ranking) if spec is None else spec.context.k,
        )

    def _gold(self, request: Request) -> list[Passage]:
        gold = best_judged(self._judgments.get(request.question_id or "", {}))
        # Of a log's gold passages some are known by their ids alone.
        return [self._passages.get(name) or Passage(name, name, "") for name in gold]

    def _served(self, build_id: str) -> dict[str, Passage]:
        """Passages of a build; of the corpus as it is where the log names no build."""
        if build_id not in self._builds:
            passages = (
                load_build_passages(self._lake, build_ids(self._workspace, build_id))
                if build_id
                else load_passages(self._lake)
            )
            self._builds[build_id] = {p.passage_id: p for p in passages}
        return self._builds[build_id]

    def _can_retrieve(self, request: Request) -> bool:
        told = not is_hidden(request.question)
        return bool(request.build_id) and told and self._spec is not None

    def _deeper(self, request: Request) -> Callable[[], Retrieval] | None:
        if not self._can_retrieve(request):
            return None
        return lambda: self._retriever(request.build_id, DEEPER).retrieve(
            request.question, only=filter_of(request)
        )

    def _retriever(self, build_id: str, deeper: int = 1) -> Retriever:
        """Over a build, with so many times the candidates of the spec."""
        key = (build_id, deeper)
        if key not in self._retrievers:
            assert self._spec is not None
            spec = with_depth(self._spec, deeper * self._spec.candidates.depth)
            if build_id not in self._indexes:
                self._indexes[build_id] = load_index(self._workspace, build_id, self._spec)
            self._retrievers[key] = HybridRetriever(self._indexes[build_id], spec)
        return self._retrievers[key]

    @cached_property
    def _rare_overlap(self) -> float | None:
        return rare_overlap(self._lake, self._passages)


def with_depth(spec: Spec, depth: int) -> Spec:
    """The same search with so many candidates of each path, as far as a spec allows."""
    candidates = spec.candidates.model_copy(update={"depth": min(depth, MOST_CANDIDATES)})
    return spec.model_copy(update={"candidates": candidates})


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
