"""An adapter is merged over the weights and on the side it was made for, or refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ragdiag.errors import ModelError
from ragdiag.retrieval.adapters import (
    MANIFEST,
    AdapterManifest,
    base_hash,
    check_adapters,
    read_manifest,
    write_manifest,
)
from ragdiag.retrieval.embed import load_embedder, load_question_encoder
from ragdiag.retrieval.files import sha256_file
from ragdiag.retrieval.models import PACKAGED_SHA256, model_identity
from ragdiag.retrieval.onnx_export import export_model
from ragdiag.version import PACKAGED_MODEL, EmbedderSpec, Spec, Version

TEXTS = ["short", "a rather longer text about masks"]
WEIGHTS = "adapter_model.safetensors"

Make = Callable[..., Path]


@pytest.fixture
def made(plain_adapter: Path, tiny_model: Path, tmp_path: Path) -> Make:
    def make(**changes: object) -> Path:
        folder = tmp_path / "adapter"
        shutil.copytree(plain_adapter, folder)
        manifest = AdapterManifest(
            base="tiny",
            base_sha256=base_hash(str(tiny_model)),
            method="query-lora",
            data_hash="d" * 64,
            side="questions",
            files={WEIGHTS: sha256_file(folder / WEIGHTS)},
        )
        write_manifest(folder, replace(manifest, **changes))
        return folder

    return make


def test_a_question_adapter_turns_questions_and_leaves_passages(
    tiny_model: Path, made: Make
) -> None:
    before = EmbedderSpec(model=str(tiny_model))
    after = before.model_copy(update={"question_adapter": str(made())})
    passages, tuned = load_embedder(after), load_question_encoder(after)
    assert passages is load_embedder(before)
    assert model_identity(after) == model_identity(before) == passages.model_hash
    assert tuned.model_hash != passages.model_hash
    assert np.abs(tuned.encode(TEXTS) - passages.encode(TEXTS)).max() > 1e-3
    both = load_embedder(
        EmbedderSpec(model=str(tiny_model), adapter=str(_without_manifest(after.question_adapter)))
    )
    assert tuned.encode(TEXTS) == pytest.approx(both.encode(TEXTS), abs=1e-6)


def _without_manifest(adapter: str | None) -> Path:
    assert adapter is not None
    folder = Path(adapter).with_name("bare")
    shutil.copytree(adapter, folder)
    (folder / MANIFEST).unlink()
    return folder


def test_it_is_another_version_over_the_same_index(made: Make) -> None:
    held = {"lexical": {}, "generator": {"kind": "extractive"}}
    before = Spec.model_validate({"embedder": {}, **held})
    after = Spec.model_validate({"embedder": {"question_adapter": str(made())}, **held})
    assert after.index_key == before.index_key
    assert Version("v", after).version_id != Version("v", before).version_id


def test_one_of_another_model_is_refused(tiny_model: Path, made: Make) -> None:
    folder = str(made())
    other = EmbedderSpec(model=PACKAGED_MODEL, question_adapter=folder)
    for refuse in (check_adapters, load_question_encoder):
        with pytest.raises(ModelError, match=r"was trained on tiny \(.*not on all-MiniLM"):
            refuse(other)
    merged = EmbedderSpec(
        model=str(tiny_model), adapter=str(_without_manifest(folder)), question_adapter=folder
    )
    with pytest.raises(ModelError, match=r"not on .* with .*bare"):
        check_adapters(merged)


def test_each_adapter_serves_the_side_that_it_was_trained_for(tiny_model: Path, made: Make) -> None:
    folder = made()
    with pytest.raises(ModelError, match=r"for questions alone; name it as question_adapter"):
        load_embedder(EmbedderSpec(model=str(tiny_model), adapter=str(folder)))
    shutil.rmtree(folder)
    both = str(made(side="both"))
    load_embedder(EmbedderSpec(model=str(tiny_model), adapter=both))
    wrong = EmbedderSpec(model=str(tiny_model), question_adapter=both)
    with pytest.raises(ModelError, match="was trained with the passages"):
        load_question_encoder(wrong)
    bare = EmbedderSpec(model=str(tiny_model), question_adapter=str(_without_manifest(both)))
    with pytest.raises(ModelError, match=r"has no ragdiag-adapter\.json"):
        load_question_encoder(bare)


def test_changed_bytes_are_refused(tiny_model: Path, made: Make) -> None:
    folder = made()
    spec = EmbedderSpec(model=str(tiny_model), question_adapter=str(folder))
    check_adapters(spec)
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:-1] + b"x")
    with pytest.raises(ModelError, match=r"adapter_model\.safetensors is not the file"):
        load_question_encoder(spec)


@pytest.mark.parametrize("text", ["{", "[]", '{"format": 9}', '{"format": 1, "base": "x"}'])
def test_a_manifest_that_says_nothing_is_refused(text: str, tmp_path: Path) -> None:
    assert read_manifest(tmp_path) is None
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(ModelError, match=r"ragdiag-adapter\.json cannot be read"):
        read_manifest(tmp_path)


def test_where_the_base_lay_does_not_count(tiny_model: Path, made: Make) -> None:
    folder = made()
    config = json.loads((folder / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = "/no/such/place"
    (folder / "adapter_config.json").write_text(json.dumps(config))
    load_question_encoder(EmbedderSpec(model=str(tiny_model), question_adapter=str(folder)))


def test_the_base_is_named_by_the_hash_its_weights_are_published_under() -> None:
    assert base_hash(PACKAGED_MODEL) == PACKAGED_SHA256


@pytest.mark.slow
def test_an_export_of_both_encodes_questions(tiny_model: Path, made: Make, tmp_path: Path) -> None:
    spec = EmbedderSpec(model=str(tiny_model), question_adapter=str(made()))
    export_model(spec, tmp_path / "export", "fp32")
    fast = spec.model_copy(update={"questions": str(tmp_path / "export")})
    expected = load_question_encoder(spec).encode(TEXTS)
    assert load_question_encoder(fast).encode(TEXTS) == pytest.approx(expected, abs=1e-5)
    untuned = fast.model_copy(update={"question_adapter": None})
    with pytest.raises(ModelError, match="is not an export of"):
        load_question_encoder(untuned)
