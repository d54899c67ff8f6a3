"""Each loss equals sentence-transformers' own where it has neither weights nor masks."""

from __future__ import annotations

import math

import pytest
import torch
from sentence_transformers.sentence_transformer.losses import (
    DistillKLDivLoss,
    MarginMSELoss,
    MultipleNegativesRankingLoss,
    TripletDistanceMetric,
    TripletLoss,
)
from torch import Tensor, nn
from torch.testing import assert_close

from ragdiag.training.retriever.losses import info_nce, kl_distillation, margin_mse, triplet

B, H, D = 5, 2, 8
ONES = torch.ones(B)
ALL = torch.ones(B, 1 + H, dtype=torch.bool)


@pytest.fixture
def columns() -> list[Tensor]:
    """Unit vectors of the questions, the positives and each rank of negatives."""
    made = torch.Generator().manual_seed(1)
    drawn = [torch.randn(B, D, generator=made) for _ in range(2 + H)]
    return [nn.functional.normalize(one, dim=1) for one in drawn]


@pytest.fixture
def teacher() -> Tensor:
    return 3 * torch.randn(B, 1 + H, generator=torch.Generator().manual_seed(2))


@pytest.fixture
def own(columns: list[Tensor]) -> Tensor:
    """Cosines (b, 1 + h) of each question with its own passages."""
    return torch.stack([(columns[0] * one).sum(dim=1) for one in columns[1:]], dim=1)


def scaled(one: Tensor, other: Tensor) -> Tensor:
    return 20 * (one * other).sum(dim=1)


def test_info_nce(columns: list[Tensor]) -> None:
    scores = columns[0] @ torch.cat(columns[1:]).T
    nothing = torch.zeros_like(scores, dtype=torch.bool)
    found = info_nce(scores, torch.arange(B), nothing, ONES, 20.0)
    theirs = MultipleNegativesRankingLoss(nn.Identity(), scale=20.0)
    assert_close(found, theirs.compute_loss_from_embeddings(columns, None))


def test_a_masked_passage_is_as_if_it_were_not_there(columns: list[Tensor]) -> None:
    scores = columns[0] @ torch.cat(columns[1:3]).T
    masked = torch.zeros_like(scores, dtype=torch.bool)
    masked[:, B:] = True
    without = info_nce(scores[:, :B], torch.arange(B), masked[:, :B], ONES, 20.0)
    assert_close(info_nce(scores, torch.arange(B), masked, ONES, 20.0), without)


def test_triplet(columns: list[Tensor], own: Tensor) -> None:
    theirs = TripletLoss(nn.Identity(), TripletDistanceMetric.COSINE, triplet_margin=0.5)
    expected = theirs.compute_loss_from_embeddings(columns[:3], None)
    assert_close(triplet(own[:, :2], ALL[:, :2], ONES, 0.5), expected)


def test_margin_mse(columns: list[Tensor], own: Tensor, teacher: Tensor) -> None:
    theirs = MarginMSELoss(nn.Identity(), similarity_fct=scaled)
    expected = theirs.compute_loss_from_embeddings(columns, teacher)
    assert_close(margin_mse(own, teacher, ALL, ONES, 20.0), expected)


def test_kl_distillation(columns: list[Tensor], own: Tensor, teacher: Tensor) -> None:
    theirs = DistillKLDivLoss(nn.Identity(), similarity_fct=scaled)
    expected = theirs.compute_loss_from_embeddings(columns, teacher)
    assert_close(kl_distillation(own, teacher, ALL, ONES, 20.0), expected)


@pytest.mark.parametrize("name", ["triplet", "margin_mse", "kl"])
def test_negatives_that_are_not_there_cost_nothing(name: str, own: Tensor, teacher: Tensor) -> None:
    def cost(scores: Tensor, taught: Tensor, present: Tensor) -> Tensor:
        if name == "triplet":
            return triplet(scores, present, ONES, 0.5)
        distil = margin_mse if name == "margin_mse" else kl_distillation
        return distil(scores, taught, present, ONES, 20.0)

    padded = ALL.clone()
    padded[:, -1] = False
    scores = own.clone().requires_grad_()
    found = cost(scores, teacher, padded)
    assert_close(found, cost(own[:, :-1], teacher[:, :-1], ALL[:, :-1]))
    found.backward()
    assert scores.grad is not None
    assert scores.grad.isfinite().all()
    assert (scores.grad[:, -1] == 0).all()


def test_weights_scale_what_an_example_costs(own: Tensor, teacher: Tensor) -> None:
    weights = torch.tensor([2.0, 0.0, 1.0, 0.5, 3.0])
    square = own[:, [0, 1, 2, 0, 1]]
    nothing = torch.zeros_like(square, dtype=torch.bool)

    def costs(rows: slice, w: Tensor) -> list[float]:
        positive, masked = torch.arange(B)[rows], nothing[rows]
        return [
            float(info_nce(square[rows], positive, masked, w, 20.0)),
            float(triplet(own[rows], ALL[rows], w, 0.5)),
            float(margin_mse(own[rows], teacher[rows], ALL[rows], w, 20.0)),
            float(kl_distillation(own[rows], teacher[rows], ALL[rows], w, 20.0)),
        ]

    alone = [costs(slice(i, i + 1), torch.ones(1)) for i in range(B)]
    for at, found in enumerate(costs(slice(None), weights)):
        expected = math.fsum(float(weights[i]) * alone[i][at] for i in range(B)) / B
        assert found == pytest.approx(expected, rel=1e-5)
