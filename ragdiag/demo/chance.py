"""Chance that is the same in every process, on every machine and after every restart."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Mapping
from itertools import accumulate
from typing import TypeVar

T = TypeVar("T", bound=Hashable)


def stable_fraction(*names: str) -> float:
    """A number in [0, 1) that depends on the names alone, uniform over many of them.

    >>> stable_fraction("numpy.mean", "split") == stable_fraction("numpy.mean", "split")
    True
    """
    digest = hashlib.sha256("\0".join(names).encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def pick(weights: Mapping[T, float], fraction: float) -> T:
    """The option under ``fraction`` (in [0, 1)) of the total weight, in the mapping's order.

    Some weight must be positive.

    >>> pick({"rare": 1, "never": 0, "common": 3}, 0.5)
    'common'
    """
    ends = list(accumulate(weights.values()))
    aim = fraction * ends[-1]
    options = zip(weights, weights.values(), ends, strict=True)
    return next(option for option, weight, end in options if weight > 0 and aim < end)
