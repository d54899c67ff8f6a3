"""The mean of several models' weights is a model, adapters merged."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ragdiag.errors import TrainingError
from ragdiag.retrieval.embed import Embedder, load_embedder
from ragdiag.training.retriever.averaging import average_models
from ragdiag.training.retriever.bi_encoder import train_bi_encoder, whole_model
from ragdiag.version import EmbedderSpec
from tests.retrained import retrain
from tests.training.toy_retrieval import DATA, DEV, LOOP, toy_options


def weights(spec: EmbedderSpec) -> dict[str, torch.Tensor]:
    return dict(Embedder(spec).model.state_dict())


def test_every_weight_is_the_mean_and_adapters_are_merged(tiny_model: Path, tmp_path: Path) -> None:
    plain = EmbedderSpec(model=str(tiny_model))
    options = toy_options(str(tiny_model), method="lora", loop=replace(LOOP, learning_rate=0.05))
    adapted = plain.model_copy(
        update=dict(train_bi_encoder(DATA, DEV, options, tmp_path / "run").embedder)
    )
    changed = tmp_path / "changed"
    shutil.copytree(tiny_model, changed)
    retrain(changed)
    parts = [adapted, plain, EmbedderSpec(model=str(changed))]
    average_models(parts, tmp_path / "mean")
    mean = plain.model_copy(update=dict(whole_model(tmp_path / "mean")))
    found, each = weights(mean), [weights(part) for part in parts]
    assert found.keys() == each[0].keys()
    for name, tensor in found.items():
        torch.testing.assert_close(tensor, sum(one[name] for one in each) / 3)
    one, other = (load_embedder(spec).encode(["apple of the tree"]) for spec in (mean, plain))
    assert one.shape == other.shape
    assert abs(one - other).max() > 0.01


def test_models_of_another_shape_have_no_mean(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="has other weights than"):
        average_models([EmbedderSpec(), EmbedderSpec(model=str(tiny_model))], tmp_path / "mean")
    assert not (tmp_path / "mean").exists()
