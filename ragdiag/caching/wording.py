"""What of a question's wording decides its answer.

Vectors hardly see the smallest differences: with all-MiniLM-L6-v2 "increase" for "decrease" leaves
a cosine of .974, "with" for "without" .978, an exchange of who does it and whom it is done to .999.
So a question is taken for another one only where its words say so too.
"""

from __future__ import annotations

import re
import unicodedata

_TOKEN = re.compile(
    r"""(?<!\w)[-−]\d+(?:[.,]\d+)*        # a number below zero
      | \d+(?:[.,]\d+)*                   # a number
      | [^\W\d_](?:[^\W_]|['’](?=\w))*    # a word
      | [^\w\s]                           # any other sign: C++ is not C#
    """,
    re.VERBOSE,
)
_PUNCTUATION = frozenset(".,;:?!'\"“”‘’`()[]…-–—/")
_CLITIC = re.compile(r"['’](?:s|re|ll|m|ve|d)$")
_NOT = re.compile(r"n['’]t$|^cannot$")
_NEGATIONS = frozenset({"not", "no", "never", "none", "nor", "neither", "nobody", "without"})
_WITHOUT_WEIGHT = re.compile(
    r"an?|the|am|is|are|be|been|being|do|does|has|have|can|could|will|would|please|"
    r"i|me|my|we|us|our|you|your|one"
)
"""Nothing that tells a time, a place, a direction or a duty: "was", "before", "from", "must" have
weight."""
_WONT = frozenset({"ca", "wo", "sha"})


def normalise(question: str) -> str:
    """What is left alike however the same question is typed.

    >>> normalise("  How long do CATS sleep ?")
    'how long do cats sleep'
    """
    text = " ".join(unicodedata.normalize("NFC", question).casefold().split())
    return text.removesuffix("?").rstrip() or text


def essential_words(question: str) -> tuple[str, ...]:
    """Its words in their order, without articles, auxiliaries, pronouns and plural endings.

    >>> essential_words("How can I reset my passwords?")
    ('how', 'reset', 'password')
    >>> essential_words("Why isn't it safe before 5 pm?")
    ('why', 'not', 'it', 'safe', 'before', '5', 'pm')
    """
    return tuple(
        _singular(word) for word in _words(question) if not _WITHOUT_WEIGHT.fullmatch(word)
    )


def decisive_words(question: str) -> tuple[str, ...]:
    """Its numbers, negations and signs, in their order.

    >>> decisive_words("Which of the 2 vaccines are not safe with SARS-CoV-2?")
    ('2', 'not', '2')
    """
    return tuple(word for word in _words(question) if word in _NEGATIONS or not word.isalpha())


def _words(question: str) -> list[str]:
    words: list[str] = []
    for token in _TOKEN.findall(unicodedata.normalize("NFC", question).casefold()):
        if token in _PUNCTUATION:
            continue
        stem = _NOT.sub("", token)
        if stem == token:
            words.append(_CLITIC.sub("", token))
        else:
            words += ["not"] if stem in _WONT or not stem else [stem, "not"]
    return words


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
