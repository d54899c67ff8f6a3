"""Questions as users type them, made of questions as they stand in test sets.

Typos, other wordings and keywords; each of them in two families that share no template and no kind
of slip, so that what a model learnt from one can be tried on the other: ``augment`` trains,
``holdout`` never does. English only: of other languages little but keywords and slips is made.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Literal

from ragdiag.training.data.examples import Pair
from ragdiag.training.data.similarity import normalised
from ragdiag.training.data.typos import (
    Slip,
    doubled_letter,
    dropped_letter,
    mistyped,
    replaced_letter,
    transposed_letters,
)

Family = Literal["augment", "holdout"]
Kind = Literal["typo", "paraphrase", "keywords"]

_SLIPS: Mapping[Family, tuple[Slip, ...]] = {
    "augment": (replaced_letter, dropped_letter),
    "holdout": (transposed_letters, doubled_letter),
}
_WHAT_IS = re.compile(r"what(?:['’]s| is| are) (.+)", re.I)
_HOW_TO = re.compile(r"how (?:do|can|should|would) (?:i|we|you|one) (.+)", re.I)
_IS_DOING = re.compile(r"what does (.+) (do|return|mean|give|contain)", re.I)
_ANY = re.compile(r"(.+)")

TEMPLATES: Mapping[Family, tuple[tuple[re.Pattern[str], tuple[str, ...]], ...]] = {
    "augment": (
        (_WHAT_IS, ("tell me about {0}", "what's {0}?", "explain {0}")),
        (_HOW_TO, ("what is the way to {0}", "how to {0}?", "help me to {0}")),
        (_IS_DOING, ("what will {0} {1}?", "can you say what {0} is going to {1}")),
        (_ANY, ("quick question: {0}?", "please can you answer this: {0}?")),
    ),
    "holdout": (
        (_WHAT_IS, ("I am looking for {0}", "{0}, what is it?", "any information on {0}")),
        (_HOW_TO, ("I want to {0}, how does one do it?", "steps needed to {0}")),
        (_IS_DOING, ("{0}: what does it {1}?", "I wonder what {0} would {1}")),
        (_ANY, ("{0}, does anybody know?", "I could not find this anywhere. {0}?")),
    ),
}
"""The first pattern that a question fits gives its wordings; {0} is what stood in the brackets."""

_EMPTY_WORDS = frozenset(
    {"a", "an", "the", "of", "what", "what's", "how", "is", "are", "was", "were", "be", "do"}
    | {"does", "did", "i", "we", "you", "one", "it", "its", "my", "your", "can", "could", "would"}
    | {"should", "please", "there", "that", "this"}
)
"""Who types keywords leaves these out; who, when, where, why and negations stay."""
_ORDER_COUNTS = re.compile(
    r"not?|never|without|except|unless|cannot|\w+n't|to|from|into|in|on|at|by|for|with|before|after|"
    r"than|over|under|between|and|or|when|while|if|as",
    re.I,
)
"""Words that say something of what stands beside them."""


@dataclass(frozen=True, slots=True)
class Variant:
    kind: Kind
    text: str


def vary_question(
    text: str, family: Family, seed: int = 0, vocabulary: Collection[str] = ()
) -> list[Variant]:
    """At most one variant of each kind, always the same under one seed; none where nothing can be
    changed without changing what is asked. ``vocabulary``: words that no typo may turn into.

    >>> [one.text for one in vary_question("What is the capital of Peru?", "holdout")][1:]
    ['the capital of Peru, what is it?', 'Peru capital']
    """
    chance = Random(f"{seed} {family} {text}")
    made: list[tuple[Kind, str | None]] = [
        ("typo", mistyped(text, _SLIPS[family], chance, vocabulary)),
        ("paraphrase", _reworded(text, family, chance)),
        ("keywords", _keywords(text, family)),
    ]
    said = normalised(text)
    return [Variant(kind, one) for kind, one in made if one and normalised(one) != said]


def vary_pairs(
    pairs: Iterable[Pair],
    family: Family,
    *,
    per_question: int = 1,
    seed: int = 0,
    vocabulary: Collection[str] = (),
) -> list[Pair]:
    """Each pair as often as its question has variants, ``per_question`` at most, chosen at random.

    A variant keeps its question's id and requests: it is the same question, and is forgotten with
    it. Pairs of one question get the same variants.
    """
    found = []
    for pair in pairs:
        variants = vary_question(pair.question, family, seed, vocabulary)
        chance = Random(f"{seed} {pair.question}")
        chosen = chance.sample(variants, min(per_question, len(variants)))
        found += [replace(pair, question=one.text) for one in chosen]
    return found


def telling_words(text: str) -> list[str]:
    """The words of ``text`` that somebody who types keywords would keep, in their order."""
    words = [one.strip("?!,;:.").replace("’", "'") for one in text.split()]
    return [word for word in words if word and word.lower() not in _EMPTY_WORDS]


def _reworded(text: str, family: Family, chance: Random) -> str | None:
    asked = " ".join(text.split()).rstrip("?.! ")
    for pattern, wordings in TEMPLATES[family]:
        found = pattern.fullmatch(asked)
        if found is not None:
            # Braces in the question are text: format() does not look into what it fills in.
            return chance.choice(wordings).format(*found.groups())
    return None


def _keywords(text: str, family: Family) -> str | None:
    """The words that tell, in their order to train with, the last of them first in the holdout:
    there only where no word hangs on its neighbour."""
    kept = telling_words(text)
    if family == "holdout":
        if any(_ORDER_COUNTS.fullmatch(word) for word in kept) or len(set(kept)) < len(kept):
            return None
        kept = [*kept[-1:], *kept[:-1]]
    return " ".join(kept) if len(kept) > 1 else None
