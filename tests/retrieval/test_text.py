from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragdiag.errors import InputError, ModelError
from ragdiag.retrieval.text import (
    TokenCounter,
    chunk_document,
    load_tokenizer,
    sentence_spans,
    split_sentences,
)

PIECES = [*"abcZ. \n!?\"')(-*1é。😀", "Dr. ", "e.g. ", ". The "]
PROSE = st.lists(st.sampled_from(PIECES), max_size=200).map("".join)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two? Three!", ["One.", "Two?", "Three!"]),
        ("It rose by 2.5 mg. Then it fell.", ["It rose by 2.5 mg.", "Then it fell."]),
        ("See Fig. 3 and Dr. Smith, e.g. here.", ["See Fig. 3 and Dr. Smith, e.g. here."]),
        ("J. R. Smith wrote U.S. law. It held.", ["J. R. Smith wrote U.S. law.", "It held."]),
        ("Smith et al. Found it.", ["Smith et al. Found it."]),
        ("Masks, gloves, etc. The rest.", ["Masks, gloves, etc.", "The rest."]),
        (
            "Sample No. 5 was lost. No. It was not.",
            ["Sample No. 5 was lost.", "No.", "It was not."],
        ),
        ("So did I. She left.", ["So did I.", "She left."]),
        ('He said "stop." Then he left.', ['He said "stop."', "Then he left."]),
        ("Wait... what? yes.", ["Wait... what?", "yes."]),
        ("A title\n\nA text", ["A title", "A text"]),
        ("Take:\n- one\n- two", ["Take:", "- one", "- two"]),
        ("多喝水。戴口罩！", ["多喝水。", "戴口罩！"]),
        (" \n\t ", []),
        ("", []),
    ],
)
def test_sentences_end_where_a_reader_would_end_them(text: str, expected: list[str]) -> None:
    assert split_sentences(text) == expected


@settings(deadline=None)
@given(PROSE)
def test_sentences_are_slices_with_only_white_space_between(text: str) -> None:
    rest, position = "", 0
    for start, end in sentence_spans(text):
        assert start >= position
        assert text[start:end] == text[start:end].strip() != ""
        rest += text[position:start]
        position = end
    assert (rest + text[position:]).strip() == ""


@pytest.mark.parametrize("text", ["\n" * 50_000, "." * 50_000, "\n ." * 20_000, " " * 50_000 + "."])
def test_splitting_takes_linear_time_on_degenerate_text(text: str) -> None:
    started = time.process_time()
    split_sentences(text)
    assert time.process_time() - started < 5


def test_tokens_are_those_of_the_packaged_model() -> None:
    tokens = load_tokenizer()
    assert tokens.count("") == 0
    assert tokens.count("hello world") == 2
    assert tokens.count("word " * 1000) == 1000  # the file itself asks for truncation at 128
    assert load_tokenizer() is tokens


def test_a_broken_tokenizer_is_named(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text("{}")
    with pytest.raises(ModelError, match=r"tokenizer\.json"):
        TokenCounter(path)


@settings(deadline=None)
@given(PROSE, st.integers(8, 20))
def test_chunks_cover_the_text_and_fit(text: str, max_tokens: int) -> None:
    tokens = load_tokenizer()
    chunks = chunk_document("doc", text, "Title", max_tokens, tokens)
    position, between = 0, ""
    for number, chunk in enumerate(chunks):
        start = text.index(chunk.text, position)
        between += text[position:start]
        position = start + len(chunk.text)
        assert tokens.count(chunk.text) <= max_tokens
        assert (chunk.passage_id, chunk.position) == (f"doc#{number}", number)
    assert (between + text[position:]).strip() == ""


def test_chunks_keep_sentences_whole_where_they_fit() -> None:
    text = "One two three. Four five six. Seven eight nine ten. Eleven."
    chunks = chunk_document("d", text, "T", 9, load_tokenizer())
    assert [chunk.text for chunk in chunks] == [
        "One two three. Four five six.",
        "Seven eight nine ten. Eleven.",
    ]
    assert {(chunk.document_id, chunk.title) for chunk in chunks} == {("d", "T")}


def test_a_long_sentence_is_cut_between_words_and_a_long_word_within() -> None:
    tokens = load_tokenizer()
    chunks = chunk_document("d", "alpha beta gamma delta " * 10, "", 12, tokens)
    assert all(chunk.text.split()[0] in ("alpha", "beta", "gamma", "delta") for chunk in chunks)
    genome = "acgt" * 24  # under 100 letters, above which the tokenizer sees one unknown word
    pieces = chunk_document("d", genome, "", 8, tokens)
    assert "".join(piece.text for piece in pieces) == genome
    assert len(pieces) > 1


def test_passages_of_no_length_are_refused() -> None:
    with pytest.raises(InputError, match="7 tokens"):
        chunk_document("d", "text", "", 7, load_tokenizer())
