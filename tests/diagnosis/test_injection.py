"""Each stand-in breaks its own part and leaves the rest."""

from __future__ import annotations

from collections.abc import Sequence

from ragdiag.diagnosis.injection import (
    EXPECTED,
    FAULTS,
    DemotingRetriever,
    DistractedPacker,
    WrongSentenceGenerator,
    applies,
    echoes,
)
from ragdiag.records import Answer, ContextHit, ContextPassage, Hit, Retrieval
from ragdiag.retrieval.filters import STRANGER, PassageFilter


class Listed:
    def retrieve(self, question: str, *, only: PassageFilter = STRANGER) -> Retrieval:
        hits = tuple(Hit(name, score) for name, score in (("gold", 3.0), ("b", 2.0), ("c", 1.0)))
        return Retrieval(fused=hits, lexical=hits)


class Longest:
    """Answers with the longest sentence it reads."""

    name = "longest"

    def answer(self, question: str, context: Sequence[ContextPassage]) -> Answer:
        sentences = [s + "." for p in context for s in p.text.rstrip(".").split(". ")]
        if not sentences:
            return Answer("", status="no_answer")
        return Answer(max(sentences, key=len))


class Nothing:
    def pack(self, hits: Sequence[Hit]) -> tuple[ContextPassage, ...]:
        return (ContextPassage("gold", "It is red."),)

    def read(self, context: Sequence[ContextHit]) -> tuple[ContextPassage, ...]:
        return ()


def test_demoted_passages_come_last_in_fusion_and_stay_in_their_path() -> None:
    found = DemotingRetriever(Listed(), frozenset({"gold"})).retrieve("q")
    assert [hit.passage_id for hit in found.fused] == ["b", "c", "gold"]
    assert found.fused[-1].score <= found.fused[1].score
    assert found.lexical is not None
    assert found.lexical[0].passage_id == "gold"


def test_a_wrong_sentence_is_never_the_one_that_was_meant() -> None:
    context = [ContextPassage("p", "Cats are very much asleep. Dogs bark.")]
    assert Longest().answer("q", context).text == "Cats are very much asleep."
    assert WrongSentenceGenerator(Longest()).answer("q", context).text == "Dogs bark."
    only = [ContextPassage("p", "Cats are asleep.")]
    assert WrongSentenceGenerator(Longest()).answer("q", only).status == "no_answer"


def test_a_span_is_taken_from_a_generator_with_its_sentence() -> None:
    class FirstWord:
        name = "first word"

        def answer(self, question: str, context: Sequence[ContextPassage]) -> Answer:
            return Answer(context[0].text.split()[0] if context else "")

    context = [ContextPassage("p", "Cats are asleep. Dogs bark.")]
    assert FirstWord().answer("q", context).text == "Cats"
    assert WrongSentenceGenerator(FirstWord()).answer("q", context).text == "Dogs"


def test_distractors_go_first_and_gold_stays() -> None:
    packed = DistractedPacker(Nothing(), echoes("What is it?", "q1")).pack(())
    assert [one.passage_id for one in packed][-1] == "gold"
    assert len(packed) == 4
    assert all("what is it" in one.text.lower() for one in packed[:3])


def test_every_fault_has_its_verdict_and_a_missing_path_cannot_be_blinded() -> None:
    assert set(EXPECTED) == set(FAULTS)
    assert not applies("dense_blind", {"lexical"})
    assert applies("context_cut", set())
