"""How deep a reranker reads and how much it says, chosen from judged questions.

Candidates are no reranker at all, and every weight of WEIGHTS on either scale at every depth of
DEPTHS that the version reads. The one-standard-error rule (Breiman et al. 1984) takes the cheapest
whose loss against the best is within one standard error of that difference, question by question:
the shallowest, and of one depth the best. A reranker that gains no more than that is left out. What
the choice is worth is measured by cross-validation around it: probabilities are calibrated, and
weight, scale and depth chosen, without the fold's questions and others about their documents.
Within a fold the calibration sees the questions that these are chosen from; its two numbers have
thousands of pairs.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from ragdiag.retrieval.calibration import fit_platt
from ragdiag.retrieval.rerank import shares
from ragdiag.stats.held_out import compare_held_out, held_out_folds
from ragdiag.stats.paired import PairedComparison

Floats = npt.NDArray[np.float64]
Scale = Literal["probability", "log_odds"]

WEIGHTS: Floats = np.linspace(0.1, 1.0, 10).round(2)
DEPTHS = (10, 20, 30, 50, 100, 200, 500, 1000)
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
    scale: Scale = "probability"


@dataclass(frozen=True)
class RerankChoice:
    """The setting chosen from all questions, and what choosing so is worth on questions that had
    no say: ``held_out`` is each question's RR@10 under the setting of other folds, ``against_none``
    and ``against_alone`` compare it (as B) with no reranker and with the reranker alone at the full
    depth (as A), MRR@10. ``folds`` are what each fold chose. With fewer than five clusters nothing
    can be held out: it is NaN, and there are no ``folds``."""

    setting: RerankSetting
    n: int
    folds: Sequence[RerankSetting]
    held_out: Sequence[float]
    against_none: PairedComparison
    against_alone: PairedComparison


def depths_up_to(depth: int) -> list[int]:
    """Those of DEPTHS below ``depth``, and it.

    >>> depths_up_to(25)
    [10, 20, 25]
    """
    return [shallower for shallower in DEPTHS if shallower < depth] + [depth]


def choose_reranking(
    evidence: Sequence[RerankEvidence],
    depths: Sequence[int],
    clusters: Sequence[Hashable] | None = None,
    seed: int = 0,
) -> RerankChoice:
    """Among no reranker and ``depths``, of which the largest is how far the version's reranker
    reads. ``clusters`` name which questions belong together (held_out.py), without them none do;
    they change what the choice is said to be worth, not the choice. Raises ValueError below
    LABELS_NEEDED questions."""
    n = len(evidence)
    if n < LABELS_NEEDED:
        raise ValueError(f"{n} judged questions, and {LABELS_NEEDED} are needed")
    owners = range(n) if clusters is None else clusters
    none = np.array([reciprocal_rank_at(one, RerankSetting(0, 1.0)) for one in evidence])
    alone = np.array([reciprocal_rank_at(one, RerankSetting(max(depths), 1.0)) for one in evidence])
    chosen = np.full(n, math.nan)
    found = []
    for held in held_out_folds(owners, seed):
        own = _choose([evidence[at] for at in np.flatnonzero(~held).tolist()], depths)
        found.append(own)
        for at in np.flatnonzero(held).tolist():
            chosen[at] = reciprocal_rank_at(evidence[at], own)
    return RerankChoice(
        setting=_choose(evidence, depths),
        n=n,
        folds=found,
        held_out=chosen.tolist(),
        against_none=compare_held_out(none.tolist(), chosen.tolist(), owners),
        against_alone=compare_held_out(alone.tolist(), chosen.tolist(), owners),
    )


def reciprocal_rank_at(evidence: RerankEvidence, setting: RerankSetting) -> float:
    """RR@10 of one question as :class:`ragdiag.retrieval.rerank.Reranker` would order it."""
    return float(_reciprocal_ranks(evidence, setting, np.array([setting.weight]))[0])


def _choose(evidence: Sequence[RerankEvidence], depths: Sequence[int]) -> RerankSetting:
    none = RerankSetting(0, 1.0)
    logits = [value for one in evidence for value in one.logits.tolist()]
    relevant = [v for one in evidence for v in one.relevant[: len(one.logits)].tolist()]
    try:
        slope, offset = fit_platt(logits, relevant)
    except ValueError:  # its logits do not tell relevant passages from others
        return none
    columns = [_reciprocal_ranks_of(evidence, none, WEIGHTS[:1])]
    settings = [none]
    mixes: list[tuple[Scale, Floats]] = [("probability", WEIGHTS), ("log_odds", WEIGHTS[:-1])]
    for scale, weights in mixes:
        for depth in depths:
            fitted = RerankSetting(depth, 1.0, slope, offset, scale)
            columns.append(_reciprocal_ranks_of(evidence, fitted, weights))
            settings += [replace(fitted, weight=weight) for weight in weights.tolist()]
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
    evidence: Sequence[RerankEvidence], fitted: RerankSetting, weights: Floats
) -> Floats:
    return np.stack([_reciprocal_ranks(one, fitted, weights) for one in evidence])


def _reciprocal_ranks(evidence: RerankEvidence, fitted: RerankSetting, weights: Floats) -> Floats:
    """RR@10 with the first hits reordered as ``fitted`` but for its weight, (w,) for each of
    ``weights``."""
    depth = fitted.depth
    logits, gold = evidence.logits[:depth], np.flatnonzero(evidence.relevant)
    own = fitted.slope * logits + fitted.offset
    if fitted.scale == "probability":
        own = (0.5 * (1.0 + np.tanh(0.5 * own))).astype(np.float32)
    fused = np.array(shares(evidence.fused[:depth].tolist()))[: len(logits)]
    behind = (gold[gold >= len(logits)] + 1).tolist()
    best = np.full(len(weights), min(behind, default=math.inf))
    mix = weights[:, None] * own + (1 - weights[:, None]) * fused
    values = np.where(weights[:, None] == 1.0, logits, mix.astype(np.float32))
    for at in gold[gold < len(logits)]:
        own = values[:, at : at + 1]
        ahead = (values > own).sum(axis=1) + (values[:, :at] == own).sum(axis=1)
        best = np.minimum(best, ahead + 1)
    return np.where(best <= CUT, 1.0 / best, 0.0)
