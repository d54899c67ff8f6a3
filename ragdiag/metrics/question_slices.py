"""Kinds of questions, from what is known before anything answers them.

Four ways to slice, beside the topic that a question has: its length, whether the corpus can answer
it, how many gold passages it needs, and how rare its words are. A slice of a few questions, or one
that holds all of them, tells nothing; whoever shows slices decides which are worth it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

SliceKind = Literal["topic", "length", "answerable", "golds", "words"]
SLICE_KINDS: tuple[SliceKind, ...] = get_args(SliceKind)
Slices = Mapping[SliceKind, Mapping[str, str]]
"""Kind → question id → the name of its slice; a question that a kind says nothing of is left
out."""

LENGTHS = ("short", "medium", "long")
RARITIES = ("common words", "middling words", "rare words")
NO_TOPIC = "no topic"

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class AskedQuestion:
    """A question with the number of its gold passages; None where nobody has judged it."""

    question_id: str
    text: str
    topic: str = ""
    golds: int | None = None


def words_of(text: str) -> list[str]:
    """Lower-case runs of letters and digits, in order.

    >>> words_of("How is HTTP/2 set?")
    ['how', 'is', 'http', '2', 'set']
    """
    return _WORD.findall(text.lower())


def slice_questions(
    questions: Sequence[AskedQuestion], holding: Mapping[str, int], passages: int
) -> Slices:
    """Every question under every kind that can be told.

    ``holding`` is how many of the ``passages`` of the corpus hold a word; words without an entry
    are held by none. Length and rarity are cut at the terciles of these very questions, equal
    values together.

    >>> few = [AskedQuestion("q1", "why"), AskedQuestion("q2", "why so late", "trains", 2)]
    >>> found = slice_questions(few, {}, 10)
    >>> found["golds"], found["answerable"]
    ({'q2': '2 gold passages'}, {'q2': 'answerable'})
    """
    known = {one.question_id: one.golds for one in questions if one.golds is not None}
    return {
        "topic": {one.question_id: one.topic or NO_TOPIC for one in questions},
        "length": terciles(
            {q.question_id: float(len(words_of(q.text))) for q in questions}, LENGTHS
        ),
        "answerable": {
            name: "answerable" if golds else "no answer in the corpus"
            for name, golds in known.items()
        },
        "golds": {name: _golds(golds) for name, golds in known.items() if golds},
        "words": terciles(
            {q.question_id: mean_idf(words_of(q.text), holding, passages) for q in questions},
            RARITIES,
        ),
    }


def mean_idf(words: Collection[str], holding: Mapping[str, int], passages: int) -> float:
    """Average inverse document frequency, ln((N + 1) / (n + ½)) over the distinct words: a known
    sign of a question's difficulty before retrieval (He & Ounis 2004). NaN without words.

    >>> round(mean_idf(["gate", "the"], {"the": 9}, 9), 3)  # (ln 20 + ln(10 / 9.5)) / 2
    1.524
    """
    distinct = set(words)
    if not distinct:
        return math.nan
    return math.fsum(
        math.log((passages + 1) / (holding.get(word, 0) + 0.5)) for word in sorted(distinct)
    ) / len(distinct)


def terciles(values: Mapping[str, float], names: Sequence[str]) -> dict[str, str]:
    """The third that each value falls in, named from the lowest; equal values share one.

    The name tells the range, so that a reader knows what "long" means here. NaN is in none.

    >>> terciles({"a": 4, "b": 7, "c": 9}, ("low", "middle", "high"))
    {'a': 'low (4)', 'b': 'middle (7)', 'c': 'high (9)'}
    """
    ordered = sorted(value for value in values.values() if not math.isnan(value))
    if not ordered:
        return {}
    cuts = [ordered[math.ceil(len(ordered) * part / 3) - 1] for part in (1, 2)]
    thirds: dict[int, list[str]] = {}
    for name, value in values.items():
        if not math.isnan(value):
            thirds.setdefault(sum(value > cut for cut in cuts), []).append(name)
    return {
        member: f"{names[third]} ({_range([values[one] for one in members])})"
        for third, members in thirds.items()
        for member in members
    }


def in_order(kind: SliceKind, names: Iterable[str]) -> list[str]:
    """The slices of a kind as one reads them: by size where they have one, else by name.

    >>> in_order("length", ["long (9)", "short (2–4)"])
    ['short (2–4)', 'long (9)']
    """
    ranks = {"length": LENGTHS, "words": RARITIES}.get(kind, ())

    def place(name: str) -> tuple[int, str]:
        rank = next((n for n, start in enumerate(ranks) if name.startswith(start)), 0)
        return rank, name

    return sorted(set(names), key=place)


def _golds(golds: int) -> str:
    return "1 gold passage" if golds == 1 else "2 gold passages" if golds == 2 else "3 or more"


def _range(values: Sequence[float]) -> str:
    ends = [f"{one:,.0f}" if one >= 100 else f"{one:.3g}" for one in (min(values), max(values))]
    return ends[0] if ends[0] == ends[1] else "–".join(ends)
