"""Fine-tuning as a lever: what this workspace's own runs gained, else the most that one can."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

from ragdiag.diagnosis.budget import Price
from ragdiag.diagnosis.levers import Lever, WorkRates
from ragdiag.errors import UnknownName
from ragdiag.records import Cause, Diagnosis, Estimate, Request, Verdict
from ragdiag.stats.clustered_rates import clustered_rate
from ragdiag.stats.paired import compare_paired
from ragdiag.store.lake import Lake
from ragdiag.store.results import find_build, find_version
from ragdiag.store.training_runs import RunKind, TrainingRun, list_runs
from ragdiag.training.runs import Change, RunFacts, facts_of
from ragdiag.version import Version
from ragdiag.workflows.comparing.compare import score_request
from ragdiag.workflows.comparing.compare_words import interval
from ragdiag.workflows.comparing.gate import request_cost, request_ms
from ragdiag.workflows.comparing.pairing import pair_evaluations
from ragdiag.workflows.diagnosing.lever_costs import Prices, added_ms, added_usd
from ragdiag.workflows.diagnosing.what_if import Outcome

UNRANKED = Estimate.undefined("not a ranking")
UNMEASURED = Estimate.undefined("no run of this version has measured it")


@dataclass(frozen=True, slots=True)
class _Trained:
    """What is tuned: by runs of which kinds, the verdict and causes that it may mend, and which
    failures those are in words; ``within``, of any cause or of these causes alone; ``late``, how
    late interaction is tuned, where that is another command."""

    name: str
    kinds: frozenset[RunKind]
    verdict: Verdict
    mends: tuple[str, ...]
    command: str
    failures: str
    within: frozenset[Cause] | None = None
    late: str | None = None

    def action(self, version: Version) -> str:
        reranker = version.spec.reranker
        is_late = reranker is not None and reranker.kind == "late_interaction"
        chosen = self.late if is_late and self.late else self.command
        return chosen.format(version=version.name)

    def may_mend(self, one: Diagnosis) -> bool:
        return one.verdict == self.verdict and (self.within is None or one.cause in self.within)

    def bound(self, waiting: int) -> str:
        failed = "the one failure" if waiting == 1 else f"all {waiting} failures"
        return f"a bound, if {failed} {self.failures} became right"


TRAINED = (
    _Trained(
        "retriever",
        frozenset({"retriever"}),
        "retrieval",
        ("recall_miss", "fusion_loss", "rerank_loss", "beyond_logged_depth"),
        "ragdiag tune retriever {version}",
        "that gold passages mend",
    ),
    _Trained(
        "reranker",
        frozenset({"reranker"}),
        "retrieval",
        ("fusion_loss", "rerank_loss"),
        "ragdiag tune reranker {version}",
        "whose gold passage was found and ranked too low",
        frozenset({"fusion_loss", "rerank_loss"}),
        "ragdiag tune late-interaction {version}",
    ),
    _Trained(
        "generator",
        frozenset({"reader", "generator"}),
        "generator",
        ("generator",),
        "ragdiag tune generator {version} --base FOLDER",
        "that gold passages do not mend",
    ),
)


@dataclass(frozen=True, slots=True)
class _Effect:
    """What a run's version changes: right answers, milliseconds a request, US dollars a million."""

    answers: Estimate
    p: float
    slower: Estimate
    dearer: Estimate
    documents: int | None = None

    @classmethod
    def unknown(cls, reason: str) -> _Effect:
        nothing = Estimate.undefined(reason)
        return cls(nothing, math.nan, nothing, nothing)


def training_levers(
    lake: Lake,
    version: Version,
    diagnoses: Sequence[Diagnosis],
    owners: Sequence[Hashable],
    rates: WorkRates,
    prices: Prices,
) -> list[Lever]:
    """Of the newest finished run that started from this version what it gained, on questions that
    it never learnt from; else the failures that it is meant for, as the most that fine-tuning can
    bring. ``owners`` say which questions belong together, in the order of ``diagnoses``."""
    levers = []
    for trained in TRAINED:
        waits = [trained.may_mend(one) for one in diagnoses]
        waiting, most = sum(waits), clustered_rate(waits, owners)
        ran = _newest(lake, version, trained)
        if ran is not None:
            levers.append(_from_run(lake, version, trained, *ran, most, waiting, rates, prices))
        elif waiting:
            levers.append(
                Lever(
                    f"fine-tune the {trained.name}",
                    trained.mends,
                    "ceiling",
                    most,
                    rates.training,
                    trained.action(version),
                    ranking_gain=UNMEASURED,
                    slower=UNMEASURED,
                    dearer=UNMEASURED,
                    note=f"{trained.bound(waiting)}; no run of this version has measured it: that "
                    "command does",
                )
            )
    return levers


