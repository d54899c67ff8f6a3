"""The weight of the dense path in convex fusion, chosen from judged questions.

Candidates are α = 0, 0.05, …, 1; the ends are the paths alone. The one-standard-error rule (Breiman
et al. 1984) takes the weight nearest to the better single path among those whose loss against the
best is within one standard error of that difference, question by question: fusion has to earn its
place. What the choice is worth is measured by cross-validation around it: the folds' questions, and
others about their documents, had no say in the weight they are scored with. Within a fold nothing
but the weight is fitted, so that the mean over the training questions is the inner estimate.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ragdiag.stats.contrasts import clustered_mean
from ragdiag.stats.held_out import compare_held_out, held_out_folds
from ragdiag.stats.paired import PairedComparison

Floats = npt.NDArray[np.float64]

ALPHAS: Floats = np.linspace(0.0, 1.0, 21)
LABELS_NEEDED = 50
"""Judged questions below which no weight is learned: RRF needs none."""

CUT = 10


@dataclass(frozen=True)
class Evidence:
    """One question's candidates, by ascending position: each path's score as a share of its span,
    and whether the passage is relevant; all (u,)."""

    dense: Floats
    lexical: Floats
    relevant: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class FusionChoice:
    """The weight chosen from all questions, and what choosing so is worth on questions that had no
    say: ``held_out`` is each question's RR@10 under the weight of other folds, ``against_single``
    and ``against_half`` compare it (as B) with the better single path and with α = ½ (as A). With
    fewer than five clusters nothing can be held out: it is NaN, and there are no ``fold_alphas``.
    """

    alpha: float
    n: int
    by_alpha: Sequence[float]
    fold_alphas: Sequence[float]
    best_single: float
    held_out: Sequence[float]
    against_single: PairedComparison
    against_half: PairedComparison


def choose_alpha(
    evidence: Sequence[Evidence], clusters: Sequence[Hashable] | None = None, seed: int = 0
) -> FusionChoice:
    """``clusters`` name which questions belong together (held_out.py), without them none do; they
    change what the choice is said to be worth, not the choice. Raises ValueError below
    LABELS_NEEDED questions."""
    n = len(evidence)
    if n < LABELS_NEEDED:
        raise ValueError(f"{n} judged questions, and {LABELS_NEEDED} are needed")
    scores = np.stack([reciprocal_ranks(one) for one in evidence])
    owners = range(n) if clusters is None else clusters
    chosen, single, half = (np.full(n, math.nan) for _ in range(3))
    fold_alphas = []
    for held in held_out_folds(owners, seed):
        training = scores[~held]
        weight = _one_standard_error(training)
        fold_alphas.append(float(ALPHAS[weight]))
        chosen[held] = scores[held, weight]
        single[held] = scores[held, _better_end(training)]
        half[held] = scores[held, len(ALPHAS) // 2]
    return FusionChoice(
        alpha=float(ALPHAS[_one_standard_error(scores)]),
        n=n,
        by_alpha=scores.mean(axis=0).tolist(),
        fold_alphas=fold_alphas,
        best_single=float(ALPHAS[_better_end(scores)]),
        held_out=chosen.tolist(),
        against_single=compare_held_out(single.tolist(), chosen.tolist(), owners),
        against_half=compare_held_out(half.tolist(), chosen.tolist(), owners),
    )


def adjust_alpha(evidence: Sequence[Evidence], alpha: float, clusters: Sequence[Hashable]) -> float:
    """The weight nearest to ``alpha``, which an earlier model of the dense path was served with,
    of those within one standard error of the best: few questions, or those of few ``clusters``,
    move it only as far as they show. It stays where all are of one. Raises ValueError below
    LABELS_NEEDED questions."""
    if len(evidence) < LABELS_NEEDED:
        raise ValueError(f"{len(evidence)} judged questions, and {LABELS_NEEDED} are needed")
    scores = np.stack([reciprocal_ranks(one) for one in evidence])
    best = int(scores.mean(axis=0).argmax())
    losses = [clustered_mean(scores[:, best] - column, clusters) for column in scores.T]
    if math.isnan(losses[best].error):
        return alpha
    within = ALPHAS[[one.value <= one.error for one in losses]]
    return float(within[np.abs(within - alpha).round(9).argmin()])


def reciprocal_ranks(evidence: Evidence) -> Floats:
    """RR@10 at each of ALPHAS, (21,); 0 where no relevant passage is a candidate.

    Ties go to the lower position and scores are rounded to float32, as in ``convex``.
    """
    gold = np.flatnonzero(evidence.relevant)
    if not len(gold):
        return np.zeros(len(ALPHAS))
    weights = ALPHAS[:, None]
    fused = (weights * evidence.dense + (1 - weights) * evidence.lexical).astype(np.float32)
    best = np.full(len(ALPHAS), math.inf)
    for at in gold:
        own = fused[:, at : at + 1]
        ahead = (fused > own).sum(axis=1) + (fused[:, :at] == own).sum(axis=1)
        best = np.minimum(best, ahead + 1)
    return np.where(best <= CUT, 1.0 / best, 0.0)


def _better_end(scores: Floats) -> int:
    """The column of the path that is better alone; the lexical one where they are equal."""
    first, last = scores[:, 0].mean(), scores[:, -1].mean()
    return 0 if first >= last else scores.shape[1] - 1


def _one_standard_error(scores: Floats) -> int:
    best = int(scores.mean(axis=0).argmax())
    losses = scores[:, best : best + 1] - scores
    errors = losses.std(axis=0, ddof=1) / math.sqrt(len(scores))
    within = np.flatnonzero(losses.mean(axis=0) <= errors)
    end = _better_end(scores)
    return int(within[np.abs(within - end).argmin()])
