"""What a bi-encoder's batch costs, from unit vectors; each loss is a weighted mean over examples.

Shapes: b examples, n different passages among them, h negatives at most for one example.
``weights`` (b,) scale what an example costs; at 1 each the losses are those of
sentence-transformers, which know neither weights nor masks. ``scale`` is the inverse of the
temperature.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def info_nce(
    scores: Tensor, positive: Tensor, masked: Tensor, weights: Tensor, scale: float
) -> Tensor:
    """Mean of wᵢ · (−log softmax(scale · sᵢ)) at the positive (van den Oord et al. 2018).

    ``scores`` (b, n) are cosines of every question with every passage of the batch, so that the
    passages of the others are negatives too; ``positive`` (b,) is each question's column;
    ``masked`` (b, n) are columns that it must not be held against, since they answer it as well.
    """
    import torch

    logits = (scores * scale).masked_fill(masked, -torch.inf)
    costs = torch.nn.functional.cross_entropy(logits, positive, reduction="none")
    return (costs * weights).mean()


def triplet(scores: Tensor, present: Tensor, weights: Tensor, margin: float) -> Tensor:
    """Mean of wᵢ · max(0, margin − s⁺ + s⁻), s⁻ over each example's negatives.

    ``scores`` (b, 1 + h) are the cosines of the positive and then of the negatives, ``present``
    (b, 1 + h) says which of them are there. Schroff et al. 2015, with cosine distance.
    """
    costs = (margin - scores[:, :1] + scores[:, 1:]).clamp(min=0)
    return (_mean_of_present(costs, present[:, 1:]) * weights).mean()


def margin_mse(
    scores: Tensor, teacher: Tensor, present: Tensor, weights: Tensor, scale: float
) -> Tensor:
    """Mean of wᵢ · (scale · (s⁺ − s⁻) − (t⁺ − t⁻))² (Hofstätter et al. 2020).

    ``scores`` and ``teacher`` (b, 1 + h): cosines, and a cross-encoder's logits of the same.
    """
    own = scale * (scores[:, :1] - scores[:, 1:])
    costs = (own - (teacher[:, :1] - teacher[:, 1:])) ** 2
    return (_mean_of_present(costs, present[:, 1:]) * weights).mean()


def kl_distillation(
    scores: Tensor, teacher: Tensor, present: Tensor, weights: Tensor, scale: float
) -> Tensor:
    """Mean of wᵢ · KL(softmax(tᵢ) ‖ softmax(scale · sᵢ)) over the positive and the negatives of
    each example (Lin et al. 2020); shapes as in :func:`margin_mse`."""
    import torch

    # not -inf: a passage that is not there has the probability 0, and 0 · (−∞) is no number
    absent = torch.finfo(scores.dtype).min
    own = torch.log_softmax((scores * scale).masked_fill(~present, absent), dim=1)
    wanted = torch.log_softmax(teacher.masked_fill(~present, absent), dim=1)
    costs = (wanted.exp() * (wanted - own)).masked_fill(~present, 0.0).sum(dim=1)
    return (costs * weights).mean()


def _mean_of_present(costs: Tensor, present: Tensor) -> Tensor:
    return (costs * present).sum(dim=1) / present.sum(dim=1).clamp(min=1)
