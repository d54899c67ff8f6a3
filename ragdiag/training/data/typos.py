"""Slips of the keyboard in words that can bear one; numbers, negations and names keep theirs."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from random import Random

SHORTEST = 5
"""Letters of a word that is still read with one of them wrong."""

_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_NEIGHBOURS = {
    letter: row[max(0, at - 1) : at] + row[at + 1 : at + 2]
    for row in _ROWS
    for at, letter in enumerate(row)
}
"""A US keyboard: letter → the letters to its left and right."""

_NEGATION = re.compile(
    r"not?|never|none|nor|neither|nothing|nobody|nowhere|without|except|unless|cannot|"
    r"\w+n[’']t|(?:non|un|in|im|dis)\w+",
    re.IGNORECASE,
)
_PLAIN = re.compile(r"[a-z]+")

Slip = Callable[[str, Random], str]


def replaced_letter(word: str, chance: Random) -> str:
    """One letter as the key beside it; the first stays, as in most slips."""
    at = chance.randrange(1, len(word))
    return word[:at] + chance.choice(_NEIGHBOURS[word[at]]) + word[at + 1 :]


def dropped_letter(word: str, chance: Random) -> str:
    at = chance.randrange(1, len(word))
    return word[:at] + word[at + 1 :]


def transposed_letters(word: str, chance: Random) -> str:
    """Two neighbours changed about; the word itself where all of them are equal."""
    places = [at for at in range(1, len(word) - 1) if word[at] != word[at + 1]]
    if not places:
        return word
    at = chance.choice(places)
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def doubled_letter(word: str, chance: Random) -> str:
    at = chance.randrange(1, len(word))
    return word[:at] + word[at] + word[at:]


def is_protected(word: str) -> bool:
    """Whether a changed letter could change what is asked: numbers, negations, names, identifiers.
    Rather too many: ``invoice`` is spared with ``invalid``.

    >>> [one for one in ("v2", "isn't", "Paris", "np.sum", "unsafe", "water") if is_protected(one)]
    ['v2', "isn't", 'Paris', 'np.sum', 'unsafe']
    """
    return _PLAIN.fullmatch(word) is None or _NEGATION.fullmatch(word) is not None


def mistyped(
    text: str, slips: Collection[Slip], chance: Random, vocabulary: Collection[str] = ()
) -> str | None:
    """``text`` with one slip in one word; None where no word can bear one.

    A slip that makes another word (``casual`` of ``causal``) is none: ``vocabulary`` has those.
    """
    words = list(re.finditer(r"(?<!\S)[a-z]+(?=[?.,!;:]*(?!\S))", text))
    open_to_it = [one for one in words if len(one[0]) >= SHORTEST and not is_protected(one[0])]
    for found in chance.sample(open_to_it, len(open_to_it)):
        slip = chance.choice(list(slips))
        wrong = slip(found[0], chance)
        if wrong != found[0] and wrong not in vocabulary:
            return text[: found.start()] + wrong + text[found.end() :]
    return None
