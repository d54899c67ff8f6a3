"""A bi-encoder learns by each method, is served as it was trained, and goes on after a kill."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ragdiag.errors import ModelError, TrainingError
from ragdiag.progress import Progress
from ragdiag.retrieval.adapters import base_hash, check_adapters, read_manifest
from ragdiag.retrieval.embed import Embedder, Vectors, load_embedder, load_question_encoder
from ragdiag.settings import PROJECT
from ragdiag.training.adapters import LoraOptions
from ragdiag.training.data.examples import TrainingSet
from ragdiag.training.processes import Processes
from ragdiag.training.retriever.bi_encoder import TunedBiEncoder, make_task, train_bi_encoder
from ragdiag.training.retriever.encoding import PART, PART_ON_ACCELERATOR, Encoding
from ragdiag.version import PACKAGED_MODEL, EmbedderSpec
from tests.training.toy_retrieval import DATA, DEV, LOOP, PAIRS, TEXTS, toy_options

Tune = Callable[..., TunedBiEncoder]


@pytest.fixture
def tune(tiny_model: Path, tmp_path: Path) -> Tune:
    def tuned(name: str = "run", data: TrainingSet = DATA, **changes: object) -> TunedBiEncoder:
        options = toy_options(str(tiny_model), **changes)
        return train_bi_encoder(data, DEV, options, tmp_path / name)

    return tuned


def served_score(spec: EmbedderSpec) -> float:
    questions = load_question_encoder(spec).encode([DEV.questions[name] for name in DEV.asked()])
    passages = load_embedder(spec).encode(list(TEXTS.values()))
    return DEV.ndcg(list(TEXTS), torch.from_numpy(questions), torch.from_numpy(passages))


@pytest.mark.parametrize(
    ("method", "rate"), [("query-lora", 0.05), ("lora", 0.05), ("full", 0.005)]
)
def test_it_learns_and_what_is_served_scores_as_it_did(
    method: str, rate: float, tune: Tune, tiny_model: Path
) -> None:
    tuned = tune(method=method, loop=replace(LOOP, learning_rate=rate))
    trained = tuned.trained
    before = EmbedderSpec(model=str(tiny_model))
    after = before.model_copy(update=dict(tuned.embedder))
    assert trained.first_score == pytest.approx(served_score(before))
    assert trained.best_score == pytest.approx(served_score(after))
    assert trained.best_score > trained.first_score + 0.03
    assert (tuned.data_hash, tuned.base_sha256) == (DATA.data_hash, base_hash(str(tiny_model)))
    same_index = load_embedder(after).model_hash == load_embedder(before).model_hash
    assert same_index == (method == "query-lora")


@pytest.mark.parametrize("method", ["query-lora", "lora"])
def test_half_precision_begins_the_same_and_is_served_whole(
    method: str, tune: Tune, tiny_model: Path
) -> None:
    """At a rate at which a tiny model learns in seconds two runs drift apart whatever differs, and
    how they round depends on the processor: so their ends are not compared."""
    whole, half = (tune(name, method=method, precision=name).trained for name in ("fp32", "bf16"))
    assert half.first_score == whole.first_score
    assert half.best_score > half.first_score
    losses = [
        [point.loss for point in one.curve if point.loss is not None] for one in (whole, half)
    ]
    assert losses[0][0] == pytest.approx(losses[1][0], rel=0.02)
    assert losses[0] != losses[1]


def test_frozen_passages_are_all_held_against_a_question(tiny_model: Path) -> None:
    options = toy_options(str(tiny_model))
    extra = {"p99": "nobody asks of this"}
    dev = replace(DEV, texts={**TEXTS, **extra})
    alone = make_task(PAIRS[:1], DATA, dev, options)
    questions = Embedder(options.embedder).encode([PAIRS[0].question])
    passages = Embedder(options.embedder).encode([*TEXTS.values(), *extra.values()])
    logits = torch.from_numpy(questions @ passages.T) * options.scale
    wanted = torch.nn.functional.cross_entropy(logits, torch.tensor([0])).item()
    torch.manual_seed(0)  # of the dropout, which moves it a little
    assert alone.loss([0]).item() == pytest.approx(wanted, rel=0.1)
    assert wanted > 2 * torch.nn.functional.cross_entropy(logits[:, :2], torch.tensor([0])).item()


def test_an_adapter_says_what_it_was_made_of(tune: Tune, tiny_model: Path) -> None:
    tuned = tune(loop=replace(LOOP, epochs=1))
    manifest = read_manifest(tuned.folder)
    assert manifest is not None
    assert (manifest.method, manifest.side, manifest.base) == ("query-lora", "questions", "model")
    assert (manifest.data_hash, manifest.options["lora"]["rank"]) == (DATA.data_hash, 4)
    assert manifest.libraries.keys() >= {"torch", "peft"}
    assert manifest.files.keys() == {"adapter_config.json", "adapter_model.safetensors"}
    assert str(tiny_model) not in (tuned.folder / "adapter_config.json").read_text()
    with pytest.raises(ModelError, match="was trained on model"):
        check_adapters(EmbedderSpec(model=PACKAGED_MODEL, question_adapter=str(tuned.folder)))


def test_it_goes_on_exactly_where_it_was_killed(
    tune: Tune, tiny_model: Path, tmp_path: Path
) -> None:
    def kill(fraction: float, message: str) -> None:
        if message.startswith("step 8 "):
            raise KeyboardInterrupt

    whole = tune("whole")
    with pytest.raises(KeyboardInterrupt):
        train_bi_encoder(DATA, DEV, toy_options(str(tiny_model)), tmp_path / "killed", kill)
    again = tune("killed")
    assert again.trained.best_step == whole.trained.best_step
    one, other = (
        (tuned.folder / "adapter_model.safetensors").read_bytes() for tuned in (whole, again)
    )
    assert one == other


def test_passages_that_are_known_are_not_embedded_again(
    tune: Tune, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = toy_options(str(tiny_model), loop=replace(LOOP, epochs=1))
    texts = list(TEXTS.values())
    known = dict(zip(texts, Embedder(options.embedder).encode(texts), strict=True))
    forgotten = known.popitem()[0]
    read: list[str] = []
    encode = Embedder.encode

    def spied(embedder: Embedder, texts: Sequence[str], *rest: Progress | None) -> Vectors:
        read.extend(texts)
        return encode(embedder, texts, *rest)

    monkeypatch.setattr(Embedder, "encode", spied)
    found = train_bi_encoder(DATA, DEV, options, tmp_path / "known", known=known)
    assert read == [forgotten]
    again = tune("unknown", loop=options.loop)
    assert found.trained.best_score == pytest.approx(again.trained.best_score)


def test_a_folder_belongs_to_one_run(tune: Tune) -> None:
    short = replace(LOOP, epochs=1)
    tune(loop=short)
    with pytest.raises(TrainingError, match="holds a run with other data or options"):
        tune(loop=short, scale=30.0)
    with pytest.raises(TrainingError, match="holds a run with other data or options"):
        tune(loop=short, data=TrainingSet(PAIRS[:-1], TEXTS))


@pytest.mark.parametrize("loss", ["triplet", "margin_mse", "kl"])
def test_other_losses_learn_too(loss: str, tune: Tune) -> None:
    pairs = [replace(pair, teacher=(1.0, -1.0)) for pair in PAIRS]
    loop = replace(LOOP, learning_rate=0.005)
    tuned = tune(method="full", loss=loss, data=TrainingSet(pairs, TEXTS), loop=loop)
    costs = [point.loss for point in tuned.trained.curve if point.loss is not None]
    assert len(costs) == 24
    assert sum(costs[-6:]) < 0.9 * sum(costs[:6])


def test_a_loss_that_is_no_number_is_told(tune: Tune) -> None:
    pairs = [replace(PAIRS[0], weight=float("nan")), *PAIRS[1:]]
    with pytest.raises(TrainingError, match="the loss is not a number at step"):
        tune(data=TrainingSet(pairs, TEXTS))


@pytest.mark.parametrize(
    ("targets", "told"),
    [
        (("query", "q_proj"), r"a bert model has no module q_proj; .*self\.query"),
        (("query", "pooler.dense"), r"no gradient reaches pooler\.dense"),
    ],
)
def test_modules_that_would_not_learn_are_named(
    targets: tuple[str, ...], told: str, tune: Tune
) -> None:
    with pytest.raises(TrainingError, match=told):
        tune(lora=LoraOptions(rank=2, target_modules=targets))


@pytest.mark.parametrize("dropout", [True, False])
def test_a_large_batch_in_parts_has_the_gradients_of_the_whole(
    dropout: bool, tiny_model: Path
) -> None:
    """With dropout where the parts are the same: others would draw other random numbers."""
    same = PART if Processes().device.type == "cpu" else PART_ON_ACCELERATOR
    cached = same if dropout else 3

    def gradients(size: int | None) -> dict[str, torch.Tensor]:
        options = toy_options(str(tiny_model), method="full", cached=size)
        task = make_task(PAIRS, DATA, DEV, options)
        for layer in task.model.modules():
            if isinstance(layer, torch.nn.Dropout) and not dropout:
                layer.p = 0.0
        torch.manual_seed(4)
        task.loss(range(10)).backward()
        named = task.model.named_parameters()
        return {name: weight.grad for name, weight in named if weight.grad is not None}

    whole, parts = gradients(None), gradients(cached)
    assert whole.keys() == parts.keys()
    assert len(whole) > 10
    for name, gradient in whole.items():
        torch.testing.assert_close(parts[name], gradient)


def test_texts_are_read_as_the_embedder_reads_them(tiny_model: Path) -> None:
    embedder = load_embedder(EmbedderSpec(model=str(tiny_model), max_tokens=12))
    texts = ["short", "a text that is longer than twelve letters", "x", *TEXTS.values(), "", "mid"]
    with torch.no_grad():
        found = Encoding(embedder.model, texts).vectors(range(len(texts)))  # type: ignore[union-attr]
    assert found.cpu().numpy() == pytest.approx(embedder.encode(texts), abs=1e-5)


@pytest.mark.slow
def test_two_processes_train_one_adapter(tiny_model: Path, tmp_path: Path) -> None:
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"]
    launch += ["--standalone", "-m", "tests.training.launched_bi_encoder"]
    ran = subprocess.run(
        [*launch, str(tiny_model), str(tmp_path)],
        cwd=PROJECT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    one, other = (json.loads((tmp_path / f"said-{rank}.json").read_text()) for rank in (0, 1))
    assert one == other
    assert one[1] > one[0]
    spec = EmbedderSpec(model=str(tiny_model), question_adapter=str(tmp_path / "adapter"))
    assert served_score(spec) == pytest.approx(one[1])
