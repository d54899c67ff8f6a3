"""What of a question's wording decides its answer.

Vectors hardly see the smallest differences: with all-MiniLM-L6-v2 "increase" for "decrease" leaves
a cosine of .974, "with" for "without" .978, an exchange of who does it and whom it is done to .999.
So a question is taken for another one only where its words say so too.
"""

from __future__ import annotations

import re
from itertools import pairwise

from ragdiag.unicode_forms import normal_form

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
_WILL = re.compile(r"['’]ll$")
_NOT = re.compile(r"n['’]t$|(?<=^can)not$")
_SHORTENED = {"wo": "will", "ca": "can", "sha": "shall"}
_NEGATIONS = frozenset({"not", "no", "never", "none", "nor", "neither", "nobody", "without"})
_WITHOUT_WEIGHT = re.compile(
    r"an?|the|am|is|are|be|been|being|do|does|has|have|can|could|would|please"
)
"""Nothing that tells a time, a place, a direction, a duty or a person: "was", "will", "before",
"from", "must", "my" have weight."""
_PERSON = {"i": "i", "me": "i", "my": "i", "we": "i", "us": "i", "our": "i", "your": "you"}
"""Whoever asks is one, whether alone or with others. Everybody else is named by the word itself."""
_AFTER_A_NAME = re.compile(
    r"about|after|against|and|as|at|before|by|during|for|from|if|in|into|it|of|on|or|than|that|to|"
    r"was|were|when|will|with|without|i|you|we|he|she|they"
)
"""Words that no article stands before, besides those without weight: in "vitamin a in milk" the
letter is a name."""


def normalise(question: str) -> str:
    """What is left alike however the same question is typed.

    >>> normalise("  How long do CATS sleep ?")
    'how long do cats sleep'
    """
    text = " ".join(normal_form("NFC", question).casefold().split())
    return text.removesuffix("?").rstrip() or text


def essential_words(question: str) -> tuple[str, ...]:
    """Its words in their order, without articles, auxiliaries and plural endings; pronouns by
    person.

    >>> essential_words("How can we reset our passwords?")
    ('how', 'i', 'reset', 'i', 'password')
    >>> essential_words("Why isn't it safe before 5 pm?")
    ('why', 'not', 'it', 'safe', 'before', '5', 'pm')
    >>> essential_words("Is vitamin A sold in a US store?")
    ('vitamin', 'A', 'sold', 'in', 'US', 'store')
    """
    weighty = [word for word in _words(question) if not _WITHOUT_WEIGHT.fullmatch(word)]
    return tuple(_PERSON.get(word, word) for word in map(_singular, weighty))


def decisive_words(question: str) -> tuple[str, ...]:
    """Its numbers, negations and signs, in their order.

    >>> decisive_words("Which of the 2 vaccines are not safe with SARS-CoV-2?")
    ('2', 'not', '2')
    """
    return tuple(word for word in _words(question) if word in _NEGATIONS or not word.isalpha())


def _words(question: str) -> list[str]:
    """In lower case, but for "US" and an "A" that is a name."""
    words: list[str] = []
    tokens = _TOKEN.findall(normal_form("NFC", question))
    for token, following in pairwise([*tokens, "."]):
        word = token.casefold()
        if word in _PUNCTUATION:
            continue
        if token == "US" or (word in ("a", "an") and not _is_article(token, following.casefold())):
            words.append(token.upper())
            continue
        stem = _NOT.sub("", word)
        if stem != word:
            words += [_SHORTENED.get(stem, stem), "not"]
        elif _WILL.search(word):
            words += [_CLITIC.sub("", word), "will"]
        else:
            words.append(_CLITIC.sub("", word))
    return words


def _is_article(token: str, following: str) -> bool:
    """Small, and before what an article may stand before: vitamin A, group a?, part a is."""
    return token.islower() and not (
        following in _PUNCTUATION
        or _WITHOUT_WEIGHT.fullmatch(following)
        or _AFTER_A_NAME.fullmatch(following)
    )


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
