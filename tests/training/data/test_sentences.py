"""Sentences as questions: each leads to the one passage that holds it, in its own words."""

from __future__ import annotations

import re

from ragdiag.records import Passage
from ragdiag.training.data.sentences import pairs_from_sentences

KETTLES = "The kettle of the north wing boils within three minutes of being filled to its mark."
PUMPS = "A pump that stands idle all winter has to be primed by hand before the first rain."
BOTH = "This page was last read and agreed upon by the whole committee in the spring."
PASSAGES = [
    Passage("kettles", "d1", f"{KETTLES} {BOTH} Short one."),
    Passage("pumps", "d2", f"{PUMPS}\n\n{BOTH}"),
]


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def test_a_sentence_leads_to_the_passage_that_alone_holds_it() -> None:
    for seed in range(12):
        pairs = pairs_from_sentences(PASSAGES, most=9, seed=seed).pairs
        assert {pair.passage_id for pair in pairs} == {"kettles", "pumps"}
        assert len(pairs) == 2, "what two passages say, and what is short, asks nothing"
        for pair, sentence in ((p, KETTLES if p.passage_id == "kettles" else PUMPS) for p in pairs):
            said = words(pair.question)
            assert pair.source == "sentence"
            assert sum(word in words(sentence) for word in said) >= len(said) - 2
            assert len(said) >= 3


def test_all_three_forms_are_there_and_the_seed_decides() -> None:
    drawn = {
        seed: {
            p.passage_id: p.question
            for p in pairs_from_sentences(PASSAGES, most=9, seed=seed).pairs
        }
        for seed in range(30)
    }
    asked = [one["kettles"] for one in drawn.values()]
    assert KETTLES in asked
    assert any(one.endswith("?") for one in asked)
    assert any("?" not in one and one != KETTLES and "the" not in words(one) for one in asked)
    again = pairs_from_sentences(PASSAGES, most=9, seed=3).pairs
    assert {p.passage_id: p.question for p in again} == drawn[3]
    assert len(pairs_from_sentences(PASSAGES, most=1).pairs) == 1
