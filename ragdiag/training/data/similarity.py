"""Texts that say the same: what keeps a question out of its own answer, and training out of dev.

Two texts are near-duplicates where the Jaccard similarity of their shingles, |A ∩ B| / |A ∪ B|,
reaches a threshold t (Broder 1997). They are found exactly and without comparing all with all
(prefix filter, Chaudhuri, Ganti & Kaushik 2006): where A and B reach t they share at least t·|A|
shingles, so that, in one order for all, the k-th that they share is among the first
|A| − t·|A| + k of A, and so of B.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence

from ragdiag.unicode_forms import normal_form

DUPLICATE_PASSAGE = 0.8
DUPLICATE_QUESTION = 0.8
"""A letter mistyped in thirty leaves about this much of a question's letter shingles."""

_SHARED = 3
"""More are looked at for each text, and far fewer texts are compared, than with one."""

_WORD = re.compile(r"\w+")

Shingles = frozenset[Hashable]


def normalised(text: str) -> str:
    """Words in lower case with single spaces; punctuation and the form of characters do not count.

    >>> normalised("What’s  the R₀ of SARS-CoV-2?")
    'what s the r0 of sars cov 2'
    """
    return " ".join(_WORD.findall(normal_form("NFKC", text).casefold()))


def contains_question(text: str, question: str) -> bool:
    """Whether the words of ``question`` stand together in ``text``.

    >>> contains_question("Intro. Reset of\\n a password: press F2.", "reset of a password")
    True
    """
    asked = normalised(question)
    return bool(asked) and f" {asked} " in f" {normalised(text)} "


def passage_shingles(text: str) -> Shingles:
    """Every three words in a row; of a shorter text, all its words as one."""
    words = normalised(text).split()
    return frozenset(tuple(words[at : at + 3]) for at in range(max(1, len(words) - 2)) if words)


def question_shingles(text: str) -> Shingles:
    """Every three letters in a row, and each number once more as often as it takes to set two
    questions apart: ``item 12`` is not ``item 13``, however much surrounds it."""
    plain = normalised(text)
    letters = {plain[at : at + 3] for at in range(max(1, len(plain) - 2)) if plain}
    numbers = {word for word in plain.split() if any(letter.isdigit() for letter in word)}
    apart = math.ceil(len(letters) * (1 / DUPLICATE_QUESTION - 1))
    return frozenset(letters | {(word, at) for word in numbers for at in range(apart)})


def jaccard(one: Shingles, other: Shingles) -> float:
    """|A ∩ B| / |A ∪ B|; 0 where both are empty.

    >>> jaccard(frozenset("abc"), frozenset("bcd"))
    0.5
    """
    union = len(one | other)
    return len(one & other) / union if union else 0.0


class NearDuplicates:
    """Finds which of the texts that were given resemble another one."""

    def __init__(self, texts: Mapping[str, Shingles], threshold: float) -> None:
        self._texts, self._threshold = texts, threshold
        counts = Counter(shingle for text in texts.values() for shingle in text)
        # The rarest first, so that few texts have one of those that are looked at.
        ordered = sorted(counts, key=lambda shingle: counts[shingle])
        self._place = {shingle: place for place, shingle in enumerate(ordered)}
        self._with: dict[Hashable, list[str]] = defaultdict(list)
        for name, text in texts.items():
            for shingle in self._first(text):
                self._with[shingle].append(name)

    def of(self, text: Shingles) -> Iterator[str]:
        """Names of the texts that resemble ``text``, itself included where it was given."""
        shared = Counter(name for one in self._first(text) for name in self._with.get(one, ()))
        needed = min(_SHARED, self._overlap(text))
        for name in sorted(name for name, count in shared.items() if count >= needed):
            if jaccard(text, self._texts[name]) >= self._threshold:
                yield name

    def _first(self, text: Shingles) -> Sequence[Hashable]:
        """Of two texts that reach the threshold, these share ``_SHARED`` or all that they share."""
        order = sorted(text, key=lambda shingle: self._place.get(shingle, -1))
        return order[: len(text) - self._overlap(text) + _SHARED]

    def _overlap(self, text: Shingles) -> int:
        # Rounded so that 0.8 · 5 is 4 whatever the binary fraction says.
        return math.ceil(round(self._threshold * len(text), 9))
