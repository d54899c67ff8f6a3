"""How a bi-encoder is fine-tuned, and whether that fits what it is to learn from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from ragdiag.errors import TrainingError
from ragdiag.training.adapters import LoraOptions
from ragdiag.training.data.examples import Pair, TrainingSet
from ragdiag.training.loop import LoopOptions
from ragdiag.training.quantisation import Bits, quantisation
from ragdiag.training.retriever.contrastive import Loss
from ragdiag.training.retriever.encoding import Precision
from ragdiag.version import PACKAGED_MODEL, EmbedderSpec

Method = Literal["query-lora", "lora", "full"]

LOOPS = {
    "query-lora": LoopOptions(epochs=5, learning_rate=1e-3),
    "lora": LoopOptions(epochs=4, learning_rate=1e-3),
    "full": LoopOptions(epochs=4, learning_rate=5e-5),
}


MOST_SCALE = 1000
"""A temperature of 0.001: cosines a hundredth apart are then certainty."""


@dataclass(frozen=True)
class BiEncoderOptions:
    """How to fine-tune ``base`` (with ``base_adapter`` merged), reading ``max_tokens`` of a text.

    ``negatives`` of each pair are used at most, and general pairs up to the share ``general`` of
    all, so that what the model knew is not forgotten. ``margin`` belongs to the triplet loss,
    ``scale`` to the others. ``cached`` texts are in memory at a time where a batch is too large for
    it. ``bits`` quantises the base under an adapter; ``precision`` "bf16" is faster where the
    processor or the accelerator multiplies it. ``dev_passages`` are searched on dev, and
    ``loop`` is what suits the method (:data:`LOOPS`), unless given.
    """

    method: Method = "query-lora"
    base: str = PACKAGED_MODEL
    base_adapter: str | None = None
    max_tokens: int | None = None
    lora: LoraOptions = field(default_factory=LoraOptions)
    loss: Loss = "info_nce"
    scale: float = 20.0
    margin: float = 0.2
    negatives: int = 2
    general: float = 0.1
    cached: int | None = None
    bits: Bits | None = None
    precision: Precision = "fp32"
    dev_passages: int | None = None
    loop: LoopOptions | None = None

    @property
    def embedder(self) -> EmbedderSpec:
        """What is trained, as a version's [embedder] names it."""
        return EmbedderSpec(model=self.base, adapter=self.base_adapter, max_tokens=self.max_tokens)

    @property
    def looped(self) -> LoopOptions:
        return self.loop or LOOPS[self.method]

    @property
    def searched(self) -> int:
        """Passages of a dev search: fewer where each look at the model embeds them anew."""
        return self.dev_passages or (10_000 if self.method == "query-lora" else 2_000)


def check_options(options: BiEncoderOptions) -> None:
    """Raises TrainingError where options contradict one another, or this machine cannot do so."""
    if options.base_adapter is not None and options.method == "lora":
        raise TrainingError(
            "an adapter of both sides over another one cannot be served",
            remedy='use method "query-lora" or "full", or leave the base\'s adapter out',
        )
    if options.bits is not None:
        if options.method == "full" or options.base_adapter is not None:
            raise TrainingError(
                "quantised weights can neither be trained nor have an adapter merged into them",
                remedy="leave bits out",
            )
        quantisation(options.bits)
    if options.looped.micro is not None and options.loss == "info_nce":
        raise TrainingError(
            "info_nce holds the passages of a whole batch against one another, so micro would "
            "change it",
            remedy="use cached instead: it saves the same memory",
        )
    if not 0 < options.scale <= MOST_SCALE:
        raise TrainingError(
            f"scale = {options.scale:g} is no scale of a loss",
            remedy=f"give one above 0, of {MOST_SCALE:,} at most; 20 is usual",
        )
    if not 0 <= options.general < 1:
        raise TrainingError(
            f"general = {options.general} is no share of general pairs",
            remedy="give one of 0 or more, below 1",
        )


def choose_pairs(data: TrainingSet, options: BiEncoderOptions) -> list[Pair]:
    """The pairs to learn from, with as many general ones as ``options`` allow, drawn by the seed.

    Raises TrainingError: there is none, a text is missing, or a teacher's scores that the loss
    needs are.
    """
    own = [pair for pair in data.pairs if pair.source != "general"]
    general = [pair for pair in data.pairs if pair.source == "general"]
    if not own:
        raise TrainingError(
            "there is no pair to learn from", remedy="judge some questions, or import judgments"
        )
    most = round(len(own) * options.general / (1 - options.general))
    drawn = np.random.default_rng(options.looped.seed).permutation(len(general))[:most]
    pairs = own + [general[at] for at in sorted(drawn)]
    named = (name for pair in pairs for name in (pair.passage_id, *pair.negatives))
    missing = next((name for name in named if name not in data.texts), None)
    if missing is not None:
        raise TrainingError(
            f"the training set has no text of passage {missing}",
            remedy="collect the training set again from this corpus",
        )
    untaught = sum(len(pair.teacher) != 1 + len(pair.negatives) for pair in pairs)
    if options.loss in ("margin_mse", "kl") and untaught:
        raise TrainingError(
            f"{untaught} of {len(pairs)} pairs lack a teacher's scores, which {options.loss} needs",
            remedy="name a cross-encoder with --teacher, or use loss info_nce",
        )
    return pairs
