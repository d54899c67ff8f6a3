from __future__ import annotations

import errno
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ragdiag.errors import IndexFault, KeyMissing, StoreFull
from ragdiag.privacy.keys import Key, Keyring, new_key
from ragdiag.progress import Progress
from ragdiag.records import Passage
from ragdiag.retrieval import vectors as module
from ragdiag.retrieval.vectors import (
    EmbeddingCache,
    Vectors,
    embed_passages,
    open_cache,
    passage_text,
)
from ragdiag.settings import Workspace


def write_many(directory: Path, writer: int) -> None:
    """What one process of several writes: twenty blocks, the same content in each process."""
    cache = EmbeddingCache(directory)
    for block in range(20):
        vector = np.full(4, block, dtype=np.float32)
        cache.write("model", {f"{block:064d}": vector})


def test_only_what_is_missing_is_embedded(
    tmp_path: Path, passages: list[Passage], toy_encoder: Any
) -> None:
    cache = EmbeddingCache(tmp_path)
    first = embed_passages(passages[:4], toy_encoder, cache)
    toy_encoder.encoded.clear()
    both = embed_passages(passages[::-1], toy_encoder, EmbeddingCache(tmp_path))
    assert sorted(toy_encoder.encoded) == sorted(passage.text for passage in passages[4:])
    assert both[::-1][:4].tolist() == first.tolist()
    assert both[::-1] == pytest.approx(toy_encoder.encode([p.text for p in passages]))


def test_equal_passages_are_embedded_once_and_models_are_kept_apart(
    tmp_path: Path, passages: list[Passage], toy_encoder: Any
) -> None:
    twin = Passage("other", "d", passages[0].text, passages[0].title)
    embedded = embed_passages([passages[0], twin], toy_encoder, EmbeddingCache(tmp_path))
    assert embedded[0].tolist() == embedded[1].tolist()
    assert len(toy_encoder.encoded) == 1
    toy_encoder.model_hash = "another"
    embed_passages([twin], toy_encoder, EmbeddingCache(tmp_path))
    assert len(toy_encoder.encoded) == 2


