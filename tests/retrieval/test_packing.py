from __future__ import annotations

import pytest

from ragdiag.errors import IndexFault
from ragdiag.records import ContextHit, Hit, Passage
from ragdiag.retrieval.packing import Packer
from ragdiag.retrieval.text import load_tokenizer
from ragdiag.version import ContextSpec

LONG = "One two three four five. Six seven eight nine ten. Eleven twelve."
PASSAGES = {
    passage.passage_id: passage
    for passage in (
        Passage("a", "d", "Ten words are in this one, counting the last word."),
        Passage("b", "d", LONG, "Numbers"),
        Passage("c", "d", "Short."),
    )
}
HITS = [Hit("a", 0.9), Hit("b", 0.8), Hit("c", 0.7)]


def packed(k: int, max_tokens: int, hits: list[Hit] = HITS) -> list[tuple[str, str]]:
    spec = ContextSpec(k=k, max_tokens=max_tokens)
    context = Packer(PASSAGES, spec, load_tokenizer()).pack(hits)
    return [(passage.passage_id, passage.text) for passage in context]


def test_the_first_k_are_packed_whole_where_there_is_room() -> None:
    assert packed(2, 1000) == [("a", PASSAGES["a"].text), ("b", LONG)]
    assert packed(5, 1000, []) == []


def test_hits_keep_their_title_and_score() -> None:
    context = Packer(PASSAGES, ContextSpec(), load_tokenizer()).pack(HITS)
    assert [(p.title, p.score) for p in context] == [("", 0.9), ("Numbers", 0.8), ("", 0.7)]


@pytest.mark.parametrize(
    ("max_tokens", "kept"),
    [
        (28, LONG),  # 12 for a, 1 for the title, 15 for b
        (27, "One two three four five. Six seven eight nine ten."),
        (24, "One two three four five."),
    ],
)
def test_what_does_not_fit_is_cut_at_a_sentence_end(max_tokens: int, kept: str) -> None:
    tokens = load_tokenizer()
    assert tokens.count(PASSAGES["a"].text) == 12
    assert tokens.count(LONG) == 15
    assert packed(2, max_tokens) == [("a", PASSAGES["a"].text), ("b", kept)]


def test_nothing_follows_a_passage_that_did_not_fit() -> None:
    assert packed(3, 18) == [("a", PASSAGES["a"].text)]
    assert packed(3, 24)[1:] == [("b", "One two three four five.")]


def test_a_hit_without_a_passage_is_named() -> None:
    with pytest.raises(IndexFault, match="passage gone is in the index but not in the corpus"):
        packed(1, 100, [Hit("gone", 1.0)])


def test_a_context_is_read_as_it_was_packed() -> None:
    packer = Packer(PASSAGES, ContextSpec(max_tokens=24), load_tokenizer())
    context = packer.pack(HITS)
    hits = [ContextHit(p.passage_id, p.score, len(p.text)) for p in context]
    assert packer.read(hits) == context
