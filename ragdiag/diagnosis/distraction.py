"""Gold was in the prompt and the answer wrong: did another passage or gold's place hide it?

The second level of ``distraction`` (METHODS.md §4b). Each kind has its own intervention on the
logged context, and mends with its own lever: ``noise`` (a filter) where the answer turns right
without one passage, ``position`` (another order) where it does with the same passages, gold first.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ragdiag.diagnosis.replay import ArmOutcome
from ragdiag.records import ContextPassage

DistractionKind = Literal["noise", "position"]


@dataclass(frozen=True, slots=True)
class DistractionContexts:
    """``without`` maps each passage that is not gold to the context without it; ``gold_first`` is
    None where gold is first already."""

    without: Mapping[str, tuple[ContextPassage, ...]]
    gold_first: tuple[ContextPassage, ...] | None


@dataclass(frozen=True, slots=True)
class Distraction:
    """``kind`` is None where no test decides. ``misleading`` are the passages without any one of
    which the answer turns right; ``order_flips`` is None where gold was first already or the
    reordered context gave no sure answer."""

    kind: DistractionKind | None
    misleading: tuple[str, ...]
    order_flips: bool | None


def distraction_contexts(
    logged: Sequence[ContextPassage], gold: Collection[str]
) -> DistractionContexts:
    """The contexts that the two tests answer under; passages stay as the prompt cut them.

    >>> a, g = ContextPassage("a", "noise"), ContextPassage("g", "gold")
    >>> found = distraction_contexts([a, g], {"g"})
    >>> [p.passage_id for p in found.without["a"]], [p.passage_id for p in found.gold_first]
    (['g'], ['g', 'a'])
    """
    others = dict.fromkeys(p.passage_id for p in logged if p.passage_id not in gold)
    moved = tuple(sorted(logged, key=lambda passage: passage.passage_id not in gold))
    return DistractionContexts(
        without={
            name: tuple(passage for passage in logged if passage.passage_id != name)
            for name in others
        },
        gold_first=None if moved == tuple(logged) else moved,
    )


def noise_or_position(
    logged: ArmOutcome, without: Mapping[str, ArmOutcome], gold_first: ArmOutcome | None
) -> Distraction:
    """Which intervention flips a wrong answer: outcomes under :func:`distraction_contexts`.

    Y flips where p is low under the logged context and high under the other; where both do,
    ``noise``, the first of METHODS.md §4b, with ``order_flips`` telling of the other lever.
    Nothing is claimed where the logged context itself is not surely low.
    """
    if logged.level != "low":
        return Distraction(None, (), None)
    misleading = tuple(name for name, outcome in without.items() if outcome.level == "high")
    order_flips = None
    if gold_first is not None and gold_first.level != "unsure":
        order_flips = gold_first.level == "high"
    if misleading:
        return Distraction("noise", misleading, order_flips)
    return Distraction("position" if order_flips else None, (), order_flips)
