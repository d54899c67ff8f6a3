from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from ragdiag.errors import IndexFault, ModelError
from ragdiag.records import Passage
from ragdiag.retrieval.embed import load_embedder
from ragdiag.retrieval.vectors import EmbeddingCache, embed_passages
from ragdiag.version import PACKAGED_MODEL, EmbedderSpec

TEXTS = ["short", "a rather longer text about masks", "and one of middling length"]


def test_vectors_are_unit_float32_in_the_order_of_the_texts(tiny_model: Path) -> None:
    seen: list[float] = []
    embedder = load_embedder(str(tiny_model))
    vectors = embedder.encode(TEXTS, lambda fraction, _: seen.append(fraction))
    assert (vectors.dtype, vectors.shape) == (np.float32, (3, 16))
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1, 1], abs=1e-5)
    for text, vector in zip(TEXTS, vectors, strict=True):
        assert embedder.encode([text])[0] == pytest.approx(vector, abs=1e-5)
    assert seen == [1.0]
    assert embedder.encode([]).shape == (0, 16)


def test_a_few_texts_take_one_thread_and_leave_the_setting_as_it_was(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    embedder = load_embedder(str(tiny_model))
    before = torch.get_num_threads()
    used: list[int] = []
    whole = embedder.model.encode

    def encode(texts: list[str], **options: object) -> object:
        used.append(torch.get_num_threads())
        return whole(texts, **options)

    monkeypatch.setattr(embedder.model, "encode", encode)
    embedder.encode(TEXTS[:1])
    embedder.encode(TEXTS * 2)
    assert used == [1, before]
    assert torch.get_num_threads() == before


def test_a_model_is_loaded_once_and_again_when_it_changed(tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    first = load_embedder(str(folder))
    assert load_embedder(EmbedderSpec(model=str(folder))) is first
    (folder / "1_Pooling" / "note.json").write_text("{}")
    assert load_embedder(str(folder)) is not first


def test_a_text_is_cut_at_max_tokens(tiny_model: Path) -> None:
    embedder = load_embedder(EmbedderSpec(model=str(tiny_model), max_tokens=8))
    assert embedder.max_tokens == 8
    same = embedder.encode(["abcdef", "abcdef and more that nobody reads"])
    assert same[0] == pytest.approx(same[1], abs=1e-5)
    with pytest.raises(ModelError, match=r"max_tokens = 33, but .* reads 32 tokens"):
        load_embedder(EmbedderSpec(model=str(tiny_model), max_tokens=33))


def test_an_adapter_changes_vectors_and_hash(tiny_model: Path, plain_adapter: Path) -> None:
    plain = load_embedder(str(tiny_model))
    tuned = load_embedder(EmbedderSpec(model=str(tiny_model), adapter=str(plain_adapter)))
    assert tuned.model_hash != plain.model_hash
    assert np.abs(tuned.encode(TEXTS) - plain.encode(TEXTS)).max() > 1e-3


@pytest.mark.parametrize("fault", ["weights", "keys", "targets"])
def test_an_adapter_that_does_not_fit_is_named(
    fault: str, tiny_model: Path, plain_adapter: Path, tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "adapter"
    shutil.copytree(plain_adapter, folder)
    weights = folder / "adapter_model.safetensors"
    if fault == "weights":
        weights.write_bytes(b"broken")
    elif fault == "keys":
        kept = dict(list(load_file(weights).items())[:1])
        save_file(kept, weights)
    else:
        config = json.loads((folder / "adapter_config.json").read_text())
        config["target_modules"] = ["q_proj"]
        (folder / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=r"adapter at .* does not fit the model"):
        load_embedder(EmbedderSpec(model=str(tiny_model), adapter=str(folder)))


def test_a_broken_model_is_named(tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    next(folder.rglob("model.safetensors")).write_bytes(b"broken")
    with pytest.raises(ModelError, match="cannot load the model"):
        load_embedder(str(folder))


def test_nan_weights_are_found_before_they_reach_an_index(tiny_model: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    path = next(folder.rglob("model.safetensors"))
    weights = load_file(path)
    weights["embeddings.LayerNorm.weight"].fill_(float("nan"))
    save_file(weights, path, metadata={"format": "pt"})
    passages = [Passage("p7", "d", "text")]
    with pytest.raises(IndexFault, match="passage p7 has norm nan"):
        embed_passages(passages, load_embedder(str(folder)), EmbeddingCache(tmp_path / "cache"))


@pytest.mark.slow
def test_the_packaged_model_knows_what_is_near() -> None:
    embedder = load_embedder(PACKAGED_MODEL)
    assert (embedder.dimension, embedder.max_tokens) == (384, 256)
    question, near, far = embedder.encode(
        ["How does the virus spread?", "Droplets transmit the infection.", "Bread needs yeast."]
    )
    assert question @ near > question @ far + 0.2
