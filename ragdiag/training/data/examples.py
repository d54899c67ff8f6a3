"""What a retriever or a reranker learns from: questions with a passage that answers each.

A set is named by the hash of what is in it, so that a run says exactly what it saw.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from functools import cached_property
from typing import Literal

Source = Literal[
    "judgment",
    "failure",
    "feedback",
    "click",
    "bm25",
    "title",
    "generated",
    "general",
    "sentence",
]

LABELLED: tuple[Source, ...] = ("judgment", "failure", "click", "feedback")
"""Sources in which a person said what answers the question."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A question and one passage that answers it; ``weight`` scales what it costs to get it wrong.

    ``negatives`` are passages that do not answer it, hardest first. ``teacher`` holds a
    cross-encoder's logits of the positive and then of each negative, or nothing. ``request_ids``
    are the logged requests that it rests on, all of them; none where it would be there without.
    """

    question_id: str
    question: str
    passage_id: str
    source: Source = "judgment"
    weight: float = 1.0
    negatives: tuple[str, ...] = ()
    teacher: tuple[float, ...] = ()
    request_ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrainingSet:
    """Pairs and the text of every passage that they name (``texts``: passage id → text, its title
    in front where the model reads titles)."""

    pairs: Sequence[Pair]
    texts: Mapping[str, str]

    @cached_property
    def positives(self) -> Mapping[str, frozenset[str]]:
        """Question id → every passage that is known to answer it."""
        found: dict[str, set[str]] = {}
        for pair in self.pairs:
            found.setdefault(pair.question_id, set()).add(pair.passage_id)
        return {name: frozenset(passages) for name, passages in found.items()}

    @cached_property
    def data_hash(self) -> str:
        """SHA-256 over pairs and texts, in their order."""
        digest = hashlib.sha256()
        for pair in self.pairs:
            digest.update(json.dumps(astuple(pair)).encode())
        for name in sorted(self.texts):
            digest.update(json.dumps([name, self.texts[name]]).encode())
        return digest.hexdigest()


def mixed(sets: Sequence[TrainingSet]) -> TrainingSet:
    """All pairs of ``sets``, one set after the other; training shuffles them.

    An id that stands for another text, or another question, in an earlier set gets the place of
    its own set in front.

    >>> one = TrainingSet([Pair("q", "Why?", "p")], {"p": "because"})
    >>> two = TrainingSet([Pair("q", "Who?", "p")], {"p": "nobody"})
    >>> [(pair.question_id, pair.passage_id) for pair in mixed([one, two]).pairs]
    [('q', 'p'), ('1:q', '1:p')]
    """
    texts: dict[str, str] = {}
    questions: dict[str, str] = {}
    pairs: list[Pair] = []
    for place, one in enumerate(sets):
        asked = {pair.question_id: pair.question for pair in one.pairs}
        question_ids = _apart(asked, questions, place)
        passage_ids = _apart(one.texts, texts, place)
        for pair in one.pairs:
            pairs.append(
                replace(
                    pair,
                    question_id=question_ids[pair.question_id],
                    passage_id=passage_ids.get(pair.passage_id, pair.passage_id),
                    negatives=tuple(passage_ids.get(name, name) for name in pair.negatives),
                )
            )
        questions |= {question_ids[name]: question for name, question in asked.items()}
        texts |= {passage_ids[name]: text for name, text in one.texts.items()}
    return TrainingSet(pairs, texts)


def _apart(own: Mapping[str, str], known: Mapping[str, str], place: int) -> dict[str, str]:
    """Each id of ``own``, as it is called where it must not be taken for one of ``known``."""
    return {
        name: name if known.get(name, text) == text else f"{place}:{name}"
        for name, text in own.items()
    }
