"""Grade, locate and replay a version's requests, and keep a verdict with its evidence for each.

Resumable: work is saved every BATCH requests, and a request that has a verdict is not replayed
again unless asked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any

from ragdiag.diagnosis.headroom import headroom
from ragdiag.diagnosis.replay import arm_contexts, outcomes, replay
from ragdiag.diagnosis.verdicts import judge, supports
from ragdiag.diagnosis.waterfall import Loss, locate_loss
from ragdiag.errors import UnknownName
from ragdiag.generation.generator import Generator, load_generator
from ragdiag.metrics.answers import grade_answer
from ragdiag.pipeline import Retriever, context_of
from ragdiag.progress import Progress, report
from ragdiag.records import (
    Answer,
    Cause,
    Diagnosis,
    Estimate,
    Grade,
    Hit,
    Passage,
    Replay,
    Request,
    Verdict,
)
from ragdiag.retrieval.builds import build_ids, load_index
from ragdiag.retrieval.hybrid import HybridRetriever
from ragdiag.settings import Workspace
from ragdiag.stats.intervals import wilson
from ragdiag.store.corpus import (
    load_build_passages,
    load_gold_answers,
    load_judgments,
    load_passages,
    load_passages_by_id,
)
from ragdiag.store.findings import load_diagnoses, load_replays
from ragdiag.store.lake import Lake
from ragdiag.store.results import load_requests, save_diagnoses, save_grades, save_replays
from ragdiag.version import Version

BATCH = 100


@dataclass(frozen=True)
class DiagnosisSummary:
    """The verdicts over one scope; counts are over failed requests."""

    version: Version
    n: int
    failures: int
    causes: Mapping[Cause, int]
    verdicts: Mapping[Verdict, int]
    fixes: Mapping[str, int]
    undetermined: Estimate
    headroom: Mapping[str, Estimate]

    def to_json(self) -> dict[str, Any]:
        return {
            "version": self.version.name,
            "n": self.n,
            "failures": self.failures,
            "causes": dict(self.causes),
            "verdicts": dict(self.verdicts),
            "verified_fixes": dict(self.fixes),
            "undetermined": self.undetermined.to_json(),
            "headroom": {name: value.to_json() for name, value in self.headroom.items()},
        }

    def to_text(self) -> str:
        lines = [f"{self.failures} of {self.n} requests failed"]
        for title, counts in (
            ("verdict", self.verdicts),
            ("lost at", self.causes),
            ("mended by", self.fixes),
        ):
            ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
            lines += [f"{title:10} {name:20} {count}" for name, count in ordered]
        tau = self.headroom["tau"]
        if tau.reason is None:
            lines.append(
                f"perfect retrieval would mend {tau.value:.1%} of the failures"
                f" ({tau.low:.1%}–{tau.high:.1%}, n = {tau.n})"
            )
        return "\n".join(lines)


def diagnose(
    lake: Lake,
    workspace: Workspace,
    version: Version,
    *,
    split: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    again: bool = False,
    progress: Progress | None = None,
) -> DiagnosisSummary:
    """Diagnose the latest evaluation of ``split``, or else the production traffic of a window.

    Raises UnknownName where the scope holds no request.
    """
    requests = _scope(lake, version, split, since, until)
    done = set() if again else set(load_diagnoses(lake, [r.request_id for r in requests]))
    todo = [request for request in requests if request.request_id not in done]
    bench = _Bench(lake, workspace, version)
    report(progress, 0.0, f"{len(todo)} requests to diagnose, {len(done)} done before")
    for start in range(0, len(todo), BATCH):
        _diagnose_batch(lake, bench, todo[start : start + BATCH])
        finished = min(start + BATCH, len(todo))
        report(progress, finished / len(todo), f"diagnosed {finished} of {len(todo)}")
    return summarise(lake, version, requests)


def summarise(lake: Lake, version: Version, requests: Sequence[Request]) -> DiagnosisSummary:
    """Count what the store holds about ``requests``."""
    request_ids = [request.request_id for request in requests]
    diagnoses = load_diagnoses(lake, request_ids)
    failed = [found for found in diagnoses.values() if found.evidence.get("y") == 0]
    replays = load_replays(lake, [found.request_id for found in failed])
    verdicts = Counter(found.verdict for found in failed)
    return DiagnosisSummary(
        version=version,
        n=len(requests),
        failures=len(failed),
        causes=Counter(found.cause for found in failed),
        verdicts=verdicts,
        fixes=Counter(found.verified_fix for found in failed if found.verified_fix),
        undetermined=wilson(verdicts["undetermined"], len(failed)),
        headroom=headroom([outcomes(draws) for draws in replays.values()]),
    )


def _scope(
    lake: Lake,
    version: Version,
    split: str | None,
    since: datetime | None,
    until: datetime | None,
) -> list[Request]:
    asked = load_requests(
        lake,
        version_id=version.version_id,
        traffic="production" if split is None else "evaluation",
        since=since,
        until=until,
        question_ids=None if split is None else list(load_judgments(lake, split)),
    )
    if split is not None:
        latest = {r.question_id: r for r in sorted(asked, key=lambda request: request.asked_at)}
        asked = list(latest.values())
    if not asked:
        where = f"evaluation of split {split!r}" if split else "production traffic in that window"
        remedy = f"run: ragdiag evaluate {version.name} --split {split or 'SPLIT'}"
        raise UnknownName(f"version {version.name} has no {where}", remedy=remedy)
    return asked


def _diagnose_batch(lake: Lake, bench: _Bench, batch: Sequence[Request]) -> None:
    grades, replays, diagnoses = [], [], []
    for request in batch:
        grade = bench.grade(request, Answer(request.answer, status=request.status))
        found, draws = bench.examine(request, grade)
        grades.append(grade)
        replays.extend(draws)
        diagnoses.append(found)
    save_grades(lake, grades)
    save_replays(lake, replays)
    # Last, since a verdict is what marks a request as done.
    save_diagnoses(lake, diagnoses)


class _Bench:
    """What diagnosing one version needs, loaded once: gold, generator, and each build it served."""

    def __init__(self, lake: Lake, workspace: Workspace, version: Version) -> None:
        self._lake = lake
        self._workspace = workspace
        self._spec = version.spec
        self._judgments = load_judgments(lake)
        self._answers = load_gold_answers(lake)
        self._passages = load_passages_by_id(lake, self._gold_ids())
        self._texts: dict[str, dict[str, str]] = {}
        self._retrievers: dict[str, Retriever] = {}

    def grade(self, request: Request, answer: Answer) -> Grade:
        golds = self._answers.get(request.question_id or "")
        return grade_answer(request.request_id, answer.text, answer.status, golds)

    def examine(self, request: Request, grade: Grade) -> tuple[Diagnosis, list[Replay]]:
        """The verdict on one request, with the draws it rests on (none for a success)."""
        gold = self._gold(request)
        answers = self._answers.get(request.question_id or "", ())
        served = self._served(request.build_id)
        loss = self._locate(request, gold, answers, served)
        draws = []
        if grade.y == 0 and gold:
            contexts = arm_contexts(context_of(request, served), gold)
            draws = replay(
                request, contexts, self._generator, lambda answer: self.grade(request, answer)
            )
        supported = not gold or not answers or supports([p.text for p in gold], answers)
        return judge(request, grade, loss, outcomes(draws), gold_supported=supported), draws

    def _locate(
        self,
        request: Request,
        gold: Sequence[Passage],
        answers: Sequence[str],
        served: Mapping[str, str],
    ) -> Loss:
        def locate(logged: Request) -> Loss:
            return locate_loss(
                logged,
                gold={passage.passage_id for passage in gold},
                indexed=served.keys(),
                texts={p.passage_id: served.get(p.passage_id, p.text) for p in gold},
                answers=answers,
                k=self._spec.context.k,
            )

        loss = locate(request)
        if loss.cause != "beyond_logged_depth" or not request.build_id:
            return loss
        return locate(with_whole_lists(request, self._retriever(request.build_id)))

    @cached_property
    def _generator(self) -> Generator:
        return load_generator(self._spec.generator)

    def _gold_ids(self) -> list[str]:
        return sorted({p for judged in self._judgments.values() for p, g in judged.items() if g})

    def _gold(self, request: Request) -> list[Passage]:
        judged = self._judgments.get(request.question_id or "", {})
        relevant = sorted((-grade, passage_id) for passage_id, grade in judged.items() if grade)
        return [self._passages[p] for _, p in relevant if p in self._passages]

    def _served(self, build_id: str) -> dict[str, str]:
        """Texts by passage of a build; of the corpus as it is where the log names no build."""
        if build_id not in self._texts:
            passages = (
                load_build_passages(self._lake, build_ids(self._workspace, build_id))
                if build_id
                else load_passages(self._lake)
            )
            self._texts[build_id] = {p.passage_id: p.text for p in passages}
        return self._texts[build_id]

    def _retriever(self, build_id: str) -> Retriever:
        if build_id not in self._retrievers:
            index = load_index(self._workspace, build_id, self._spec)
            self._retrievers[build_id] = HybridRetriever(index, self._spec)
        return self._retrievers[build_id]


def with_whole_lists(request: Request, retriever: Retriever) -> Request:
    """The request with the lists that its log cut off, retrieved again from the same build.

    Only where the logged part comes out the same: a path that was broken when it served must not
    be healed by looking again. Otherwise the request is returned as it is.
    """
    again = retriever.retrieve(request.question)
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
