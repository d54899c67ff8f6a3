"""Accepted gold answers of one question that cannot both be right.

Several accepted answers are wordings of one, as a rule; an answer counts as right by any of them.
Where one says yes and another no, or each is a number and the numbers differ, one label is wrong,
and so may be whatever was graded by it. Only what is sure is told: of free texts nothing is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import combinations

from ragdiag.metrics.answers import normalise_answer
from ragdiag.metrics.numbers import numeric_score, read_quantities

MOST_WORDS = 6
"""Words of an answer that is nothing but a number with what it counts."""

_POLAR = re.compile(r"\s*(yes|no|true|false)\b\s*(?:[,.;:!–—-]|$)", re.IGNORECASE)
_AFFIRMS = {"yes": True, "true": True, "no": False, "false": False}


def find_contradiction(answers: Sequence[str]) -> tuple[str, str] | None:
    """The first two accepted answers that contradict each other; None where no two surely do.

    >>> find_contradiction(["Yes, it does.", "no"])
    ('Yes, it does.', 'no')
    >>> find_contradiction(["12 hours", "15 hours"]), find_contradiction(["1.2 km", "1,200 m"])
    (('12 hours', '15 hours'), None)
    >>> find_contradiction(["five cats", "6 dogs"]), find_contradiction(["Paris", "London"])
    (None, None)
    """
    pairs = combinations(dict.fromkeys(answers), 2)
    return next(((one, other) for one, other in pairs if _contradict(one, other)), None)


def _contradict(one: str, other: str) -> bool:
    said = [None if (found := _POLAR.match(text)) is None else found[1] for text in (one, other)]
    if said[0] is not None and said[1] is not None:
        return _AFFIRMS[said[0].lower()] != _AFFIRMS[said[1].lower()]
    return _numbers_differ(one, other)


def _numbers_differ(one: str, other: str) -> bool:
    """Whether both are one number of the same thing, and neither states the other's."""
    if any(len(text.split()) > MOST_WORDS for text in (one, other)):
        return False
    first, second = read_quantities(one), read_quantities(other)
    if len(first) != 1 or len(second) != 1 or first[0].unit != second[0].unit:
        return False
    counted, also = _words_beside(one), _words_beside(other)
    same = counted == also or not counted or not also
    return same and numeric_score(one, other) == numeric_score(other, one) == 0


def _words_beside(text: str) -> set[str]:
    """What is counted: the words that hold no number."""
    return {word for word in normalise_answer(text).split() if not read_quantities(word)}