def test_a_killed_run_goes_on_after_its_last_block(
    tmp_path: Path, passages: list[Passage], toy_encoder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BLOCK", 2)
    encode = toy_encoder.encode

    def killed(texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        if len(toy_encoder.encoded) == 4:
            raise KeyboardInterrupt
        vectors: Vectors = encode(texts, progress)
        return vectors

    monkeypatch.setattr(toy_encoder, "encode", killed)
    with pytest.raises(KeyboardInterrupt):
        embed_passages(passages, toy_encoder, EmbeddingCache(tmp_path))
    monkeypatch.setattr(toy_encoder, "encode", encode)
    toy_encoder.encoded.clear()
    embed_passages(passages, toy_encoder, EmbeddingCache(tmp_path))
    assert len(toy_encoder.encoded) == 2


def test_a_damaged_block_is_embedded_again(
    tmp_path: Path, passages: list[Passage], toy_encoder: Any
) -> None:
    cache = EmbeddingCache(tmp_path)
    expected = embed_passages(passages, toy_encoder, cache)
    (block,) = (tmp_path / "toy").glob("*.npz")
    damaged = bytearray(block.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    block.write_bytes(damaged)
    assert embed_passages(passages, toy_encoder, cache).tolist() == expected.tolist()
    assert len(toy_encoder.encoded) == 2 * len(passages)


@pytest.mark.parametrize(("value", "norm"), [(np.nan, "nan"), (np.inf, "inf"), (0.0, "0")])
def test_a_bad_vector_is_refused_by_the_name_of_its_passage(
    value: float,
    norm: str,
    tmp_path: Path,
    passages: list[Passage],
    toy_encoder: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    encode = toy_encoder.encode

    def spoilt(texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        vectors: Vectors = encode(texts, progress)
        vectors[list(texts).index(passages[2].text)] = value
        return vectors

    monkeypatch.setattr(toy_encoder, "encode", spoilt)
    with pytest.raises(IndexFault, match=rf"passage p2 has norm {norm}, not 1 \(1 such of 6\)"):
        embed_passages(passages, toy_encoder, EmbeddingCache(tmp_path))
    assert not list(tmp_path.rglob("*.npz"))


def test_a_full_disk_is_named_and_leaves_nothing(
    tmp_path: Path, passages: list[Passage], toy_encoder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, **arrays: Vectors) -> None:
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(StoreFull, match="free some space"):
        embed_passages(passages, toy_encoder, EmbeddingCache(tmp_path))
    assert not list((tmp_path / "toy").iterdir())


def test_several_processes_share_a_cache(tmp_path: Path) -> None:
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        list(pool.map(write_many, [tmp_path] * 2, range(2)))
    found = EmbeddingCache(tmp_path).read("model", {f"{block:064d}" for block in range(20)})
    assert {int(key): vector.tolist() for key, vector in found.items()} == {
        block: [float(block)] * 4 for block in range(20)
    }


def test_the_title_goes_above_the_text_where_asked() -> None:
    passage = Passage("p", "d", "text", "title")
    assert passage_text(passage, title=True) == "title\ntext"
    assert passage_text(passage, title=False) == "text"
    assert passage_text(Passage("p", "d", "text"), title=True) == "text"


def test_progress_runs_to_its_end(
    tmp_path: Path, passages: list[Passage], toy_encoder: Any
) -> None:
    seen: list[tuple[float, str]] = []
    cache = EmbeddingCache(tmp_path)
    embed_passages(passages, toy_encoder, cache, lambda *told: seen.append(told))
    embed_passages(passages, toy_encoder, cache, lambda *told: seen.append(told))
    assert seen == [
        (1.0, "embedding passages 1–6 of 6"),
        (1.0, "6 passages were embedded before"),
    ]


def test_an_encrypted_cache_reads_with_its_key_and_names_the_key_it_lacks(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace.root.mkdir()
    plain = open_cache(workspace)
    plain.write("model", {f"{0:064d}": np.ones(3, np.float32)})
    workspace.configuration.write_text("[privacy]\nencrypt = ['embeddings']\n")
    monkeypatch.delenv("RAGDIAG_KEY", raising=False)
    with pytest.raises(KeyMissing, match="RAGDIAG_KEY holds no key"):
        open_cache(workspace)
    monkeypatch.setenv("RAGDIAG_KEY", new_key())
    sealed = open_cache(workspace)
    sealed.write("model", {f"{1:064d}": np.full(3, 7, np.float32)})
    (block,) = workspace.embeddings.rglob("*.enc")
    assert np.full(3, 7, np.float32).tobytes() not in block.read_bytes()
    both = {f"{0:064d}", f"{1:064d}"}
    assert {name: row[0] for name, row in sealed.read("model", both).items()} == {
        f"{0:064d}": 1.0,
        f"{1:064d}": 7.0,
    }
    monkeypatch.setenv("RAGDIAG_KEY", new_key())
    with pytest.raises(KeyMissing, match="RAGDIAG_KEY has another"):
        open_cache(workspace).read("model", both)
    assert block.is_file(), "a key that is missing damages nothing"


def test_a_damaged_encrypted_block_is_computed_again(
    tmp_path: Path, toy_encoder: Any, passages: list[Passage]
) -> None:
    ring = Keyring("RAGDIAG_KEY", (Key(b"k" * 32),))
    cache = EmbeddingCache(tmp_path, seal=ring, keys=ring)
    first = embed_passages(passages, toy_encoder, cache)
    (block,) = tmp_path.rglob("*.enc")
    block.write_bytes(block.read_bytes()[:-20] + bytes(20))
    np.testing.assert_array_equal(embed_passages(passages, toy_encoder, cache), first)


def test_a_passage_may_have_a_vector_for_each_word_piece(tmp_path: Path) -> None:
    ring = Keyring("RAGDIAG_KEY", (Key(b"k" * 32),))
    rows = {name * 64: np.full((n, 2), n, np.int8) for n, name in enumerate("abc")}
    for cache in (
        EmbeddingCache(tmp_path / "plain"),
        EmbeddingCache(tmp_path, seal=ring, keys=ring),
    ):
        cache.write("pieces", rows)
        found = cache.read("pieces", set(rows))
        assert {name: row.tolist() for name, row in found.items()} == {
            name: row.tolist() for name, row in rows.items()
        }
        assert found["b" * 64].dtype == np.int8
        assert cache.forget(["b" * 64]) == 1
        assert cache.read("pieces", set(rows)).keys() == {"a" * 64, "c" * 64}
    assert EmbeddingCache(tmp_path, keys=ring).reseal() == 1
    assert EmbeddingCache(tmp_path).read("pieces", {"c" * 64})["c" * 64].shape == (2, 2)


def test_vectors_are_forgotten_by_content_and_the_others_stay(tmp_path: Path) -> None:
    ring = Keyring("RAGDIAG_KEY", (Key(b"k" * 32),))
    for cache in (EmbeddingCache(tmp_path), EmbeddingCache(tmp_path, seal=ring, keys=ring)):
        cache.write("model", {name * 64: np.ones(2, np.float32) for name in "abc"})
        cache.write("other", {"a" * 64: np.ones(2, np.float32)})
    cache = EmbeddingCache(tmp_path, seal=ring, keys=ring)
    assert cache.forget(["a" * 64, "z" * 64]) == 4
    assert cache.read("model", {"a" * 64, "b" * 64, "c" * 64}).keys() == {"b" * 64, "c" * 64}
    assert cache.read("other", {"a" * 64}) == {}
    assert cache.forget(["a" * 64]) == 0
