"""How fast the bi-encoder is trained, beside sentence-transformers' own Trainer.

    pip install datasets  # which their Trainer needs, and nothing else here does
    python -m benchmarks.training_speed 640

Both train LoRA of rank 32 on N made pairs in batches of 32, texts cut at 160 tokens, with in-batch
negatives. Every way runs in a process of its own, with the same pairs, one after the other; time
spent loading the model is left out, tokenising is counted. Passages that stay frozen are embedded
once, whatever the number of epochs: their seconds have a column of their own.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

import numpy as np

from ragdiag.training.adapters import LoraOptions, add_lora
from ragdiag.training.data.examples import Pair, TrainingSet
from ragdiag.training.loop import LoopOptions, train
from ragdiag.training.processes import peak_bytes
from ragdiag.training.retriever.bi_encoder import BiEncoderOptions, make_task
from ragdiag.training.retriever.dev import DevSet
from ragdiag.training.retriever.encoding import Encoding
from ragdiag.version import EmbedderSpec

WAYS = ("trainer lora", "lora", "query-lora", "full")
TOKENS, BATCH, RATE = 160, 32, 2e-4
LORA = LoraOptions(rank=32, alpha=64)
WORDS = ["virus", "mask", "bread", "river", "music", "garden", "rocket", "salt", "moon", "tower"]


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("pairs", type=int)
    asked.add_argument("--way", choices=WAYS)
    given = asked.parse_args()
    if given.way:
        print(json.dumps(measure(given.way, given.pairs)))
        return
    versions = ", ".join(f"{n} {installed_version(n)}" for n in ("torch", "sentence-transformers"))
    print(f"{given.pairs} pairs, {platform.machine()}, {versions}\n")
    print("| way | pairs/s | steps (s) | passages once (s) | peak (MB) | last loss |")
    print("|---|---|---|---|---|---|")
    for way in WAYS:
        again = [sys.executable, "-m", "benchmarks.training_speed", str(given.pairs), "--way", way]
        ran = subprocess.run(again, stdout=subprocess.PIPE, text=True, check=True)
        found = json.loads(ran.stdout.splitlines()[-1])
        cells = (
            f"{given.pairs / found['steps_s']:.1f}",
            f"{found['steps_s']:.1f}",
            f"{found['once_s']:.1f}",
            f"{found['peak_bytes'] / 1e6:.0f}",
            f"{found['loss']:.3f}",
        )
        print(f"| {way} | {' | '.join(cells)} |", flush=True)


def made_pairs(n: int) -> TrainingSet:
    """Questions of 6 to 14 words, passages of 40 to 220: lengths as they are in real corpora."""
    chance = np.random.default_rng(0)

    def text(low: int, high: int) -> str:
        return " ".join(chance.choice(WORDS, int(chance.integers(low, high))))

    pairs = [Pair(f"q{at}", f"{text(6, 14)} {at}?", f"p{at}") for at in range(n)]
    return TrainingSet(pairs, {f"p{at}": f"{at} {text(40, 220)}" for at in range(n)})


def measure(way: str, n: int) -> dict[str, Any]:
    data = made_pairs(n)
    with tempfile.TemporaryDirectory() as folder:
        found = theirs(data, folder) if way == "trainer lora" else ours(way, data, Path(folder))
    return {**found, "peak_bytes": peak_bytes()}


def ours(method: Any, data: TrainingSet, folder: Path) -> dict[str, Any]:
    loop = LoopOptions(epochs=1, batch=BATCH, learning_rate=RATE)
    options = BiEncoderOptions(
        method=method, max_tokens=TOKENS, lora=LORA, negatives=0, loop=loop, dev_passages=1
    )
    first = data.pairs[0]
    dev = DevSet(
        {first.question_id: first.question},
        {first.question_id: {first.passage_id: 1}},
        {first.passage_id: data.texts[first.passage_id]},
    )
    once_s = 0.0
    if method == "query-lora":
        from ragdiag.retrieval.embed import Embedder

        embedder = Embedder(EmbedderSpec(max_tokens=TOKENS))
        begun = time.perf_counter()
        embedder.encode(list(data.texts.values()))
        once_s = time.perf_counter() - begun
    task = make_task(data.pairs, data, dev, options)
    begun = time.perf_counter()
    texts = [pair.question for pair in data.pairs]
    Encoding(task.model, texts if once_s else [*texts, *data.texts.values()])
    trained = train(task, loop, folder)
    steps_s = time.perf_counter() - begun
    return {"steps_s": steps_s, "once_s": once_s, "loss": trained.curve[-1].loss}


def theirs(data: TrainingSet, folder: str) -> dict[str, Any]:
    """The model and the adapter are ours, so that both train the same."""
    from datasets import Dataset
    from sentence_transformers import (
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    from ragdiag.retrieval.embed import Embedder

    model = Embedder(EmbedderSpec(max_tokens=TOKENS)).model.requires_grad_(False)
    model[0].model = add_lora(model[0].model, LORA, seed=0)
    rows = {
        "anchor": [pair.question for pair in data.pairs],
        "positive": [data.texts[pair.passage_id] for pair in data.pairs],
    }
    trainer = SentenceTransformerTrainer(
        model=model,
        args=SentenceTransformerTrainingArguments(
            output_dir=folder,
            num_train_epochs=1,
            per_device_train_batch_size=BATCH,
            learning_rate=RATE,
            warmup_steps=0.1,
            save_strategy="no",
            logging_strategy="steps",
            logging_steps=1,
            report_to="none",
            disable_tqdm=True,
        ),
        train_dataset=Dataset.from_dict(rows),
        loss=MultipleNegativesRankingLoss(model, scale=20.0),
    )
    begun = time.perf_counter()
    trainer.train()
    steps_s = time.perf_counter() - begun
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    return {"steps_s": steps_s, "once_s": 0.0, "loss": losses[-1]}


if __name__ == "__main__":
    main()
