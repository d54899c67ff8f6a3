"""How much of a change comes from other questions and not from other answers (METHODS.md §13).

Kitagawa 1955: a rate that is the sum of w_s · r_s over segments changes by

    Σ Δw_s · (mean r_s − mean of all)   the mix: what was asked
    Σ mean w_s · Δr_s                   the rates: how it was answered

and by nothing else. What is asked too seldom in either window is one segment, OTHERS: of a name
that is in one window only nobody knows whether its questions are new or were renamed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ragdiag.drift.tallies import Share
from ragdiag.records import Estimate, Weighed

DRAWS = 2_000
LEAST, MOST = 10, 50
"""Answers in both windows for a segment of its own, and how many of these there are at most."""
OTHERS = "other topics"
UNTOLD = 0.1
"""Share of a window's answers of segments that the other has not, above which nothing is told."""
_NOTHING = Share(Weighed.of(0), Weighed.of(0))

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Mix:
    """``effect`` is the part of the change that comes from the mix, ``change`` the whole of it.
    ``segment`` did most of it, from the share ``before`` of all answers to the share ``after``."""

    effect: Estimate
    change: float
    segment: str
    before: float
    after: float

    @property
    def is_shown(self) -> bool:
        """Whether it goes the way of the whole change, by more than chance."""
        bound = self.effect.low if self.change > 0 else -self.effect.high
        return bound > 0

    @property
    def is_most(self) -> bool:
        return self.is_shown and self.effect.value / self.change > 0.5


def mix_effect(
    before: Mapping[str, Share], after: Mapping[str, Share], seed: int = 0
) -> Mix | None:
    """The mix's part of how the rate over all segments changed; None where there is no second
    segment, or too much of a window is of segments that the other has not.

    The 95 % interval is of DRAWS draws from the posteriors of both windows: Dirichlet's of their
    segments' shares (Rubin 1981), and Jeffreys' Beta of every rate, which knows that a few answers
    that are all right do not make a rate of 1. Of a sampled log a window counts as many answers as
    its weights are worth (Kish).

    >>> easy, hard = Share(Weighed.of(90), Weighed.of(100)), Share(Weighed.of(3), Weighed.of(10))
    >>> more = Share(Weighed.of(30), Weighed.of(100))
    >>> found = mix_effect({"easy": easy, "hard": hard}, {"easy": easy, "hard": more})
    >>> round(found.effect.value, 3), round(found.change, 3), found.segment
    (-0.245, -0.245, 'hard')
    """
    before, after = _pooled(before, after)
    names = sorted(before.keys() | after.keys())
    windows = [[side.get(name, _NOTHING) for name in names] for side in (before, after)]
    n = np.array([[share.n.weighted for share in window] for window in windows])
    right = np.array([[share.successes.weighted for share in window] for window in windows])
    if len(names) < 2 or not (n.sum(axis=1) > 0).all():
        return None
    shares, rates = n / n.sum(axis=1, keepdims=True), _rates(right, n)
    if shares[(n == 0)[::-1]].max(initial=0.0) > UNTOLD:
        return None
    overall = (shares * rates).sum(axis=1)
    parts = _parts(shares, rates)
    top = int((parts * np.sign(parts.sum())).argmax())
    sizes = np.array([_size([share.n for share in window]) for window in windows])
    low, high = np.quantile(_drawn(shares, rates, sizes, seed), [0.025, 0.975])
    value = float(parts.sum())
    effect = Estimate(value, min(float(low), value), max(float(high), value), round(sizes[1]))
    change = float(overall[1] - overall[0])
    return Mix(effect, change, names[top], float(shares[0, top]), float(shares[1, top]))


def _pooled(
    before: Mapping[str, Share], after: Mapping[str, Share]
) -> tuple[dict[str, Share], dict[str, Share]]:
    """Both windows with OTHERS in place of all but the largest segments that both have."""
    sizes = {
        name: min(before[name].n.plain, after[name].n.plain)
        for name in before.keys() & after.keys()
    }
    told = [name for name in sizes if sizes[name] >= LEAST]
    kept = set(sorted(told, key=lambda name: (-sizes[name], name))[:MOST])
    first: dict[str, Share] = {}
    second: dict[str, Share] = {}
    for pooled, window in ((first, before), (second, after)):
        for name, share in window.items():
            segment = name if name in kept else OTHERS
            pooled[segment] = pooled.get(segment, _NOTHING) + share
    return first, second


def _rates(right: Floats, n: Floats) -> Floats:
    """By window and segment; of a window without the segment that of the other."""
    with np.errstate(invalid="ignore"):
        rates = right / n
    return np.nan_to_num(np.where(n > 0, rates, rates[..., ::-1, :]))


def _parts(shares: Floats, rates: Floats) -> Floats:
    """By segment. The windows are the last axis but one."""
    overall = (shares * rates).sum(axis=-1, keepdims=True).mean(axis=-2)
    moved = shares[..., 1, :] - shares[..., 0, :]
    return np.asarray(moved * (rates.mean(axis=-2) - overall))


def _size(counts: list[Weighed]) -> float:
    weighted, squared = sum(n.weighted for n in counts), sum(n.squared for n in counts)
    return weighted**2 / squared


def _drawn(shares: Floats, rates: Floats, sizes: Floats, seed: int) -> Floats:
    generator = np.random.default_rng(seed)
    n = shares * sizes[:, None]
    drawn = generator.gamma(n, size=(DRAWS, *n.shape))
    beta = generator.beta(n * rates + 0.5, n * (1 - rates) + 0.5, size=(DRAWS, *n.shape))
    told = np.where(n > 0, beta, beta[..., ::-1, :])
    return np.asarray(_parts(drawn / drawn.sum(axis=-1, keepdims=True), told).sum(axis=-1))
