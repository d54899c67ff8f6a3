"""What of the context made a local model say its answer: ContextCite (Cohen-Wang et al. 2024).

Parts (passages or sentences) are kept or removed at random, and the answer that was given is
scored under each such context by its log-odds ln p / (1 − p). A sparse linear model of the masks
tells a weight for each part. How far to trust it is measured beside it: the fall of ln p without
its k strongest parts, and how well it ranks contexts it was not fitted to (the linear datamodelling
score, Park et al. 2023).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ragdiag.diagnosis.lasso import LinearFit, fit_standardised
from ragdiag.records import ContextPassage, Estimate

MASKS = 64
HELD_OUT = 32
PENALTY = 0.01
RESAMPLES = 100
FEWEST_FIT, FEWEST_HELD_OUT = 2, 5
"""Below the second, as with three passages, every mask is fitted and no score is claimed."""

Removed = tuple[str, ...]
Masks = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Part:
    """A passage, or one of its sentences: characters ``start`` … ``end`` of the packed text."""

    part_id: str
    passage_id: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class PartWeight:
    """What keeping the part adds to the answer's log-odds, with its interval over resampled
    masks."""

    part: Part
    weight: Estimate

    def to_json(self) -> dict[str, Any]:
        part, weight = self.part, self.weight.to_json()
        named = {"part_id": part.part_id, "passage_id": part.passage_id}
        return {**named, "start": part.start, "end": part.end, "influence": weight}


@dataclass(frozen=True, slots=True)
class Ablation:
    """``drop`` is the fall of the answer's ln p without ``strongest``, its k largest positive
    weights; ``datamodelling`` the Spearman correlation on masks that were not fitted."""

    weights: tuple[PartWeight, ...]
    log_probability: float
    strongest: Removed
    drop: Estimate
    datamodelling: Estimate
    masks: int


def parts_of(
    context: Sequence[ContextPassage],
    sentences: Callable[[str], Sequence[tuple[int, int]]] | None = None,
) -> list[Part]:
    """The passages, or their sentences (named ``passage_id#n``, n from 1) as ``sentences`` finds
    them. A passage that stands twice counts once.

    >>> [part.part_id for part in parts_of([ContextPassage("a", "Yes. No.")])]
    ['a']
    """
    first: dict[str, ContextPassage] = {}
    for passage in context:
        first.setdefault(passage.passage_id, passage)
    found = []
    for name, passage in first.items():
        if sentences is None:
            found.append(Part(name, name, 0, len(passage.text)))
        else:
            spans = enumerate(sentences(passage.text), start=1)
            found += [Part(f"{name}#{n}", name, start, end) for n, (start, end) in spans]
    return found


def without(
    context: Sequence[ContextPassage], parts: Sequence[Part], removed: Removed
) -> tuple[ContextPassage, ...]:
    """The context without the parts of these ids; a passage without any of its parts is gone."""
    gone = set(removed)
    kept: dict[str, list[Part]] = {}
    for part in parts:
        if part.part_id not in gone:
            kept.setdefault(part.passage_id, []).append(part)
    return tuple(
        ContextPassage(
            passage.passage_id,
            " ".join(passage.text[part.start : part.end] for part in kept[passage.passage_id]),
            passage.title,
            passage.score,
        )
        for passage in context
        if passage.passage_id in kept
    )


def draw_masks(parts: Sequence[Part], count: int, seed: int = 0) -> list[Removed]:
    """``count`` different sets of parts to remove, each part with chance ½; every set there is,
    where there are no more. The order is random; the same seed draws a shorter list's beginning."""
    drawn = np.random.default_rng(seed)
    names = [part.part_id for part in parts]
    found: dict[Removed, None] = {}
    wanted = min(count, 2 ** len(names))
    while len(found) < wanted:
        gone = drawn.random(len(names)) < 0.5
        found[tuple(name for name, out in zip(names, gone, strict=True) if out)] = None
    return list(found)


def masks_to_score(parts: Sequence[Part], count: int = MASKS + HELD_OUT) -> Iterator[Removed]:
    """The contexts to score: the whole one, then random ones."""
    yield ()
    yield from (removed for removed in draw_masks(parts, count) if removed)


def fit_ablation(
    parts: Sequence[Part],
    scored: Mapping[Removed, float],
    k: int,
    drop_of: Callable[[Removed], float],
    count: int = MASKS + HELD_OUT,
) -> Ablation:
    """Weigh the parts by the answer's ln p under the masks of :func:`masks_to_score`.

    A third of the masks is held out. ``drop_of`` scores the context without the strongest parts.
    """
    masks = [removed for removed in draw_masks(parts, count) if removed in scored]
    held = len(masks) * HELD_OUT // (MASKS + HELD_OUT)
    held = held if held >= FEWEST_HELD_OUT else 0
    fitted, tested = masks[held:], masks[:held]
    x, y = _kept(parts, fitted), _log_odds([scored[removed] for removed in fitted])
    whole = scored.get((), math.nan)
    if len(fitted) < FEWEST_FIT:
        reason = f"{len(fitted)} contexts were scored, {FEWEST_FIT} at least are needed"
        nothing = Estimate.undefined(reason, n=len(fitted))
        weights = tuple(PartWeight(part, nothing) for part in parts)
        return Ablation(weights, whole, (), nothing, nothing, len(fitted))
    fit = fit_standardised(x, y, PENALTY)
    strongest = _strongest(parts, fit.weights, k)
    drop = Estimate.undefined("no part speaks for the answer")
    if strongest:
        drop = Estimate(whole - drop_of(strongest), math.nan, math.nan, 1)
    score = _datamodelling(fit, parts, tested, [scored[removed] for removed in tested])
    pairs = zip(parts, _intervals(x, y, fit), strict=True)
    weights = tuple(PartWeight(part, weight) for part, weight in pairs)
    return Ablation(weights, whole, strongest, drop, score, len(fitted))


def _kept(parts: Sequence[Part], masks: Sequence[Removed]) -> Masks:
    """1 where the part is kept: (masks, parts)."""
    rows = [[part.part_id not in removed for part in parts] for removed in masks]
    return np.array(rows, dtype=np.float64).reshape(len(masks), len(parts))


def _log_odds(log_probabilities: Sequence[float]) -> Masks:
    """ln p / (1 − p) from ln p, finite for p = 1: a float cannot tell 1 − p below 1e-12."""
    log_p = np.minimum(np.array(log_probabilities, dtype=np.float64), -1e-12)
    found: Masks = log_p - np.log(-np.expm1(log_p))
    return found


def _strongest(parts: Sequence[Part], weights: Masks, k: int) -> Removed:
    order = np.argsort(-weights, kind="stable")[:k]
    chosen = {int(at) for at in order if weights[at] > 0}
    return tuple(part.part_id for at, part in enumerate(parts) if at in chosen)


def _intervals(x: Masks, y: Masks, fit: LinearFit) -> list[Estimate]:
    """Percentile intervals of the weights over masks drawn again with replacement."""
    drawn = np.random.default_rng(0)
    rows = drawn.integers(len(y), size=(RESAMPLES, len(y)))
    again = np.array([fit_standardised(x[row], y[row], PENALTY).weights for row in rows])
    low, high = np.quantile(again, [0.025, 0.975], axis=0)
    return [
        Estimate(value, min(value, below), max(value, above), len(y))
        for value, below, above in zip(
            fit.weights.tolist(), low.tolist(), high.tolist(), strict=True
        )
    ]


def _datamodelling(
    fit: LinearFit, parts: Sequence[Part], masks: Sequence[Removed], scored: Sequence[float]
) -> Estimate:
    """Spearman's correlation of predicted and true log-odds; no interval is claimed."""
    if len(masks) < FEWEST_HELD_OUT:
        reason = f"{len(masks)} contexts were held out, {FEWEST_HELD_OUT} at least are needed"
        return Estimate.undefined(reason, n=len(masks))
    predicted, true = fit.predict(_kept(parts, masks)), _log_odds(scored)
    if np.ptp(predicted) == 0 or np.ptp(true) == 0:
        return Estimate.undefined("every context held out scores the same", n=len(masks))
    from scipy.stats import rankdata

    ranks = [rankdata(values) for values in (predicted, true)]
    return Estimate(float(np.corrcoef(*ranks)[0, 1]), math.nan, math.nan, len(masks))
