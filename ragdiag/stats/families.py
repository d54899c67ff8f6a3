"""Several tests read together on a page (METHODS.md §13); Holm's rule, for decisions, is in
paired.py."""

from __future__ import annotations

from collections.abc import Sequence


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """p adjusted so that of those at most α a share of α is expected to be false (Benjamini &
    Hochberg 1995, step-up; for independent tests, and for those that depend positively).

    >>> benjamini_hochberg([0.01, 0.04, 0.03])
    [0.03, 0.04, 0.04]
    """
    adjusted = [0.0] * len(p_values)
    least = 1.0
    falling = sorted(enumerate(p_values), key=lambda item: -item[1])
    for above, (number, p) in enumerate(falling):
        least = min(least, p * len(p_values) / (len(p_values) - above))
        adjusted[number] = least
    return adjusted
