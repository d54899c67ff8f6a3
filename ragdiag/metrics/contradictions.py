"""Accepted gold answers of one question that cannot both be right.

Several accepted answers are wordings of one, as a rule; an answer counts as right by any of them.
Where one says yes and another no, or each is a number and the numbers differ, one label is wrong,
and so may be whatever was graded by it. Only what is sure is told: of free texts nothing is, nor of
numbers beside other words ("5 pm" and "17"), in a name ("Python 3.8") or in a list of answers.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from itertools import combinations

from ragdiag.metrics.answers import normalise_answer
from ragdiag.metrics.numbers import Quantity, numeric_score, read_quantities

MOST_WORDS = 6
"""Words of an answer that is nothing but a number with what it counts."""
MOST_NUMBERS = 2
"""Different numbers among accepted answers beyond which they are several right ones."""
PREPOSITIONS = {"in", "on", "at"}
"""What may stand before a number that is neither a bound nor part of a name."""

_POLAR = re.compile(r"\s*(yes|no|true|false)\b\s*(?:[,.;:!–—-]|$)", re.IGNORECASE)
_BOUND = re.compile("[<>≤≥~≈±+]")
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
    different = list(dict.fromkeys(answers))
    numbers = {(one.low, one.high) for text in different if (one := _lone_number(text)) is not None}
    listed = len(numbers) > MOST_NUMBERS
    return next(
        (
            (one, other)
            for one, other in combinations(different, 2)
            if _are_opposites(one, other) or (not listed and _numbers_differ(one, other))
        ),
        None,
    )


def _are_opposites(one: str, other: str) -> bool:
    said = [None if (found := _POLAR.match(text)) is None else found[1] for text in (one, other)]
    if said[0] is None or said[1] is None:
        return False
    return _AFFIRMS[said[0].lower()] != _AFFIRMS[said[1].lower()]


def _numbers_differ(one: str, other: str) -> bool:
    """Whether both are one number of the same thing, and neither states the other's."""
    first, second = _lone_number(one), _lone_number(other)
    if first is None or second is None or first.unit != second.unit:
        return False
    if not (_comes_first(one) and _comes_first(other)):
        return False
    same = _words_beside(one) == _words_beside(other)
    return same and numeric_score(one, other) == numeric_score(other, one) == 0


def _lone_number(text: str) -> Quantity | None:
    """The number of an answer that is little else."""
    found = read_quantities(text) if len(text.split()) <= MOST_WORDS else []
    return found[0] if len(found) == 1 else None


def _comes_first(text: str) -> bool:
    """Whether the number is what is said: "over 5" bounds it, and "Python 3.8" is a name."""
    words = (word for word in _words(text) if word not in PREPOSITIONS)
    return _BOUND.search(text) is None and bool(read_quantities(next(words, "")))


def _words_beside(text: str) -> set[str]:
    """What is counted: the text without its number, with its signs of currency."""
    signs = {sign for sign in text if unicodedata.category(sign) == "Sc"}
    rest = (re.sub(r"[\d.]", "", word) for word in _words(text) if not _is_spelled(word))
    return signs | {word for word in rest if word}


def _is_spelled(word: str) -> bool:
    return word.isalpha() and bool(read_quantities(word))


def _words(text: str) -> list[str]:
    return normalise_answer(text.replace("-", " ")).split()
