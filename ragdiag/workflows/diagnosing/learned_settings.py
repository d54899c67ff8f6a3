"""Settings that the judged questions teach: the weight of two paths, and late interaction.

The ranking gain of one is of questions that had no say in it; its answers are of the setting that
all of them chose.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from ragdiag.diagnosis.levers import Lever
from ragdiag.diagnosis.tried_settings import Setting
from ragdiag.errors import InputError, ModelError
from ragdiag.progress import Progress
from ragdiag.records import Request
from ragdiag.retrieval.fusion_tuning import LABELS_NEEDED, choose_alpha
from ragdiag.retrieval.late_interaction import encode_for_reranking
from ragdiag.retrieval.rerank_tuning import (
    RerankEvidence,
    choose_reranking,
    depths_up_to,
)
from ragdiag.settings import Workspace
from ragdiag.version import FusionSpec, RerankerSpec, Spec
from ragdiag.workflows.diagnosing.trials import EMBEDDED, Trial, Tried, untried
from ragdiag.workflows.diagnosing.what_if import WhatIf
from ragdiag.workflows.weighing.weigh_reranker import with_setting


def learned_settings(
    what_if: WhatIf, trial: Trial, workspace: Workspace, progress: Progress | None = None
) -> Iterator[Tried | Lever]:
    """Those that the version leaves room for; of one that cannot be tried, the lever that says
    why."""
    spec = trial.spec

    def tried(name: str, mends: tuple[str, ...], learn: Callable[[], Tried]) -> Tried | Lever:
        try:
            return learn()
        except (InputError, ModelError) as error:
            return untried(name, mends, error, trial)

    if spec.embedder is not None and spec.lexical is not None:
        yield tried(
            "weight of the dense path learned",
            ("fusion_loss",),
            lambda: _weight_of_paths(what_if, trial),
        )
    if spec.embedder is not None and spec.reranker is None:
        yield tried(
            "reranking by late interaction",
            ("fusion_loss", "rerank_loss"),
            lambda: _late_interaction(what_if, trial, workspace, progress),
        )


def _weight_of_paths(what_if: WhatIf, trial: Trial) -> Tried:
    """Raises InputError where too few questions are judged to learn it from."""
    judged = _judged(trial, "judge {needed}, or name a weight: --set alpha=0.6")
    fusion = FusionSpec(kind="convex", normalisation=trial.spec.fusion.normalisation)
    retriever = what_if.retriever(trial.spec.model_copy(update={"fusion": fusion}))
    evidence = [retriever.evidence(r.question, trial.relevant(r)) for r in judged]
    choice = choose_alpha(evidence, _owners(trial))
    alpha = round(choice.alpha, 2)
    setting = Setting(
        f"weight of the dense path learned: {alpha:g}",
        trial.spec.model_copy(update={"fusion": fusion.model_copy(update={"alpha": alpha})}),
        ("fusion_loss",),
        f'[fusion] kind = "convex", alpha = {alpha:g}',
    )
    return _tried(setting, choice.held_out, what_if, trial)


def _late_interaction(
    what_if: WhatIf, trial: Trial, workspace: Workspace, progress: Progress | None
) -> Tried:
    """Of the embedder's own word pieces, which the workspace keeps. Raises InputError where there
    are too many passages or too few judged questions, or no mix is worth it; ModelError."""
    judged = _judged(trial, "judge {needed}")
    passages = what_if.passages
    if len(passages) > EMBEDDED:
        raise InputError(
            f"{len(passages):,} passages are more than {EMBEDDED:,}, up to which their words are "
            "encoded unasked",
            remedy="give a version a [reranker] of late interaction, and compare",
        )
    reranker = _reranker(trial.spec)
    encode_for_reranking(passages, reranker, workspace, progress)
    evidence = [_evidence(what_if, trial, reranker, request) for request in judged]
    choice = choose_reranking(evidence, depths_up_to(reranker.depth), _owners(trial))
    chosen = choice.setting
    if not chosen.depth:
        raise InputError(
            f"no mix of it orders {choice.n} judged questions better", remedy="leave it out"
        )
    setting = Setting(
        f"reranking by late interaction, first {chosen.depth}",
        with_setting(trial.spec.model_copy(update={"reranker": reranker}), chosen),
        ("fusion_loss", "rerank_loss"),
        f'[reranker] kind = "late_interaction", model = "{reranker.model}", then: '
        "ragdiag reranker tune",
    )
    return _tried(setting, choice.held_out, what_if, trial)


def _evidence(
    what_if: WhatIf, trial: Trial, reranker: RerankerSpec, request: Request
) -> RerankEvidence:
    relevant = trial.relevant(request)
    return RerankEvidence(
        logits=np.array(what_if.logits(reranker, request)),
        fused=np.array([hit.score for hit in request.fused]),
        relevant=np.array([hit.passage_id in relevant for hit in request.fused]),
    )


def _reranker(spec: Spec) -> RerankerSpec:
    assert spec.embedder is not None
    own = spec.embedder
    return RerankerSpec(
        kind="late_interaction", model=own.model, adapter=own.adapter, max_tokens=own.max_tokens
    )


def _tried(setting: Setting, held_out: Sequence[float], what_if: WhatIf, trial: Trial) -> Tried:
    found = what_if.find(setting.spec, trial.requests, trial.to_answer)
    honest = iter(held_out)
    return Tried(
        setting,
        [
            replace(one, metric=next(honest) if trial.relevant(request) else math.nan)
            for request, one in zip(trial.requests, found, strict=True)
        ],
    )


def _owners(trial: Trial) -> list[str]:
    """Of the judged requests, in their order."""
    requests = zip(trial.requests, trial.owners, strict=True)
    return [owner for request, owner in requests if trial.relevant(request)]


def _judged(trial: Trial, remedy: str) -> list[Request]:
    judged = [request for request in trial.requests if trial.relevant(request)]
    if len(judged) < LABELS_NEEDED:
        raise InputError(
            f"{len(judged)} judged questions are too few to learn it from",
            remedy=remedy.format(needed=LABELS_NEEDED),
        )
    return judged
