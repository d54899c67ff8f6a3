"""What an embedder promises is read from its files, whichever version saved them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ragdiag.errors import ModelError
from ragdiag.retrieval.contract import embedder_contract
from ragdiag.version import EmbedderSpec


def test_the_packaged_model_in_the_older_form() -> None:
    assert embedder_contract(EmbedderSpec()) == {
        "adapter": None,
        "max_tokens": 256,
        "pooling": "mean",
        "title": True,
    }
    assert embedder_contract(EmbedderSpec(max_tokens=64))["max_tokens"] == 64


def test_a_model_saved_today(tiny_model: Path) -> None:
    contract = embedder_contract(EmbedderSpec(model=str(tiny_model), title=False))
    assert contract == {"adapter": None, "max_tokens": 32, "pooling": "mean", "title": False}


def test_what_the_files_do_not_say_is_null(tmp_path: Path) -> None:
    (tmp_path / "modules.json").write_text(json.dumps([{"path": ""}]))
    contract = embedder_contract(EmbedderSpec(model=str(tmp_path)))
    assert (contract["max_tokens"], contract["pooling"]) == (None, None)
    with pytest.raises(ModelError, match="no sentence-transformers model"):
        embedder_contract(EmbedderSpec(model=str(tmp_path / "gone")))
