"""A cross-encoder learns a rule, serves, keeps its head under LoRA, and refuses what cannot be."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ragdiag.errors import ModelError, TrainingError
from ragdiag.records import Hit, Passage
from ragdiag.retrieval.cross_encoder import load_cross_encoder
from ragdiag.retrieval.rerank import Reranker
from ragdiag.training.data.examples import TrainingSet
from ragdiag.training.loop import LoopOptions
from ragdiag.training.reranker.cross_encoder import (
    MANIFEST,
    CrossEncoderOptions,
    TunedCrossEncoder,
    train_cross_encoder,
)
from ragdiag.training.reranker.cross_encoder_model import TrainableCrossEncoder
from ragdiag.version import PACKAGED_MODEL, RerankerSpec
from tests.training.toy_reranking import TEXTS, make_base, toy_data, toy_dev

LOOP = LoopOptions(epochs=5, batch=8, learning_rate=3e-3, patience=9)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    return make_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def options(base: str) -> CrossEncoderOptions:
    return CrossEncoderOptions(base=base, max_tokens=16, loop=LOOP)


@pytest.fixture(scope="module")
def tuned(
    options: CrossEncoderOptions, tmp_path_factory: pytest.TempPathFactory
) -> TunedCrossEncoder:
    return train_cross_encoder(toy_data(), toy_dev(), options, tmp_path_factory.mktemp("run"))


def taught(data: TrainingSet) -> TrainingSet:
    """With the logits of a teacher that knows the rule."""
    pairs = [replace(p, teacher=(3.0, *(-3.0 for _ in p.negatives))) for p in data.pairs]
    return TrainingSet(pairs, data.texts)


def test_it_learns_the_rule_and_serves(tuned: TunedCrossEncoder) -> None:
    assert tuned.first_stage["MRR@10"] == pytest.approx(0.1)
    assert tuned.trained.first_score < 0.5
    assert tuned.reranked["MRR@10"] == tuned.trained.best_score > 0.9
    assert (tuned.examples, tuned.left_out, tuned.adapter) == (96, 0, None)
    passages = {name: Passage(name, "d", text) for name, text in TEXTS.items()}
    spec = RerankerSpec(model=str(tuned.model))
    reranker = Reranker(passages, spec, load_cross_encoder(spec.model))
    hits = tuple(Hit(name, 1.0 - at / 100) for at, name in enumerate(TEXTS))
    found = reranker.rerank("which is green", hits)
    assert sum(hit.passage_id.startswith("green") for hit in found[:6]) >= 5


def test_what_is_served_scores_as_what_was_trained(
    tuned: TunedCrossEncoder, options: CrossEncoderOptions
) -> None:
    import torch

    again = TrainableCrossEncoder(str(tuned.model), 16, seed=9)
    again.model.eval()
    question, texts = "which is red", ["a red boat", "a blue boat", "a red red red boat"]
    with torch.no_grad():
        own = again.logits(again.tokenise(question, texts)).cpu().numpy()
    served = load_cross_encoder(str(tuned.model)).logits(question, texts, 2)
    assert served == pytest.approx(own, abs=1e-4)
    said = json.loads((tuned.model.parent / MANIFEST).read_text())
    assert said["base_sha256"] == tuned.base_sha256
    assert said["data_hash"] == toy_data().data_hash
    assert (said["base"], said["options"]["loss"]) == (options.base, "listwise")


@pytest.mark.parametrize("loss", ["binary", "margin_mse", "kl"])
def test_every_loss_teaches_it(options: CrossEncoderOptions, tmp_path: Path, loss: Any) -> None:
    quick = replace(options, loss=loss, loop=replace(LOOP, learning_rate=5e-3))
    found = train_cross_encoder(taught(toy_data()), toy_dev(), quick, tmp_path)
    assert found.reranked["MRR@10"] > found.trained.first_score + 0.1


def test_small_parts_of_a_batch_and_pairs_without_weight_count_as_they_should(
    options: CrossEncoderOptions, tmp_path: Path
) -> None:
    right = toy_data(64)
    lies = [
        replace(
            pair,
            question_id=f"lie-{pair.question_id}",
            passage_id=pair.negatives[0],
            weight=0.0,
            negatives=(pair.passage_id,),
        )
        for pair in right.pairs
    ]
    data = TrainingSet([*right.pairs, *lies], TEXTS)
    whole, parts = (
        train_cross_encoder(
            data,
            toy_dev(),
            replace(options, loop=replace(LOOP, micro=micro)),
            tmp_path / f"{micro}",
        )
        for micro in (None, 3)
    )
    assert whole.reranked["MRR@10"] > 0.8
    first = [[p.loss for p in run.trained.curve if p.loss][:4] for run in (whole, parts)]
    assert first[0] == pytest.approx(first[1], rel=1e-3)


def test_lora_trains_and_keeps_the_head(options: CrossEncoderOptions, tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    loop = replace(LOOP, epochs=2, learning_rate=1e-2)
    lora = replace(options, method="lora", rank=8, dropout=0.0, loop=loop)
    found = train_cross_encoder(toy_data(), toy_dev(), lora, tmp_path)
    assert found.reranked["MRR@10"] > 0.8
    assert found.adapter is not None
    adapter = load_file(found.adapter / "adapter_model.safetensors")
    merged, before = (
        load_file(Path(folder) / "model.safetensors") for folder in (found.model, options.base)
    )
    for head in ("classifier.weight", "bert.pooler.dense.weight"):
        (kept,) = (value for name, value in adapter.items() if name.endswith(head))
        assert np.array_equal(merged[head], kept)
        assert not np.allclose(merged[head], before[head])
    for adapted in ("self.query", "self.key", "self.value", "output.dense"):
        for layer in (0, 1):
            name = f"bert.encoder.layer.{layer}.attention.{adapted}.weight"
            assert not np.allclose(merged[name], before[name]), f"no gradient reached {name}"
    frozen = "bert.encoder.layer.0.intermediate.dense.weight"
    assert np.array_equal(merged[frozen], before[frozen])
    named = json.loads((found.adapter / "adapter_config.json").read_text())
    assert named["base_model_name_or_path"] == options.base
    said = json.loads((found.adapter / MANIFEST).read_text())
    assert (said["base_sha256"], said["data_hash"]) == (found.base_sha256, found.data_hash)
    served = load_cross_encoder(str(found.model)).logits("which is red", ["a red boat"], 1)
    assert np.isfinite(served).all()


def test_a_student_has_the_first_layers_and_learns_from_the_teacher(
    options: CrossEncoderOptions, tuned: TunedCrossEncoder, tmp_path: Path
) -> None:
    small = replace(options, base=str(tuned.model), layers=1, loss="margin_mse")
    found = train_cross_encoder(taught(toy_data()), toy_dev(), small, tmp_path)
    assert json.loads((found.model / "config.json").read_text())["num_hidden_layers"] == 1
    assert found.reranked["MRR@10"] > 0.5
    served = load_cross_encoder(str(found.model))
    assert sum(w.numel() for w in served._model.parameters()) < sum(
        w.numel() for w in load_cross_encoder(str(tuned.model))._model.parameters()
    )
    with pytest.raises(TrainingError, match=r"layers = 3, but .* has 2; name 1 to 2"):
        train_cross_encoder(toy_data(), toy_dev(), replace(options, layers=3), tmp_path / "no")


def test_a_stage_begins_where_the_last_ended(
    options: CrossEncoderOptions, tuned: TunedCrossEncoder, tmp_path: Path
) -> None:
    next_stage = replace(options, base=str(tuned.model), loop=replace(LOOP, epochs=1))
    found = train_cross_encoder(toy_data(seed=5), toy_dev(), next_stage, tmp_path)
    assert found.trained.first_score == pytest.approx(tuned.reranked["MRR@10"])


class Killed(Exception):
    """Stands for SIGKILL."""


def test_a_killed_run_goes_on(options: CrossEncoderOptions, tmp_path: Path) -> None:
    short = replace(options, loop=replace(LOOP, epochs=1, keep_s=0.0, looks=2))
    whole = train_cross_encoder(toy_data(), toy_dev(), short, tmp_path / "whole")

    def kill(fraction: float, message: str) -> None:
        if message.startswith("step 9 "):
            raise Killed

    with pytest.raises(Killed):
        train_cross_encoder(toy_data(), toy_dev(), short, tmp_path / "killed", kill)
    found = train_cross_encoder(toy_data(), toy_dev(), short, tmp_path / "killed")
    weights = [(run.model / "model.safetensors").read_bytes() for run in (whole, found)]
    assert weights[0] == weights[1]
    with pytest.raises(TrainingError, match="holds a run from another base, or with other data"):
        train_cross_encoder(toy_data(seed=3), toy_dev(), short, tmp_path / "killed")


def without(data: TrainingSet, **changed: Any) -> TrainingSet:
    return TrainingSet([replace(pair, **changed) for pair in data.pairs], data.texts)


def to_known(data: TrainingSet) -> TrainingSet:
    """The only negative of each question answers it too."""
    pairs = [replace(pair, question_id="one", negatives=pair.negatives[:1]) for pair in data.pairs]
    known = [replace(pair, passage_id=pair.negatives[0], negatives=()) for pair in pairs]
    return TrainingSet([*pairs, *known], data.texts)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda data: TrainingSet(data.pairs[:5], data.texts), "5 of 5 pairs have a negative, 8"),
        (lambda data: without(data, negatives=()), "0 of 96 pairs have a negative"),
        (to_known, "0 of 192 pairs have a negative"),
        (lambda data: without(data, negatives=("none",)), "passage 'none' of question 'q0' has no"),
        (lambda data: without(data, question_id="dev0", question="which is red"), "is a training"),
    ],
)
def test_data_that_teach_nothing_are_named(
    options: CrossEncoderOptions,
    tmp_path: Path,
    spoil: Callable[[TrainingSet], TrainingSet],
    reason: str,
) -> None:
    with pytest.raises(TrainingError, match=reason):
        train_cross_encoder(spoil(toy_data()), toy_dev(), options, tmp_path)


def test_a_loss_without_its_teacher_and_dev_lists_without_hope_are_named(
    options: CrossEncoderOptions, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match="has 5 passages and 0 logits of a teacher"):
        train_cross_encoder(toy_data(), toy_dev(), replace(options, loss="kl"), tmp_path)
    dev = toy_dev()
    hopeless = replace(dev, questions=[replace(q, grades={"far": 1}) for q in dev.questions])
    with pytest.raises(TrainingError, match="none of 24 dev questions has a relevant candidate"):
        train_cross_encoder(toy_data(), hopeless, options, tmp_path)
    with pytest.raises(TrainingError, match="has no text"):
        train_cross_encoder(toy_data(), replace(dev, texts={}), options, tmp_path)


def test_a_base_that_cannot_be_is_named(options: CrossEncoderOptions, tmp_path: Path) -> None:
    def fails(**changed: Any) -> None:
        train_cross_encoder(toy_data(), toy_dev(), replace(options, **changed), tmp_path / "run")

    with pytest.raises(ModelError, match="no model to train from at /nowhere"):
        fails(base="/nowhere")
    with pytest.raises(ModelError, match="cannot be trained as a cross-encoder"):
        fails(base=make_base(tmp_path / "three", outputs=3))
    with pytest.raises(TrainingError, match=r"max_tokens = 64, but .* reads 32 tokens"):
        fails(max_tokens=64)


def test_weights_that_are_no_numbers_are_refused(
    options: CrossEncoderOptions, tmp_path: Path
) -> None:
    broken = make_base(tmp_path / "broken")
    poisoned = TrainableCrossEncoder(broken, 16, seed=0)
    next(poisoned.model.parameters()).data.fill_(float("nan"))
    poisoned.save(tmp_path / "nan")
    with pytest.raises(TrainingError, match="scores that are not numbers"):
        train_cross_encoder(
            toy_data(), toy_dev(), replace(options, base=str(tmp_path / "nan")), tmp_path / "run"
        )


@pytest.mark.slow
def test_the_packaged_encoder_gets_a_head_of_its_own(tmp_path: Path) -> None:
    student = CrossEncoderOptions(
        base=PACKAGED_MODEL, max_tokens=16, layers=2, loop=LoopOptions(epochs=1, batch=8)
    )
    found = train_cross_encoder(toy_data(8), toy_dev(4), student, tmp_path)
    served = load_cross_encoder(str(found.model))
    assert len(served._model[0].model.bert.encoder.layer) == 2
    assert np.isfinite(served.logits("which is red", ["a red boat"], 1)).all()