def _newest(lake: Lake, version: Version, trained: _Trained) -> tuple[TrainingRun, RunFacts] | None:
    for run in list_runs(lake):
        if run.state == "done" and run.kind in trained.kinds:
            facts = facts_of(run)
            if facts.version == version.name and facts.measured:
                return run, facts
    return None


def _from_run(
    lake: Lake,
    version: Version,
    trained: _Trained,
    run: TrainingRun,
    facts: RunFacts,
    most: Estimate,
    waiting: int,
    rates: WorkRates,
    prices: Prices,
) -> Lever:
    effect = _effect(lake, version, facts, prices)
    ranking = _change(facts, "MRR@10")
    measured = not math.isnan(effect.answers.value)
    notes = [_told(run, facts)]
    if not measured:
        notes.append(f"{trained.bound(waiting)}: {effect.answers.reason}")
    return Lever(
        f"fine-tune the {trained.name}",
        trained.mends,
        "measured" if measured else "ceiling",
        effect.answers if measured else most,
        rates.setting,
        _adopt(run, facts),
        ranking_gain=UNRANKED if ranking is None else ranking.difference,
        p=effect.p,
        slower=effect.slower,
        dearer=effect.dearer,
        note="; ".join(notes),
        documents=effect.documents,
    )


def _effect(lake: Lake, version: Version, facts: RunFacts, prices: Prices) -> _Effect:
    """By the evaluations of both versions on the split that the run was tested on, and was not
    trained on; right answers as the run wrote them down, where it did."""
    told = _evaluated(lake, version, facts, prices)
    correct = _change(facts, "correct")
    if correct is None:
        return told
    p = math.nan if correct.p is None else correct.p
    return replace(told, answers=correct.difference, p=p, documents=None)


def _evaluated(lake: Lake, version: Version, facts: RunFacts, prices: Prices) -> _Effect:
    learn = facts.options.get("learn")
    test = learn.get("test") if isinstance(learn, Mapping) else None
    if not test or facts.candidate is None:
        return _Effect.unknown("the run does not say on what split it was tested")
    try:
        tuned = find_version(lake, facts.candidate.version_id)
        paired = pair_evaluations(lake, version, tuned, test)
        before, after, owners = paired.first, paired.second, paired.owners
        builds = {one.build_id for one in (*before.values(), *after.values())}
        corpora = {find_build(lake, build_id).corpus_hash for build_id in builds}
    except UnknownName as error:
        return _Effect.unknown(str(error))
    if len(corpora) > 1:
        return _Effect.unknown(
            f"the corpus has changed between the evaluations of {version.name} and {tuned.name} on "
            f"{test}; evaluate both again"
        )
    old, new = (
        [_outcome(side[name], paired.judgments, paired.golds) for name in paired.questions]
        for side in (before, after)
    )
    answers = compare_paired([one.y for one in old], [one.y for one in new], clusters=owners)
    return _Effect(
        answers.difference,
        answers.p,
        added_ms(old, new, owners),
        added_usd(old, new, owners, prices, replace(prices, paid=_is_paid(tuned))),
        answers.clusters,
    )


def _is_paid(version: Version) -> bool:
    return Price.of(version.spec.generator) is not None


def _outcome(
    request: Request,
    judgments: Mapping[str, Mapping[str, int]],
    golds: Mapping[str, Sequence[str]],
) -> Outcome:
    scores = score_request(request, judgments, golds)
    generation = request.latency_ms.get("generation", 0.0)
    return Outcome(
        scores["MRR@10"],
        scores["correct"],
        request_ms(request) - generation,
        generation,
        request_cost(request),
    )


def _change(facts: RunFacts, metric: str) -> Change | None:
    return next((one for one in facts.measured[0].changes if one.metric == metric), None)


def _adopt(run: TrainingRun, facts: RunFacts) -> str:
    if facts.candidate is None or facts.gate is None or facts.gate.decision != "pass":
        return f"see: ragdiag tune show {run.run_id}"
    return f"ragdiag deploy canary {facts.candidate.name}"


def _told(run: TrainingRun, facts: RunFacts) -> str:
    first = facts.measured[0].changes[0]
    moved, cost = first.difference, facts.cost
    parts = [
        f"run {run.run_id}: {first.metric} {interval(moved)}, n = {moved.n}, on "
        f"{facts.measured[0].name}"
    ]
    if facts.gate is not None:
        parts.append(f"gate: {facts.gate.decision}")
    if cost is not None:
        parts.append(f"trained in {cost.wall_s / 60:.0f} min")
    return ", ".join(parts)
