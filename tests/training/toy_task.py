"""A line through noisy points, trained in milliseconds; dropout makes its randomness count."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class ToyTask:
    def __init__(self, size: int = 40, poisoned: int | None = None) -> None:
        made = torch.Generator().manual_seed(3)
        self.x = torch.randn(size, 4, generator=made)
        self.y = self.x @ torch.tensor([1.0, -2.0, 0.5, 0.0]) + 0.3
        if poisoned is not None:
            self.y[poisoned] = float("nan")
        torch.manual_seed(5)
        self.model = nn.Sequential(nn.Dropout(0.1), nn.Linear(4, 1))
        self.size = size

    def loss(self, chosen: Sequence[int]) -> Tensor:
        rows = list(chosen)
        return ((self.model(self.x[rows]).squeeze(1) - self.y[rows]) ** 2).mean()

    def score(self) -> float:
        self.model.eval()
        right = torch.nan_to_num((self.model(self.x).squeeze(1) - self.y) ** 2)
        self.model.train()
        return -float(right.detach().mean())

    def weights(self) -> list[float]:
        return [float(v) for p in self.model.parameters() for v in p.detach().flatten()]
