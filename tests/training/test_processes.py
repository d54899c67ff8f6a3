"""Processes that train together, each on a device of its own."""

from __future__ import annotations

import pytest
import torch

from ragdiag.errors import TrainingError
from ragdiag.training.processes import Processes


def test_more_processes_than_accelerators_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ACCELERATE_USE_CPU", raising=False)
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: 1)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    with pytest.raises(TrainingError, match=r"2 processes .* 1 accelerator.*ACCELERATE_USE_CPU=1"):
        Processes()
    monkeypatch.setenv("ACCELERATE_USE_CPU", "1")
    assert Processes().device == torch.device("cpu")
