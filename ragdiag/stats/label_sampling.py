"""Which rows people should label: at random within strata, each with a known chance."""

from __future__ import annotations

import hashlib
import heapq
from collections import defaultdict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Literal

Allocation = Literal["proportional", "equal"]


@dataclass(frozen=True, slots=True)
class Drawn:
    """A row to label. ``propensity`` is the chance with which its stratum's rows were drawn."""

    row_id: str
    stratum: str
    propensity: float


def draw_labels(
    strata: Mapping[str, Hashable], n: int, *, allocation: Allocation = "equal", seed: int = 0
) -> list[Drawn]:
    """Draw ``n`` of the rows ``{row id: stratum}`` without replacement, or all where there are
    fewer; the same rows and seed give the same draw, whatever their order, and a row that is added
    later displaces at most one: each draws its lot by itself.

    ``equal`` gives small strata as many labels as large ones, as far as they go (wrong answers are
    few, and it is them that a correction needs); ``proportional`` is a plain random sample with
    the chance taken out of the strata's shares. A stratum is never left empty while n allows.

    >>> rows = {f"r{i}": "wrong" if i < 10 else "right" for i in range(100)}
    >>> {(d.stratum, d.propensity) for d in draw_labels(rows, 20)} == {
    ...     ("wrong", 1.0), ("right", 10 / 90)}
    True
    """
    members: dict[str, list[str]] = defaultdict(list)
    for row_id, stratum in sorted(strata.items()):
        members[str(stratum)].append(row_id)
    sizes = {stratum: len(rows) for stratum, rows in sorted(members.items())}
    shares = _allocate(sizes, min(n, len(strata)), allocation)
    return [
        Drawn(row_id, stratum, shares[stratum] / sizes[stratum])
        for stratum in sizes
        for row_id in sorted(
            heapq.nsmallest(shares[stratum], members[stratum], key=lambda one: _lot(one, seed))
        )
    ]


def _lot(row_id: str, seed: int) -> bytes:
    """A number that is random over rows and seeds; the rows with the smallest are drawn."""
    return hashlib.sha256(f"{seed} {row_id}".encode()).digest()


def _allocate(sizes: Mapping[str, int], n: int, allocation: Allocation) -> dict[str, int]:
    """Labels by stratum, one at a time to the one that is furthest behind its due."""
    given = dict.fromkeys(sizes, 0)
    due = {s: float(size) if allocation == "proportional" else 1.0 for s, size in sizes.items()}
    for _ in range(n):
        open_ones = [stratum for stratum in sizes if given[stratum] < sizes[stratum]]
        # An empty stratum comes first: without a label in each there is no rate.
        behind = min(open_ones, key=lambda s: (given[s] > 0, (given[s] + 0.5) / due[s], s))
        given[behind] += 1
    return given
