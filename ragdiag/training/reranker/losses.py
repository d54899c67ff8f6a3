"""What a cross-encoder's logits cost, example by example.

An example is one question with its positive in column 0 and its negatives behind. ``logits`` and
``teacher`` are float (b, m), ``present`` is bool (b, m) and False where an example has fewer
negatives than the longest; every loss is float (b,), so that the caller can weigh examples. The
logits are compared as they are: an activation would bound what distillation and softmax compare.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

LossName = Literal["binary", "listwise", "margin_mse", "kl"]


def binary(logits: Tensor, present: Tensor, teacher: Tensor) -> Tensor:
    """Cross-entropy of each passage's own label: ½ the positive's, ½ the mean of the negatives',
    so that more negatives do not teach the model to say no."""
    import torch.nn.functional as functional

    negative = (functional.softplus(logits) * present)[:, 1:].sum(1) / _negatives(present)
    return 0.5 * (functional.softplus(-logits[:, 0]) + negative)


def listwise(logits: Tensor, present: Tensor, teacher: Tensor) -> Tensor:
    """−log softmax of the positive among its negatives (Cao et al. 2007, ListNet, one relevant)."""
    return -_log_softmax(logits, present)[:, 0]


def margin_mse(logits: Tensor, present: Tensor, teacher: Tensor) -> Tensor:
    """Mean over the negatives of ((s₊ − s₋) − (t₊ − t₋))² (Hofstätter et al. 2020)."""
    own, wanted = logits[:, :1] - logits, teacher[:, :1] - teacher
    return (((own - wanted) ** 2) * present)[:, 1:].sum(1) / _negatives(present)


def kl(logits: Tensor, present: Tensor, teacher: Tensor) -> Tensor:
    """KL(softmax t ‖ softmax s) over the passages of an example."""
    wanted, own = _log_softmax(teacher, present), _log_softmax(logits, present)
    # an absent passage has probability 0 in both, and 0 · (−∞ − −∞) is no number
    return (wanted.exp() * (wanted - own).masked_fill(~present, 0.0)).sum(1)


LOSSES: dict[LossName, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "binary": binary,
    "listwise": listwise,
    "margin_mse": margin_mse,
    "kl": kl,
}
DISTILLED: frozenset[LossName] = frozenset({"margin_mse", "kl"})
"""Losses that learn from a teacher's logits."""


def _log_softmax(logits: Tensor, present: Tensor) -> Tensor:
    return logits.masked_fill(~present, float("-inf")).log_softmax(1)


def _negatives(present: Tensor) -> Tensor:
    return present[:, 1:].sum(1).clamp(min=1)
