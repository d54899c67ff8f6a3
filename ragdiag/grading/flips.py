"""How often a judge takes a verdict back when it is asked the same once more.

At temperature 0 a server may still answer otherwise: batched arithmetic, another machine, another
model behind the same name. What flips was chance, however well the rest agrees with people.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ragdiag.grading.contract import Item, undecidable
from ragdiag.grading.judge import Judge
from ragdiag.records import Estimate, Grade
from ragdiag.stats.intervals import wilson

ASKED_AGAIN = 30
"""Answers that a calibration asks about twice, unless told otherwise."""

MOST_FLIPS = 0.1
"""The largest share of flipped verdicts without a warning: a judge that flips one verdict in ten
can be wrong in one of twenty by chance alone."""

CAUTION = f"more than {MOST_FLIPS:.0%}: do not rest a decision on single verdicts"


@dataclass(frozen=True, slots=True)
class Flips:
    """``rate``: the share of verdicts that were another one the second time, over those that were
    one both times; ``undecided`` were none once."""

    rate: Estimate
    undecided: int

    def to_json(self) -> dict[str, Any]:
        return {**self.rate.to_json(), "undecided": self.undecided}


def drawn_again(judge: Judge, items: Sequence[Item], n: int) -> list[Item]:
    """The ``n`` items, of those that a judge is asked about at all, to ask about again: by the hash
    of their ids, so the same each time."""
    asked = [item for item in items if undecidable(item, judge.name, judge.about) is None]
    return sorted(asked, key=_shuffled)[:n]


def measure_flips(judge: Judge, items: Sequence[Item], grades: Sequence[Grade], n: int) -> Flips:
    """Ask again about ``n`` of the ``items``, whose ``grades`` are the judge's first; what is kept
    of them stays as it is. Raises GeneratorDown."""
    first = {grade.request_id: grade.y for grade in grades}
    again = judge.grade_again(drawn_again(judge, items, n))
    pairs = [(first[grade.request_id], grade.y) for grade in again]
    decided = [(a, b) for a, b in pairs if a is not None and b is not None]
    flipped = sum(a != b for a, b in decided)
    return Flips(wilson(flipped, len(decided)), len(pairs) - len(decided))


def flips_too_often(rate: Estimate) -> bool:
    """Whether the verdicts need a warning; not where nothing could be compared.

    >>> [flips_too_often(wilson(flipped, n)) for flipped, n in ((3, 30), (4, 30), (0, 0))]
    [False, True, False]
    """
    return rate.value > MOST_FLIPS


def _shuffled(item: Item) -> str:
    return hashlib.sha256(item.item_id.encode()).hexdigest()
