"""How many passages hold a word, against counting in Python."""

from __future__ import annotations

from ragdiag.metrics.question_slices import words_of
from ragdiag.records import Passage
from ragdiag.store.corpus import add_documents, remove_documents
from ragdiag.store.lake import Lake
from ragdiag.store.word_counts import count_passages, passages_holding

TEXTS = ["Gates, gates and GATES.", "A naïve gate_2 for HTTP/2.", "Ёлка und Straße: 東京"]


def test_words_are_counted_as_questions_are_split(lake: Lake) -> None:
    add_documents(lake, [Passage(f"p{n}", f"d{n}", text, "Gates") for n, text in enumerate(TEXTS)])
    split = [set(words_of(f"Gates {text}")) for text in TEXTS]
    wanted = {word: sum(word in words for words in split) for words in split for word in words}
    assert passages_holding(lake, [*wanted, "unheard"]) == wanted
    assert wanted["gates"] == 3
    remove_documents(lake, ["d0"])
    assert passages_holding(lake, ["gates", "and"]) == {"gates": 2}
    assert count_passages(lake) == 2
