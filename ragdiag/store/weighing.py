"""How many requests a logged one stands for, and sums that say it, in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ragdiag.records import Weighed

SMALLEST_CHANCE = 1e-9
"""What is drawn more seldom weighs no more than this, so that sums stay finite."""


def weight_of(row: str) -> str:
    """The weight of a row of ``requests`` that is called ``row``."""
    return (
        f"case when {row}.certain then 1::double "
        f"else 1 / greatest(coalesce({row}.keep_probability, 1), {SMALLEST_CHANCE}) end"
    )


def weighed(summed: str, name: str) -> str:
    """A column ``name`` that :func:`read_weighed` reads: the sum of ``summed`` over rows with a
    ``weight``."""
    return (
        f"{{'plain': sum({summed}), 'weighted': sum(weight * ({summed})), "
        f"'squared': sum(weight * weight * ({summed}))}} as {name}"
    )


def read_weighed(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows with each column of :func:`weighed` as a Weighed."""
    return [
        {name: Weighed(**value) if type(value) is dict else value for name, value in row.items()}
        for row in rows
    ]
