"""Faults with a known cause, each put into one working part of a real pipeline (METHODS.md §12).

Every fault is a part that stands in for another (``Pipeline.with_parts``), so what it does shows in
the request as it would in operation, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from ragdiag.generation.generator import Generator
from ragdiag.pipeline import ContextPacker, Retriever
from ragdiag.records import Answer, ContextHit, ContextPassage, Hit, Passage, Retrieval, Verdict
from ragdiag.retrieval.filters import STRANGER, PassageFilter
from ragdiag.retrieval.hybrid import HybridRetriever
from ragdiag.retrieval.text import split_sentences

Fault = Literal[
    "gold_not_indexed",
    "dense_blind",
    "lexical_blind",
    "gold_demoted",
    "context_cut",
    "distractors_added",
    "wrong_sentence",
    "label_swapped",
]
FAULTS: tuple[Fault, ...] = get_args(Fault)


@dataclass(frozen=True, slots=True)
class Expected:
    verdict: Verdict
    what: str


EXPECTED: Mapping[Fault, Expected] = {
    "gold_not_indexed": Expected("corpus", "the index lacks every gold passage"),
    "dense_blind": Expected("retrieval", "the embedder is given the question's first word only"),
    "lexical_blind": Expected("retrieval", "BM25 is given the question's first word only"),
    "gold_demoted": Expected("retrieval", "fusion puts the gold passages last"),
    "context_cut": Expected("packing", "the prompt takes few tokens of context"),
    "distractors_added": Expected("distraction", "passages that repeat the question go first"),
    "wrong_sentence": Expected("generator", "the generator may not use its best sentences"),
    "label_swapped": Expected("label_suspect", "the gold answer is another question's"),
}
"""The verdict that each fault must get, fixed before anything runs."""

CUT_TOKENS = 40
DISTRACTORS = 3


def first_word(question: str) -> str:
    """What a path that was cut off still sees of a question.

    >>> first_word("How long do cats sleep?")
    'How'
    """
    return question.split(maxsplit=1)[0]


@dataclass(frozen=True)
class BlindRetriever:
    """One path sees the question's first word; the other is as it was."""

    retriever: HybridRetriever
    path: Literal["dense", "lexical"]

    def retrieve(self, question: str, *, only: PassageFilter = STRANGER) -> Retrieval:
        seen = first_word(question)
        dense, lexical = (seen, question) if self.path == "dense" else (question, seen)
        embedding = self.retriever.embed(dense)
        return self.retriever.retrieve(lexical, only=only, embedding=embedding)


@dataclass(frozen=True)
class DemotingRetriever:
    """Fusion that puts some passages behind all others."""

    retriever: Retriever
    demoted: frozenset[str]

    def retrieve(self, question: str, *, only: PassageFilter = STRANGER) -> Retrieval:
        found = self.retriever.retrieve(question, only=only)
        last = tuple(hit for hit in found.fused if hit.passage_id in self.demoted)
        first = tuple(hit for hit in found.fused if hit.passage_id not in self.demoted)
        if not (first and last):
            return found
        lowest = first[-1].score
        moved = tuple(Hit(hit.passage_id, lowest) for hit in last)
        return replace(found, fused=first + moved)


@dataclass(frozen=True)
class DistractedPacker:
    """A prompt that begins with passages nobody retrieved."""

    packer: ContextPacker
    distractors: tuple[Passage, ...]

    def pack(self, hits: Sequence[Hit]) -> tuple[ContextPassage, ...]:
        put = tuple(ContextPassage(p.passage_id, p.text) for p in self.distractors)
        return put + self.packer.pack(hits)

    def read(self, context: Sequence[ContextHit]) -> tuple[ContextPassage, ...]:
        return self.packer.read(context)


def echoes(question: str, question_id: str) -> tuple[Passage, ...]:
    """Passages that repeat a question and answer nothing, as forums and logs are full of."""
    said = question.rstrip("?.! ")
    texts = (
        f"{said}? Nobody has answered this question yet.",
        f"Somebody asked: {said}? The thread was closed.",
        f"See also the discussion of {said[:1].lower()}{said[1:]}?",
    )
    return tuple(
        Passage(f"{question_id}/echo-{n}", f"{question_id}/echo-{n}", text)
        for n, text in enumerate(texts[:DISTRACTORS], start=1)
    )


@dataclass(frozen=True)
class WrongSentenceGenerator:
    """A generator that answers without the sentences its first answer was made of, or stood in."""

    generator: Generator

    @property
    def name(self) -> str:
        return self.generator.name

    def answer(self, question: str, context: Sequence[ContextPassage]) -> Answer:
        """Raises as the generator's own."""
        meant = self.generator.answer(question, context)
        left = tuple(_without(passage, meant.text) for passage in context)
        return self.generator.answer(question, [one for one in left if one.text])


def _without(passage: ContextPassage, said: str) -> ContextPassage:
    """The passage without the sentences that stand in ``said``, or hold it."""

    def is_used(sentence: str) -> bool:
        return sentence in said or (said != "" and said in sentence)

    said = said.strip()
    kept = [part for part in split_sentences(passage.text) if not is_used(part.strip())]
    return replace(passage, text=" ".join(kept))


def applies(fault: Fault, paths: Collection[str]) -> bool:
    """Whether a version with these paths (``dense``, ``lexical``) has the part that breaks."""
    needed = {"dense_blind": "dense", "lexical_blind": "lexical"}.get(fault)
    return needed is None or needed in paths
