"""Each loss against its plain definition."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from ragdiag.training.reranker.losses import LOSSES, binary, kl, listwise, margin_mse

LOGITS = torch.tensor([[1.0, -0.5, 2.0], [0.3, 0.1, 9.0]])
TEACHER = torch.tensor([[2.0, 0.0, 1.0], [1.0, -1.0, 7.0]])
PRESENT = torch.tensor([[True, True, True], [True, True, False]])


def test_definitions_hold_and_an_absent_passage_counts_nowhere() -> None:
    own, teacher = [1.0, -0.5, 2.0], [2.0, 0.0, 1.0]

    def softmax(values: list[float]) -> list[float]:
        total = sum(math.exp(value) for value in values)
        return [math.exp(value) / total for value in values]

    assert listwise(LOGITS, PRESENT, TEACHER)[0] == pytest.approx(-math.log(softmax(own)[0]))
    pairs = list(zip(softmax(teacher), softmax(own), strict=True))
    assert kl(LOGITS, PRESENT, TEACHER)[0] == pytest.approx(
        sum(t * math.log(t / s) for t, s in pairs)
    )
    margins = [((own[0] - own[n]) - (teacher[0] - teacher[n])) ** 2 for n in (1, 2)]
    assert margin_mse(LOGITS, PRESENT, TEACHER)[0] == pytest.approx(sum(margins) / 2)
    says_no = [math.log(1 + math.exp(value)) for value in own[1:]]
    says_yes = math.log(1 + math.exp(-own[0]))
    assert binary(LOGITS, PRESENT, TEACHER)[0] == pytest.approx((says_yes + sum(says_no) / 2) / 2)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_padding_changes_neither_loss_nor_gradient(name: Any) -> None:
    padded = LOGITS.clone().requires_grad_()
    short = LOGITS[1:, :2].clone().requires_grad_()
    loss = LOSSES[name](padded, PRESENT, TEACHER)
    alone = LOSSES[name](short, PRESENT[1:, :2], TEACHER[1:, :2])
    assert loss[1].item() == pytest.approx(alone[0].item())
    loss.sum().backward()
    alone.sum().backward()
    assert padded.grad is not None
    assert short.grad is not None
    assert padded.grad[1, :2].tolist() == pytest.approx(short.grad[0].tolist())
    assert padded.grad[1, 2] == 0


def test_a_student_that_says_what_its_teacher_says_costs_nothing() -> None:
    moved = TEACHER + 5.0
    for name in ("margin_mse", "kl"):
        cost = LOSSES[name](moved, PRESENT, TEACHER)  # type: ignore[index]
        assert cost.tolist() == pytest.approx([0.0, 0.0], abs=1e-6)
