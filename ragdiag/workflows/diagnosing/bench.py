"""What diagnosing a version needs within reach: gold, and the builds that served it."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property

from ragdiag.diagnosis.arms import arm_contexts, find_misleading, oracle_order
from ragdiag.diagnosis.replay import outcomes
from ragdiag.diagnosis.second_level import split_cause
from ragdiag.diagnosis.tiers import NO_SIGNS, Signs
from ragdiag.diagnosis.verdicts import judge, supports
from ragdiag.diagnosis.waterfall import Loss, is_reranked_short, locate_loss
from ragdiag.metrics.answers import grade_answer
from ragdiag.metrics.contradictions import find_contradiction
from ragdiag.metrics.ranking import best_judged
from ragdiag.pipeline import Retriever
from ragdiag.privacy.hiding import NOT_STORED, is_hidden
from ragdiag.records import (
    DEFAULT_GRADER,
    RANKED_STAGES,
    Answer,
    Diagnosis,
    Grade,
    Passage,
    Replay,
    Request,
)
from ragdiag.retrieval.filters import filter_of, lets_through
from ragdiag.retrieval.packing import Packer
from ragdiag.retrieval.text import load_tokenizer
from ragdiag.settings import Workspace
from ragdiag.store.corpus import (
    load_gold_answers,
    load_judgments,
    load_passages_by_id,
    removed_passages,
)
from ragdiag.store.deciding import overrule
from ragdiag.store.findings import find_grade
from ragdiag.store.gold_marks import gold_mark
from ragdiag.store.lake import Lake
from ragdiag.store.logged_passages import load_logged_passages
from ragdiag.version import LoggedVersion, Version
from ragdiag.workflows.diagnosing.replays import Job, Replays
from ragdiag.workflows.diagnosing.scenes import (
    Evidence,
    Examination,
    others_agree,
    rare_overlap,
    scene_of,
)
from ragdiag.workflows.diagnosing.signs import SignReader
from ragdiag.workflows.indexing.served_builds import ServedBuilds, served_context


class Bench:
    """Examines requests of one version; each part is loaded once, when first needed.

    Without a spec (another service's log), and of a build that was pruned, nothing is replayed, and
    no corpus gap is claimed.
    """

    def __init__(self, lake: Lake, workspace: Workspace, version: Version | LoggedVersion) -> None:
        self._lake = lake
        self._spec = version.spec
        self._judgments = load_judgments(lake)
        self._answers = load_gold_answers(lake)
        gold = {p for judged in self._judgments.values() for p in best_judged(judged)}
        known = load_passages_by_id(lake, gold)
        # Building the index again brings back what it lacks, but nothing that was removed.
        self._held = frozenset(known) - removed_passages(lake, list(known))
        found = {**load_logged_passages(lake, gold), **known}
        self._passages = {name: _readable(passage) for name, passage in found.items()}
        self._builds = ServedBuilds(lake, workspace, version.spec)
        self._signs = SignReader(lake)

    def over(self, build_id: str, passages: Mapping[str, Passage], retriever: Retriever) -> Bench:
        """The same bench for requests that another system served: a build of these passages and
        this retriever. Its generator is asked by :meth:`Replays.over`."""
        other = copy.copy(self)
        other._builds = self._builds.with_build(build_id, passages, retriever)
        other._signs = self._signs.anew()
        return other

    def passages_of(self, build_id: str) -> dict[str, Passage]:
        """The passages of a build; the corpus as it is where the log names no build."""
        return dict(self._builds.passages(build_id))

    def evidence(self, request: Request) -> Evidence:
        """Everything that the workspace knows about the question, and what its user said."""
        answers = tuple(self._answers.get(request.question_id or "", ()))
        reported = None if answers else self._signs.reported(request)
        gold, withheld = self._seen_and_withheld(request)
        # Where what is withheld does not answer either, the label itself is in doubt.
        answered = supports([passage.text for passage in withheld], answers)
        if answered and not Evidence(gold, answers).gold_supported:
            gold, withheld = (), gold + withheld
        return Evidence(gold, answers, reported=reported, withheld=withheld)

    def grade(self, request: Request, answer: Answer, evidence: Evidence | None = None) -> Grade:
        """The default grade; of an answer that is not stored the one it got while it was told."""
        if is_hidden(answer.text):
            unknown = Grade(request.request_id, DEFAULT_GRADER, None, None, "error", NOT_STORED)
            return find_grade(self._lake, request.request_id) or unknown
        known = self._answers.get(request.question_id or "")
        golds = known if evidence is None else evidence.answers
        return grade_answer(request.request_id, answer.text, answer.status, golds)

    def look_at(
        self, request: Request, grade: Grade, evidence: Evidence | None = None
    ) -> Examination:
        """Where the gold was lost, from ``evidence`` alone (default: everything that is known);
        nothing is asked of a generator."""
        known = self.evidence(request) if evidence is None else evidence
        served = self._builds.passages(request.build_id)
        whole, loss = self._locate(request, known.gold, known.answers)
        if known.withheld and not known.gold:
            loss = replace(loss, cause="gold_withheld")
        return Examination(request, whole, grade, loss, known, served_context(request, served))

    def job(self, seen: Examination) -> Job | None:
        """The arms to replay; None where a replay can show nothing. Of an answer that was right by
        luck only whether it needs a context at all is asked."""
        request, gold = seen.request, seen.known.gold
        if self._spec is None or not self._builds.is_known(request.build_id):
            return None
        if is_hidden(request.question) or not seen.known.may_replay:
            return None
        if seen.grade.status == "no_gold":  # a person's label, but nothing to grade a replay by
            return None
        if seen.grade.y == 1:
            lucky = seen.loss.cause not in ("in_context", "gold_unknown", "gold_withheld")
            return (request, {"none": ()}) if lucky and len(seen.context) else None
        if seen.grade.y != 0 or not gold or not all(passage.text for passage in gold):
            return None
        golden = {passage.passage_id for passage in gold}
        served = self._builds.passages(request.build_id)
        order = [hit for hit in oracle_order(seen.whole, golden) if hit.passage_id in served]
        packer = Packer(served, self._spec.context, load_tokenizer())
        misleading = (
            find_misleading(request.answer, seen.context, golden)
            if seen.loss.cause == "in_context" and request.status == "ok"
            else None
        )
        contexts = arm_contexts(
            seen.context,
            gold,
            oracle=packer.pack(order),
            misleading=misleading,
            is_partial=seen.loss.missing is not None,
        )
        return request, contexts

    def examine(
        self,
        request: Request,
        grade: Grade,
        replays: Replays | None,
        evidence: Evidence | None = None,
    ) -> tuple[Diagnosis | None, list[Replay]]:
        """The verdict on one request, with the draws it rests on, from ``evidence`` as in
        :meth:`look_at`; no verdict where the budget ended before all draws were had. Without
        ``replays`` nothing is asked."""
        seen = self.look_at(request, grade, evidence)
        job = None if replays is None else self.job(seen)
        draws: list[Replay] = []
        if job is not None and replays is not None:
            replayed = replays.replay(job, lambda answer: self._grade_replay(seen, answer))
            draws = list(replayed.draws)
            if not replayed.complete:
                return None, draws
        return self._judge(seen, draws), draws

    def _grade_replay(self, seen: Examination, answer: Answer) -> Grade:
        """The default grade; of the very answer that was logged, what people or a judge say."""
        graded, logged = self.grade(seen.request, answer, seen.known), seen.request
        same = (answer.text, answer.status) == (logged.answer, logged.status)
        return overrule(graded, seen.grade) if same else graded

    def sufficiency_features(self, request: Request) -> tuple[float, ...] | None:
        """What the sufficiency of its context is estimated from; None where the texts of its
        context are not known."""
        return self._signs.features(request, self._builds.passages(request.build_id))

    def _judge(self, seen: Examination, draws: Sequence[Replay]) -> Diagnosis:
        request, gold, answers = seen.request, seen.known.gold, seen.known.answers
        found = judge(
            request,
            seen.grade,
            seen.loss,
            outcomes(draws),
            gold_supported=seen.known.gold_supported,
            contradicting_gold=find_contradiction(answers) is not None,
            others_agree=others_agree(draws),
            signs=self._read_signs(seen),
        )
        documents = sorted({passage.document_id for passage in gold})
        marked = (*gold, *seen.known.withheld)
        mark = gold_mark((passage.passage_id for passage in marked), answers)
        told = {
            **found.evidence,
            "n_gold": len(gold),
            "gold_documents": documents,
            "gold_mark": mark,
        }
        scene = scene_of(
            seen,
            draws,
            self._builds.passages(request.build_id),
            spec=self._spec,
            held=self._held,
            rare=self._rare_overlap,
            deeper=self._builds.deeper(request),
        )
        return split_cause(replace(found, evidence=told), scene)

    def _read_signs(self, seen: Examination) -> Signs:
        """Only where a gold passage or a gold answer is missing, and only what the tier needs."""
        request, known = seen.request, seen.known
        if seen.grade.y == 1:
            return NO_SIGNS
        served = self._builds.passages(request.build_id)
        if seen.grade.status == "no_gold":
            reported = known.reported if seen.grade.y is None else seen.grade.y == 0
            if known.gold or known.withheld or is_hidden(request.question):
                return Signs(reported=reported)
            return self._signs.without_gold(request, served, reported)
        if known.gold or known.withheld or is_hidden(request.question):
            return NO_SIGNS
        held = self._signs.holders(request, served, known.answers)
        if not held:
            return NO_SIGNS
        return Signs(answer_at=self._locate(request, held, known.answers)[1].cause)

    def _locate(
        self, request: Request, gold: Sequence[Passage], answers: Sequence[str]
    ) -> tuple[Request, Loss]:
        """The loss, and the request with whole lists where its log ended before the gold."""
        spec, served = self._spec, self._builds.passages(request.build_id)
        golden = {passage.passage_id for passage in gold}
        is_known = self._builds.is_known(request.build_id)

        k = len(request.ranking) if spec is None else spec.context.k
        # Only the search is repeated for whole lists: what was reranked stays as short as its log.
        short = is_reranked_short(request, k)

        def locate(logged: Request) -> Loss:
            return locate_loss(
                logged,
                gold=golden,
                # Nobody knows what was indexed elsewhere or pruned: no corpus gap can be claimed.
                indexed=served.keys() if is_known else golden,
                texts={p.passage_id: served.get(p.passage_id, p).text for p in gold},
                answers=answers,
                k=k,
                short=short,
            )

        loss = locate(request)
        if loss.cause != "beyond_logged_depth":
            return request, loss
        whole = self._builds.whole(request)
        return whole, locate(whole)

    def _gold(self, request: Request) -> tuple[Passage, ...]:
        gold = best_judged(self._judgments.get(request.question_id or "", {}))
        # Of a log's gold passages some are known by their ids alone.
        return tuple(self._passages.get(name) or Passage(name, name, "") for name in gold)

    def _seen_and_withheld(
        self, request: Request
    ) -> tuple[tuple[Passage, ...], tuple[Passage, ...]]:
        """The gold passages, parted by whether whoever asked may see them. Of what another service
        answered nobody knows that, and what was found was seen."""
        gold = self._gold(request)
        if not self._builds.is_known(request.build_id):
            return gold, ()
        served, only = self._builds.passages(request.build_id), filter_of(request)
        lists = (getattr(request, stage) or () for stage in RANKED_STAGES)
        found = {hit.passage_id for hits in lists for hit in hits}
        seen = [
            one
            for one in gold
            if one.passage_id in found
            or lets_through(only, served.get(one.passage_id, one).metadata)
        ]
        return tuple(seen), tuple(one for one in gold if one not in seen)

    @cached_property
    def _rare_overlap(self) -> float | None:
        return rare_overlap(self._lake, self._passages)


def _readable(passage: Passage) -> Passage:
    """Without its text where that is not stored: the passage is known by its id alone."""
    return replace(passage, text="") if is_hidden(passage.text) else passage
