"""What every grader is: answers in, one grade each out.

A grader's name says everything that decides its grades (the rule and its version, a threshold, a
model and the version of its prompt), so grades under one name can be compared, and a rule that
changes gets a new name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from ragdiag.metrics.refusals import declines
from ragdiag.progress import Progress
from ragdiag.records import ContextPassage, Grade, Status

Subject = Literal["correct", "grounded", "cited"]
"""What a grader judges: against gold answers, against the context, or by its citations."""


@dataclass(frozen=True, slots=True)
class Item:
    """One answer to grade, with all that a grader may look at; ``item_id`` is a request's id, or
    that of a labelled answer from a file."""

    item_id: str
    question: str
    answer: str
    status: Status = "ok"
    golds: tuple[str, ...] = ()
    context: tuple[ContextPassage, ...] = ()
    citations: tuple[str, ...] = ()


class Grader(Protocol):
    """``about`` says what it judges."""

    @property
    def name(self) -> str: ...
    @property
    def about(self) -> Subject: ...

    def grade(self, items: Sequence[Item], progress: Progress | None = None) -> list[Grade]:
        """A grade for each item, in their order; what cannot be decided has no ``y``, and says
        why."""
        ...


def undecidable(item: Item, grader: str, about: Subject) -> Grade | None:
    """The grade that no grader needs to think about; None where there is something to judge.

    Declining to answer is wrong where an answer is known, and says nothing that would need support.

    >>> undecidable(Item("r", "q", "a"), "g", "correct").status
    'no_gold'
    >>> undecidable(Item("r", "q", "", "no_answer", ("7",)), "g", "correct").y
    0
    """
    said_nothing = item.status != "ok" or not item.answer.strip()
    if about == "correct":
        if not item.golds:
            return Grade(item.item_id, grader, None, status="no_gold", reason="no gold answer")
        if said_nothing:
            return Grade(item.item_id, grader, 0, 0.0, reason="no answer was given")
        return None
    if said_nothing:
        return Grade(item.item_id, grader, None, status="undefined", reason="no answer was given")
    if not item.context:
        return Grade(
            item.item_id, grader, None, status="undefined", reason="the context is not known"
        )
    return None


def unsupportable(item: Item, grader: str, about: Subject) -> Grade | None:
    """As :func:`undecidable`, for graders that look words up: nor can they tell whether an answer
    that declines in words is right to do so.

    >>> unsupportable(Item("r", "q", "I don't know.", context=(ContextPassage("p", "x"),)), "g",
    ...               "grounded").reason
    'declines to answer'
    """
    if (known := undecidable(item, grader, about)) is not None:
        return known
    if not declines(item.answer):
        return None
    return Grade(item.item_id, grader, None, status="undefined", reason="declines to answer")
