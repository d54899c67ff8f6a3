"""A bi-encoder as the loop trains it: what a batch of pairs costs, and how good it is on dev."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from ragdiag.training.retriever import losses
from ragdiag.training.retriever.batches import Batch, Layout
from ragdiag.training.retriever.dev import DevSet
from ragdiag.training.retriever.encoding import Encoding, Precision

if TYPE_CHECKING:
    from torch import Tensor

Loss = Literal["info_nce", "triplet", "margin_mse", "kl"]


class Vectors(Protocol):
    """Unit vectors (n, d) of numbered texts: an :class:`Encoding`, or :class:`FrozenVectors`."""

    def vectors(self, chosen: Sequence[int], cached: int | None = None) -> Tensor: ...


@dataclass(frozen=True)
class FrozenVectors:
    """Vectors (n, d) that were made once and do not change."""

    held: Tensor

    def vectors(self, chosen: Sequence[int], cached: int | None = None) -> Tensor:
        if isinstance(chosen, range):  # the whole corpus, of every batch: no copy
            return self.held[chosen.start : chosen.stop]
        return self.held[list(chosen)]


@dataclass(frozen=True)
class Costs:
    """Which loss, with what; ``cached`` texts are in memory with their activations at a time,
    questions are encoded in ``precision``."""

    loss: Loss
    scale: float
    margin: float
    cached: int | None
    precision: Precision = "fp32"


@dataclass(frozen=True)
class Dev:
    """``questions`` are those of ``asked``, ``passages`` those that are searched, by ``ids``."""

    held: DevSet
    ids: list[str]
    questions: Encoding
    passages: Vectors


class BiEncoderTask:
    """Satisfies the loop's Task; its passages are encoded by ``model`` too, or frozen."""

    def __init__(
        self, model: Any, layout: Layout, size: int, passages: Vectors, dev: Dev, costs: Costs
    ) -> None:
        self.model, self.size = model, size
        self._layout, self._passages, self._dev, self._costs = layout, passages, dev, costs
        self._questions = Encoding(model, layout.questions, costs.precision)

    def loss(self, chosen: Sequence[int]) -> Tensor:
        batch = self._layout.batch(chosen)
        self.model.train()
        questions = self._questions.vectors(batch.questions, self._costs.cached)
        passages = self._passages.vectors(batch.passages, self._costs.cached)
        return batch_loss(questions, passages, batch, self._costs)

    def score(self) -> float:
        """nDCG@10 on the dev questions."""
        import torch

        self.model.eval()
        dev = self._dev
        with torch.no_grad():
            questions = dev.questions.vectors(range(len(dev.questions)))
            passages = dev.passages.vectors(range(len(dev.ids)))
        return dev.held.ndcg(dev.ids, questions, passages)


def batch_loss(questions: Tensor, passages: Tensor, batch: Batch, costs: Costs) -> Tensor:
    """What ``batch`` costs: ``questions`` (m, d) and ``passages`` (n, d) are the unit vectors of
    the texts in it."""
    import torch

    device = questions.device
    weights = torch.tensor(batch.weights, device=device)
    scores = questions[batch.rows] @ passages.T
    columns = torch.tensor(batch.candidates, device=device)
    if costs.loss == "info_nce":
        known = torch.zeros_like(scores, dtype=torch.bool)
        known[[at for at, _ in batch.known], [column for _, column in batch.known]] = True
        return losses.info_nce(scores, columns[:, 0], known, weights, costs.scale)
    present = columns >= 0
    own = scores.gather(1, columns.clamp(min=0))
    if costs.loss == "triplet":
        return losses.triplet(own, present, weights, costs.margin)
    teacher = torch.tensor(batch.teacher, device=device)
    distil = losses.margin_mse if costs.loss == "margin_mse" else losses.kl_distillation
    return distil(own, teacher, present, weights, costs.scale)
