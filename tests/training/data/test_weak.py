"""Pairs without labels: no question is left in its own answer, and BM25 counts where it is sure."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ragdiag.records import Passage
from ragdiag.training.data.similarity import contains_question
from ragdiag.training.data.weak import WeakOptions, pairs_from_bm25, pairs_from_titles
from ragdiag.version import LexicalSpec
from tests.conftest import TOY_PASSAGES
from tests.training.mining import asked

REST = "The lid is lifted first and the filter is put in before any water."


def test_titles_and_first_sentences_become_questions_and_leave_their_text() -> None:
    passages = [
        Passage("d1#1", "d1", f"Then it goes on. {REST}", "Brewing green tea", 1),
        Passage("d1#0", "d1", f"This is about brewing, green tea. {REST}", "Brewing green tea", 0),
        Passage("d2", "d2", f"Pots are made of clay. {REST}", "Introduction to it"),
        Passage("d3", "d3", f"Cups break when dropped. {REST}", "Introduction to it"),
        Passage("d4", "d4", "Too short. To split.", "A title that could ask"),
        Passage("d5", "d5", f"Once. {REST} Once again it says: Once.", ""),
    ]
    found = pairs_from_titles(passages)
    assert {pair.passage_id: pair.question for pair in found.pairs} == {
        "d1#1": "Then it goes on.",
        "d1#0": "Brewing green tea",
        "d2": "Pots are made of clay.",
        "d3": "Cups break when dropped.",
    }
    assert set(found.texts.values()) == {REST}
    assert {pair.weight for pair in found.pairs} == {0.5}
    assert found.skipped == {"no title or first sentence to ask with": ["d4", "d5"]}


WORD = st.sampled_from(["red", "tea", "is", "hot", "and", "the", "pot", "of", "clay"])
WORDS = st.lists(WORD, min_size=1, max_size=9)


@given(st.lists(WORDS, min_size=1, max_size=6), WORDS)
def test_no_question_is_left_in_its_text(sentences: list[list[str]], title: list[str]) -> None:
    text = " ".join(" ".join(words).capitalize() + "." for words in sentences)
    found = pairs_from_titles([Passage("p", "d", text, " ".join(title))], WeakOptions(least_left=1))
    for pair in found.pairs:
        assert not contains_question(found.texts["p"], pair.question)
        assert all(word in text for word in found.texts["p"].split())


def test_bm25_gives_pairs_only_where_its_first_is_well_ahead() -> None:
    passages = [Passage(name, name, text) for name, text in TOY_PASSAGES.items()]
    passages.append(Passage("moon2", "moon2", TOY_PASSAGES["moon"]))
    requests = [
        asked("r1", "How is sourdough bread baked with wild yeast?", day=3),
        asked("r2", "how is sourdough bread baked with wild yeast", day=1),
        asked("r3", "Which way does the Moon circle the Earth?"),
        asked("r4", "Nothing that anybody knows?"),
    ]
    found = pairs_from_bm25(requests, passages, LexicalSpec())
    (pair,) = found.pairs
    assert (pair.passage_id, pair.source, pair.request_ids) == ("bread", "bm25", ("r1", "r2"))
    assert "r1" not in pair.question_id
    assert found.skipped == {"BM25 has no clear first": ["r3", "r4"]}
    assert pairs_from_bm25([], passages, LexicalSpec()).pairs == ()
