"""A corpus cut into passages of another size: no word is lost, and nothing stays behind."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragdiag.errors import InputError
from ragdiag.records import Passage, PassageMetadata
from ragdiag.retrieval.text import chunk_document, load_tokenizer
from ragdiag.version import parse_spec
from ragdiag.workflows.diagnosing import recut as cutting
from ragdiag.workflows.diagnosing.recut import recut, sizes_to_try

SENTENCES = [f"Gate {n} opens at {n} o'clock and closes at noon." for n in range(12)]
LEXICAL = parse_spec("[lexical]\n[generator]\nkind = 'extractive'", source="toy")
MILVUS = parse_spec(
    "[embedder]\n[ann]\nengine = 'milvus'\nuri = 'http://localhost:1'\n"
    "[generator]\nkind = 'extractive'",
    source="toy",
)


def passages(size: int) -> list[Passage]:
    return chunk_document("doc", " ".join(SENTENCES), "Gates", size, load_tokenizer())


def words(found: list[Passage]) -> list[str]:
    return " ".join(one.text for one in found).split()


@settings(max_examples=20, deadline=None)
@given(st.integers(16, 120), st.integers(16, 200))
def test_no_word_is_lost_and_none_is_longer_than_asked(before: int, after: int) -> None:
    cut = recut(passages(before), after)
    assert words(cut) == words(passages(before))
    assert all(load_tokenizer().count(one.text) <= after for one in cut)
    assert [one.passage_id for one in cut] == [f"doc#{n}" for n in range(len(cut))]
    assert {one.title for one in cut} == {"Gates"}


def test_the_same_size_gives_the_same_passages() -> None:
    assert [one.text.split() for one in recut(passages(40), 40)] == [
        one.text.split() for one in passages(40)
    ]


def test_passages_of_different_readers_are_never_joined() -> None:
    secret = PassageMetadata(roles=("board",))
    mixed = [
        Passage("d#0", "d", "Everybody knows this.", position=0),
        Passage("d#1", "d", "The board alone knows this.", position=1, metadata=secret),
    ]
    cut = recut(mixed, 100)
    assert [(one.passage_id, one.metadata.roles) for one in cut] == [
        ("d#0", ()),
        ("d#1", ("board",)),
    ]


def test_half_and_twice_the_size_are_tried_with_as_much_text_in_the_prompt() -> None:
    found = sizes_to_try(LEXICAL, passages(40))
    small, large = (one.chunk_tokens or 0 for one in found)
    assert abs(large - 4 * small) <= 3
    assert [one.spec.context.k for one in found] == [10, 2]


def test_a_large_corpus_is_cut_when_asked() -> None:
    with pytest.raises(InputError, match=r"passages are more than 3.*--set chunk_tokens=N"):
        sizes_to_try(LEXICAL, passages(20), most=3)


def test_what_cannot_be_tried_says_why() -> None:
    alone = [Passage("d", "d", "One short sentence.")]
    with pytest.raises(InputError, match="neither half nor twice the size makes others"):
        sizes_to_try(LEXICAL, alone)
    with pytest.raises(InputError, match="Milvus holds the vectors"):
        sizes_to_try(MILVUS, passages(40))


def test_nothing_is_left_of_a_trial(tmp_path: Path) -> None:
    workspace = cutting.Workspace(tmp_path)

    class Passages:
        passages = sorted(passages(40), key=lambda one: one.position)

        def over(self, index: object, found: list[Passage]) -> list[Passage]:
            return found

    with cutting.recut_what_if(Passages(), LEXICAL, workspace, 20) as cut:  # type: ignore[arg-type]
        assert list(workspace.indexes.iterdir())
        assert f"{len(cut.what_if)} passages in place of" in cut.note  # type: ignore[arg-type]
    assert not list(workspace.indexes.iterdir())
