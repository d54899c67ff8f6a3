"""Settings tried on logged questions, each as a lever with its measured gain and time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ragdiag.diagnosis.levers import Lever, WorkRates
from ragdiag.diagnosis.tried_settings import Setting, settings_to_try
from ragdiag.progress import Progress, report
from ragdiag.records import Request
from ragdiag.retrieval.fusion_tuning import LABELS_NEEDED, FusionChoice, choose_alpha
from ragdiag.stats.paired import compare_paired
from ragdiag.version import FusionSpec, Spec
from ragdiag.workflows.comparing.compare_words import interval
from ragdiag.workflows.diagnosing.what_if import Outcome, WhatIf


@dataclass(frozen=True)
class Trial:
    """A version's requests with their judgments; those whose id is ``answered`` are answered anew
    under each setting. Requests of one owner (the document that answers them) belong together."""

    spec: Spec
    requests: Sequence[Request]
    owners: Sequence[str]
    answered: set[str]
    judgments: Mapping[str, Mapping[str, int]]
    rates: WorkRates


def tried_levers(bench: WhatIf, trial: Trial, progress: Progress | None = None) -> list[Lever]:
    """Every setting, and the learned weight of the paths where there are two and enough labels."""
    before = bench.run(trial.spec, trial.requests, trial.answered)
    timed = _retrieved_ms(bench, trial)
    settings = settings_to_try(trial.spec)
    choice = _weigh_paths(bench, trial)
    levers = []
    for number, setting in enumerate(settings, start=1):
        after = bench.run(setting.spec, trial.requests, trial.answered)
        levers.append(_lever(setting, before, after, trial, timed))
        report(progress, number / (len(settings) + 1), f"tried {setting.name}")
    if choice is not None:
        setting = _weighed(trial.spec, choice)
        after = bench.run(setting.spec, trial.requests, trial.answered)
        held_out = iter(choice.held_out)
        # The ranking gain is of weights chosen without the question; one weight serves answers.
        honest = [
            Outcome(next(held_out) if _judged(trial, request) else math.nan, one.y, one.ms)
            for request, one in zip(trial.requests, after, strict=True)
        ]
        levers.append(_lever(setting, before, honest, trial, timed))
    report(progress, 1.0, f"tried {len(levers)} settings")
    return levers


def _lever(
    setting: Setting,
    before: Sequence[Outcome],
    after: Sequence[Outcome],
    trial: Trial,
    timed: float,
) -> Lever:
    answers = compare_paired(
        [one.y for one in before], [one.y for one in after], clusters=trial.owners
    )
    ranking = compare_paired(
        [one.metric for one in before], [one.metric for one in after], clusters=trial.owners
    )
    asked = [n for n, one in enumerate(trial.requests) if one.request_id in trial.answered]
    anew = (setting.spec.candidates, setting.spec.fusion) != (
        trial.spec.candidates,
        trial.spec.fusion,
    )
    added = math.fsum(after[n].ms - before[n].ms for n in asked) / max(len(asked), 1)
    if trial.spec.reranker is not None and setting.spec.reranker is None:
        added -= _mean([one.latency_ms.get("rerank", math.nan) for one in trial.requests])
    return Lever(
        setting.name,
        setting.mends,
        "measured",
        answers.difference,
        trial.rates.setting,
        setting.toml,
        ranking_gain=ranking.difference,
        p=answers.p,
        added_ms=added - (timed if anew else 0.0),
        note=f"MRR@10 {interval(ranking.difference)}, n = {ranking.n}" if ranking.n else "",
    )


def _retrieved_ms(bench: WhatIf, trial: Trial) -> float:
    """What retrieving and reranking takes here and now as it is set, to hold other settings
    against; the log's own times are another machine's, or another hour's."""
    deeper = trial.spec.candidates.model_copy(update={"depth": trial.spec.candidates.depth + 1})
    almost = trial.spec.model_copy(update={"candidates": deeper})
    asked = [one for one in trial.requests if one.request_id in trial.answered]
    bench.run(almost, asked[:3], set())  # the first search of an index pays for opening it
    return _mean([one.ms for one in bench.run(almost, asked, set())])


def _weigh_paths(bench: WhatIf, trial: Trial) -> FusionChoice | None:
    spec = trial.spec
    judged = [request for request in trial.requests if _judged(trial, request)]
    if spec.embedder is None or spec.lexical is None or len(judged) < LABELS_NEEDED:
        return None
    fusion = FusionSpec(kind="convex", normalisation=spec.fusion.normalisation)
    retriever = bench.retriever(spec.model_copy(update={"fusion": fusion}))
    return choose_alpha([retriever.evidence(r.question, _relevant(trial, r)) for r in judged])


def _weighed(spec: Spec, choice: FusionChoice) -> Setting:
    alpha = round(choice.alpha, 2)
    fusion = FusionSpec(kind="convex", alpha=alpha, normalisation=spec.fusion.normalisation)
    return Setting(
        f"weight of the dense path learned: {alpha:g}",
        spec.model_copy(update={"fusion": fusion}),
        ("fusion_loss",),
        f'[fusion] kind = "convex", alpha = {alpha:g}',
    )


def _judged(trial: Trial, request: Request) -> bool:
    return bool(_relevant(trial, request))


def _relevant(trial: Trial, request: Request) -> set[str]:
    judged = trial.judgments.get(request.question_id or "", {})
    return {passage for passage, grade in judged.items() if grade > 0}


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return math.fsum(known) / len(known) if known else 0.0
