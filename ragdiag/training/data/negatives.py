"""Hard negatives: passages that look like the answer and are not, from those who mistake them.

Finders offer candidates, hardest first. Refused are known golds, near-duplicates of a gold, and
what a teacher thinks about as relevant as the gold: those are mostly golds that nobody has judged
(positive-aware mining, Moreira et al. 2024).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import zip_longest
from typing import Any

import numpy as np

from ragdiag.errors import TrainingError
from ragdiag.training.data.examples import Pair
from ragdiag.training.data.similarity import DUPLICATE_PASSAGE, jaccard, passage_shingles

Finder = Callable[[Sequence[Pair]], Sequence[Sequence[str]]]
"""For each pair the ids of passages that are taken for its answer, likeliest first."""

Teacher = Callable[[str, Sequence[str]], Sequence[float]]
"""A question and texts → a logit of relevance each, such as a cross-encoder gives."""

_TAUGHT = 4
"""Candidates that the teacher reads for each negative wanted."""


@dataclass(frozen=True)
class NegativeOptions:
    """``per_pair`` negatives at most; 0: none is looked for. ``duplicate``: the Jaccard similarity
    from which a passage says what a gold says. ``margin``: the share of the gold's probability, by
    the teacher, from which a passage counts as a gold."""

    per_pair: int = 4
    duplicate: float = DUPLICATE_PASSAGE
    margin: float = 0.95


@dataclass(frozen=True)
class Negatives:
    """Pairs with their negatives, and the teacher's logits where there is one. ``found`` counts
    negatives by finder, ``refused`` candidates by reason, ``without`` pairs that have none left."""

    pairs: tuple[Pair, ...]
    found: Mapping[str, int] = field(default_factory=dict)
    refused: Mapping[str, int] = field(default_factory=dict)
    without: int = 0

    def to_json(self) -> dict[str, Any]:
        return {
            "pairs": len(self.pairs),
            "without": self.without,
            "found": dict(self.found),
            "refused": dict(self.refused),
        }


def mine_negatives(
    pairs: Sequence[Pair],
    texts: Mapping[str, str],
    finders: Mapping[str, Finder],
    *,
    known: Mapping[str, Collection[str]] | None = None,
    documents: Mapping[str, str] | None = None,
    teacher: Teacher | None = None,
    options: NegativeOptions | None = None,
) -> Negatives:
    """Give every pair the hardest of what ``finders`` offer, in turns.

    ``known``: question id → golds beside those of ``pairs``. ``documents``: passage id → document;
    the rest of a document is no negative to its own title. The teacher's probability is σ(logit),
    so a candidate is refused where σ(s) ≥ margin · σ(s of the gold): for logits far below zero that
    is s ≥ s_gold + ln margin, for a gold it is sure of, whatever it is as sure of.

    A pair that has none left stays: the other answers of its batch still teach it. Raises
    TrainingError where no pair has any.
    """
    sieve = _Sieve(pairs, texts, known or {}, documents or {}, teacher, options)
    offers = {name: finder(pairs) for name, finder in finders.items()}
    found: Counter[str] = Counter()
    mined = []
    for at, pair in enumerate(pairs):
        turns = _in_turns({name: offered[at] for name, offered in offers.items()})
        one = sieve.sifted(pair, turns)
        found.update(turns[negative] for negative in one.negatives)
        mined.append(one)
    without = sum(not pair.negatives for pair in mined)
    if finders and without == len(mined):
        reasons = ", ".join(f"{n} {reason}" for reason, n in sieve.refused.most_common())
        raise TrainingError(
            f"none of {len(mined)} pairs has a negative left ({reasons or 'nothing was found'})",
            remedy="train without hard negatives (--negatives 0; a reranker needs one), "
            "or raise the limits that refused them",
        )
    return Negatives(tuple(mined), dict(found), dict(sieve.refused), without)


class _Sieve:
    """What is let through for one pair after another; ``refused`` counts the rest."""

    def __init__(
        self,
        pairs: Sequence[Pair],
        texts: Mapping[str, str],
        known: Mapping[str, Collection[str]],
        documents: Mapping[str, str],
        teacher: Teacher | None,
        options: NegativeOptions | None,
    ) -> None:
        self._texts, self._documents, self._teacher = texts, documents, teacher
        self._options = options or NegativeOptions()
        self._shingles = cache(lambda name: passage_shingles(texts[name]))
        self._golds: dict[str, set[str]] = {name: set(golds) for name, golds in known.items()}
        for pair in pairs:
            self._golds.setdefault(pair.question_id, set()).add(pair.passage_id)
        self.refused: Counter[str] = Counter()

    def sifted(self, pair: Pair, offered: Mapping[str, str]) -> Pair:
        wanted = self._options.per_pair
        most = wanted if self._teacher is None else wanted * _TAUGHT
        passed: list[str] = []
        for candidate in offered:
            if len(passed) == most:
                break
            reason = self._reason(pair, candidate)
            if reason is None:
                passed.append(candidate)
            else:
                self.refused[reason] += 1
        if self._teacher is None:
            return replace(pair, negatives=tuple(passed), teacher=())
        return self._taught(pair, passed, self._teacher)

    def _reason(self, pair: Pair, candidate: str) -> str | None:
        golds = self._golds[pair.question_id]
        if candidate in golds:
            return "known gold"
        if candidate not in self._texts:
            return "text unknown"
        own = self._documents.get(pair.passage_id, "")
        if pair.source == "title" and own and own == self._documents.get(candidate):
            return "same document"
        is_copy = any(self._resembles(candidate, gold) for gold in golds if gold in self._texts)
        return "near-duplicate" if is_copy else None

    def _taught(self, pair: Pair, candidates: Sequence[str], teacher: Teacher) -> Pair:
        names = [pair.passage_id, *candidates]
        logits = [float(s) for s in teacher(pair.question, [self._texts[name] for name in names])]
        limit = math.log(self._options.margin) + _log_probability(logits[0])
        kept = [at for at in range(1, len(names)) if _log_probability(logits[at]) < limit]
        self.refused["teacher"] += len(candidates) - len(kept)
        chosen = kept[: self._options.per_pair]
        return replace(
            pair,
            negatives=tuple(names[at] for at in chosen),
            teacher=(logits[0], *(logits[at] for at in chosen)),
        )

    def _resembles(self, one: str, other: str) -> bool:
        alike = jaccard(self._shingles(one), self._shingles(other))
        return alike >= self._options.duplicate


def _in_turns(offers: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Passage id → who offered it first, one of each finder after the other."""
    found: dict[str, str] = {}
    for offered in zip_longest(*(_named(name, ids) for name, ids in offers.items())):
        for passage_id, name in filter(None, offered):
            found.setdefault(passage_id, name)
    return found


def _named(name: str, ids: Sequence[str]) -> Iterator[tuple[str, str]]:
    return ((passage_id, name) for passage_id in ids)


def _log_probability(logit: float) -> float:
    """ln σ(logit), which neither overflows nor ends at 0."""
    return -float(np.logaddexp(0.0, -logit))
