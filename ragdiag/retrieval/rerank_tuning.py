"""How deep a reranker reads and how much it says, chosen from judged questions.

Candidates are no reranker at all, and every weight of WEIGHTS at every depth of DEPTHS that the
version reads. The one-standard-error rule (Breiman et al. 1984) takes the cheapest whose loss
against the best is within one standard error of that difference, question by question: the
shallowest, and of one depth the best. A reranker that gains no more than that is left out. What
the choice is worth is measured by cross-validation around it: probabilities are calibrated, and
weight and depth chosen, without the fold's questions. Within a fold the calibration sees the
questions that weight and depth are chosen from; its two numbers have thousands of pairs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ragdiag.retrieval.calibration import fit_platt
from ragdiag.retrieval.rerank import shares
from ragdiag.stats.paired import PairedComparison, compare_paired

Floats = npt.NDArray[np.float64]

WEIGHTS: Floats = np.linspace(0.1, 1.0, 10).round(2)
DEPTHS = (10, 20, 30, 50, 100, 200, 500, 1000)
FOLDS = 5
LABELS_NEEDED = 50
"""Judged questions below which nothing is learned: the cross-encoder alone needs none."""

CUT = 10


@dataclass(frozen=True)
class RerankEvidence:
    """One question's fused list: the scores and whether each passage is relevant, both (n,), and
    the cross-encoder's logits of the head, (m,) with m ≤ n."""

    logits: Floats
    fused: Floats
    relevant: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class RerankSetting:
    """``depth`` 0 is no reranker; probabilities are σ(slope·logit + offset)."""

    depth: int
    weight: float
    slope: float = 1.0
    offset: float = 0.0


@dataclass(frozen=True)
class RerankChoice:
    """The setting chosen from all questions, and what choosing so is worth on questions that had
    no say: ``against_none`` and ``against_alone`` compare it (as B) with no reranker and with the
    cross-encoder alone at the full depth (as A), MRR@10. ``folds`` are what each fold chose."""

    setting: RerankSetting
    n: int
    folds: Sequence[RerankSetting]
    against_none: PairedComparison
    against_alone: PairedComparison


def choose_reranking(evidence: Sequence[RerankEvidence], depth: int, seed: int = 0) -> RerankChoice:
    """``depth`` is how far the version's reranker reads. Raises ValueError below LABELS_NEEDED
    questions."""
    n = len(evidence)
    if n < LABELS_NEEDED:
        raise ValueError(f"{n} judged questions, and {LABELS_NEEDED} are needed")
    depths = [d for d in DEPTHS if d < depth] + [depth]
    folds = np.random.default_rng(seed).permutation(n) % FOLDS
    none = np.array([reciprocal_rank_at(one, RerankSetting(0, 1.0)) for one in evidence])
    alone = np.array([reciprocal_rank_at(one, RerankSetting(depth, 1.0)) for one in evidence])
    chosen = np.empty(n)
    found = []
    for fold in range(FOLDS):
        own = _choose([evidence[at] for at in np.flatnonzero(folds != fold).tolist()], depths)
        found.append(own)
        for at in np.flatnonzero(folds == fold).tolist():
            chosen[at] = reciprocal_rank_at(evidence[at], own)
    return RerankChoice(
        setting=_choose(evidence, depths),
        n=n,
        folds=found,
        against_none=compare_paired(none.tolist(), chosen.tolist()),
        against_alone=compare_paired(alone.tolist(), chosen.tolist()),
    )


def reciprocal_rank_at(evidence: RerankEvidence, setting: RerankSetting) -> float:
    """RR@10 of one question as :class:`ragdiag.retrieval.rerank.Reranker` would order it."""
    weights = np.array([setting.weight])
    return float(_reciprocal_ranks(evidence, setting, setting.depth, weights)[0])


def _choose(evidence: Sequence[RerankEvidence], depths: Sequence[int]) -> RerankSetting:
    none = RerankSetting(0, 1.0)
    logits = [value for one in evidence for value in one.logits.tolist()]
    relevant = [v for one in evidence for v in one.relevant[: len(one.logits)].tolist()]
    try:
        slope, offset = fit_platt(logits, relevant)
    except ValueError:  # its logits do not tell relevant passages from others
        return none
    fitted = RerankSetting(0, 1.0, slope, offset)
    columns = [_reciprocal_ranks_of(evidence, fitted, 0, WEIGHTS[:1])]
    columns += [_reciprocal_ranks_of(evidence, fitted, depth, WEIGHTS) for depth in depths]
    settings = [none]
    settings += [RerankSetting(d, w, slope, offset) for d in depths for w in WEIGHTS.tolist()]
    return settings[_cheapest_within(np.hstack(columns), [one.depth for one in settings])]


def _cheapest_within(scores: Floats, depths: Sequence[int]) -> int:
    """The column of ``scores`` (n, candidates) that the one-standard-error rule takes."""
    means = scores.mean(axis=0)
    losses = scores[:, [int(means.argmax())]] - scores
    errors = losses.std(axis=0, ddof=1) / math.sqrt(len(scores))
    within = np.flatnonzero(losses.mean(axis=0) <= errors).tolist()
    shallowest = min(depths[at] for at in within)
    return int(max((at for at in within if depths[at] == shallowest), key=lambda at: means[at]))


def _reciprocal_ranks_of(
    evidence: Sequence[RerankEvidence], fitted: RerankSetting, depth: int, weights: Floats
) -> Floats:
    return np.stack([_reciprocal_ranks(one, fitted, depth, weights) for one in evidence])


def _reciprocal_ranks(
    evidence: RerankEvidence, fitted: RerankSetting, depth: int, weights: Floats
) -> Floats:
    """RR@10 with the first ``depth`` hits reordered, (w,) for each of ``weights``."""
    logits, gold = evidence.logits[:depth], np.flatnonzero(evidence.relevant)
    share = np.array(shares(evidence.fused[:depth].tolist()))[: len(logits)]
    behind = (gold[gold >= len(logits)] + 1).tolist()
    best = np.full(len(weights), min(behind, default=math.inf))
    z = fitted.slope * logits + fitted.offset
    probability = (0.5 * (1.0 + np.tanh(0.5 * z))).astype(np.float32)
    mix = weights[:, None] * probability + (1 - weights[:, None]) * share
    values = np.where(weights[:, None] == 1.0, logits, mix.astype(np.float32))
    for at in gold[gold < len(logits)]:
        own = values[:, at : at + 1]
        ahead = (values > own).sum(axis=1) + (values[:, :at] == own).sum(axis=1)
        best = np.minimum(best, ahead + 1)
    return np.where(best <= CUT, 1.0 / best, 0.0)
