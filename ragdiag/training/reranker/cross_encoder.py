"""Fine-tune a cross-encoder: of the passages given for a question, the right one comes first.

An example is a question with a passage that answers it and passages that do not. The folder of a
run holds ``model`` (what ``[reranker] model`` names; an adapter is merged in), ``adapter`` where
one was trained, and ``reranker.json``, which says what they were made from and with. A run may
begin from the model of an earlier one, so that stages follow one another.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ragdiag.errors import TrainingError
from ragdiag.progress import Progress
from ragdiag.training.data.examples import Pair, TrainingSet
from ragdiag.training.files import replace_file
from ragdiag.training.loop import LoopOptions, Trained, train
from ragdiag.training.processes import Processes
from ragdiag.training.reranker.cross_encoder_model import TrainableCrossEncoder
from ragdiag.training.reranker.dev import DevMetric, RerankDev
from ragdiag.training.reranker.examples import compared, refuse_shared
from ragdiag.training.reranker.losses import DISTILLED, LOSSES, LossName
from ragdiag.version import PACKAGED_MODEL

if TYPE_CHECKING:
    from torch import Tensor, nn

MODEL, ADAPTER, MANIFEST = "model", "adapter", "reranker.json"
READ_AT_ONCE = 32
"""Pairs of question and passage in one batch, where no gradient is kept."""


@dataclass(frozen=True)
class CrossEncoderOptions:
    """How to train: ``negatives`` of each pair at most, the hardest first; ``layers`` of the base,
    or all. ``rank``, ``alpha`` and ``dropout`` belong to LoRA (Hu et al. 2022); a learning rate
    near 1e-3 suits it, where "full" wants some 1e-5. A batch of ``loop`` counts questions.

    ``margin_mse`` and ``kl`` learn from the logits that a teacher gave (``Pair.teacher``).
    """

    base: str = PACKAGED_MODEL
    loss: LossName = "listwise"
    method: Literal["full", "lora"] = "full"
    negatives: int = 7
    max_tokens: int = 256
    layers: int | None = None
    rank: int = 16
    alpha: int = 32
    dropout: float = 0.05
    metric: DevMetric = "MRR@10"
    loop: LoopOptions = field(default_factory=lambda: LoopOptions(batch=16, micro=4))


@dataclass(frozen=True)
class TunedCrossEncoder:
    """``model`` is the folder to serve. ``examples`` were learned from; the ``left_out`` pairs had
    no negative. ``first_stage`` and ``reranked`` are the dev lists before and after: a reranker
    that is below the first stage makes answers worse."""

    model: Path
    adapter: Path | None
    base: str
    base_sha256: str
    data_hash: str
    examples: int
    left_out: int
    first_stage: Mapping[DevMetric, float]
    reranked: Mapping[DevMetric, float]
    trained: Trained


def train_cross_encoder(
    data: TrainingSet,
    dev: RerankDev,
    options: CrossEncoderOptions,
    folder: Path,
    progress: Progress | None = None,
) -> TunedCrossEncoder:
    """Train in ``folder``, or go on there after a kill, and keep what was best on ``dev``.

    Raises TrainingError: too few pairs with negatives, a passage without text, no teacher's logits
    for a loss that needs them, a dev question among the training questions, a folder of another
    run, or as :func:`train`. Raises ModelError for a base that is no encoder.
    """
    dev.refuse_unusable()
    refuse_shared(data.pairs, dev)
    kept = compared(data, options.negatives, taught=options.loss in DISTILLED)
    encoder = _open(options)
    _begin(folder, encoder, data, dev, options)
    task = _Task(encoder, kept, data, dev, options)
    trained = train(task, options.loop, folder, progress)
    reranked = task.scores()
    if Processes().is_first:
        if options.method == "lora":
            encoder.save_adapter(folder / ADAPTER, folder / MANIFEST)
        encoder.save(folder / MODEL)
    return TunedCrossEncoder(
        model=folder / MODEL,
        adapter=folder / ADAPTER if options.method == "lora" else None,
        base=options.base,
        base_sha256=encoder.base_sha256,
        data_hash=data.data_hash,
        examples=len(kept),
        left_out=len(data.pairs) - len(kept),
        first_stage=dev.first_stage(),
        reranked=reranked,
        trained=trained,
    )


def _open(options: CrossEncoderOptions) -> TrainableCrossEncoder:
    seed = options.loop.seed
    encoder = TrainableCrossEncoder(options.base, options.max_tokens, seed, options.layers)
    if options.method == "lora":
        encoder.adapt(options.rank, options.alpha, options.dropout)
    return encoder


class _Task:
    """Every pair of question and passage is tokenised once, here."""

    def __init__(
        self,
        encoder: TrainableCrossEncoder,
        kept: Sequence[Pair],
        data: TrainingSet,
        dev: RerankDev,
        options: CrossEncoderOptions,
    ) -> None:
        self._encoder, self._dev, self._options = encoder, dev, options
        self._kept = kept
        self._rows = [
            encoder.tokenise(
                pair.question, [data.texts[name] for name in (pair.passage_id, *pair.negatives)]
            )
            for pair in kept
        ]
        self._dev_rows = [
            encoder.tokenise(one.question, [dev.texts[name] for name in one.candidates])
            for one in dev.questions
            if one.candidates
        ]
        self.size = len(kept)
        self.model.train()

    @property
    def model(self) -> nn.Module:
        return self._encoder.model

    def loss(self, chosen: Sequence[int]) -> Tensor:
        """Mean of weight · loss over the examples ``chosen``."""
        import torch

        groups = [self._rows[at] for at in chosen]
        longest = max(len(group) for group in groups)
        flat = self._encoder.logits([row for group in groups for row in group])
        present = torch.zeros(len(groups), longest, dtype=torch.bool, device=flat.device)
        for at, group in enumerate(groups):
            present[at, : len(group)] = True
        logits = flat.new_zeros(len(groups), longest).masked_scatter(present, flat)
        teacher = torch.zeros_like(logits)
        if self._options.loss in DISTILLED:
            wanted = [value for at in chosen for value in self._kept[at].teacher]
            teacher = teacher.masked_scatter(present, flat.new_tensor(wanted))
        costs = LOSSES[self._options.loss](logits, present, teacher)
        return (costs * flat.new_tensor([self._kept[at].weight for at in chosen])).mean()

    def score(self) -> float:
        return self.scores()[self._options.metric]

    def scores(self) -> dict[DevMetric, float]:
        """Of the dev lists. Raises TrainingError for a logit that is not a number."""
        import torch

        rows = [row for group in self._dev_rows for row in group]
        order = sorted(range(len(rows)), key=lambda at: len(rows[at].ids))
        logits = torch.zeros(len(rows))
        self.model.eval()
        with torch.no_grad():
            for start in range(0, len(order), READ_AT_ONCE):
                chosen = order[start : start + READ_AT_ONCE]
                logits[chosen] = self._encoder.logits([rows[at] for at in chosen]).cpu()
        self.model.train()
        if not bool(torch.isfinite(logits).all()):
            raise TrainingError(
                "the model gives scores that are not numbers",
                remedy="lower the learning rate, or begin from another base",
            )
        left = iter(logits.tolist())
        return self._dev.scores([[next(left) for _ in q.candidates] for q in self._dev.questions])


def _begin(
    folder: Path,
    encoder: TrainableCrossEncoder,
    data: TrainingSet,
    dev: RerankDev,
    options: CrossEncoderOptions,
) -> None:
    """Write what the run is made from and with, or find the same there.

    Raises TrainingError where the folder holds another run.
    """
    facts = {
        "base": encoder.base,
        "base_sha256": encoder.base_sha256,
        "data_hash": data.data_hash,
        "dev_hash": dev.data_hash,
        "options": asdict(options),
    }
    said = json.dumps(facts, indent=1, sort_keys=True)
    path = folder / MANIFEST
    if path.is_file() and path.read_text(encoding="utf-8") != said:
        raise TrainingError(
            f"{folder} holds a run from another base, or with other data or options",
            remedy="name another folder, or repeat what it was begun with",
        )
    if Processes().is_first:
        replace_file(path, lambda file: file.write(said.encode()))
