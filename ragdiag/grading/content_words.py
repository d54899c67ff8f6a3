"""The words of an answer that say something, and what two answers share that have none."""

from __future__ import annotations

import re

from ragdiag.grading.groundedness import words_of
from ragdiag.retrieval.lexical import tokenise

# What is one letter long after an apostrophe is the end of a word.
_SINGLE = re.compile(r"(?<!\w['’])\b\w\b")
_ARTICLE = "a"


def content_words(text: str) -> list[str]:
    """The words that a search index takes (lower case, no English stop words), then the single
    letters and digits that it leaves out: one may be all of an answer.

    >>> content_words("Grade B is Bob's, and 7 a pass.")
    ['grade', 'bob', 'pass', 'b', '7']
    """
    single = _SINGLE.findall(text.lower())
    return [*tokenise(text), *(one for one in single if one != _ARTICLE)]


def same_words(one: str, other: str) -> bool:
    """Whether two texts have the same words, stop words too, in the same order; texts without any,
    the same marks.

    >>> same_words("It is.", "it is"), same_words("It is", "no"), same_words("←", "→")
    (True, False, False)
    """
    return (words_of(one) or one.split()) == (words_of(other) or other.split())
