"""The processes that train together: one, or as many as ``accelerate launch`` started."""

from __future__ import annotations

import atexit
import os
import resource
import sys
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, TypeVar

from ragdiag.errors import TrainingError

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")


class Processes:
    """This process among them, by its ``rank``. Every one must call the same methods in the same
    order: they wait for one another. Raises TrainingError where more of them were started on this
    machine than it has accelerators."""

    def __init__(self) -> None:
        import torch
        from accelerate import PartialState
        from accelerate.utils import parse_flag_from_env

        # Unless told, it leaves processes on processors alone: each would train by itself.
        on_cpu = not torch.accelerator.is_available() or parse_flag_from_env("ACCELERATE_USE_CPU")
        if not on_cpu:
            _refuse_sharing(torch.accelerator.device_count())
        state = PartialState(cpu=on_cpu)
        self.rank, self.count = int(state.process_index), int(state.num_processes)
        self.device = state.device
        if self.count > 1:
            _part_at_exit()

    @property
    def accelerators(self) -> int:
        """On how many of them the processes run, 0 on processors."""
        return 0 if self.device.type == "cpu" else self.count

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def averaged(self, weights: Iterable[Tensor], loss: float) -> float:
        """Replace the gradient of every weight by the mean over the processes; the mean loss."""
        if self.count == 1:
            return loss
        import torch
        from accelerate.utils import reduce

        for weight in weights:
            own = torch.zeros_like(weight) if weight.grad is None else weight.grad
            weight.grad = reduce(own, "mean")
        return float(reduce(torch.tensor(loss, device=self.device), "mean"))

    def summed(self, value: float) -> float:
        """Of all processes together."""
        if self.count == 1:
            return value
        import torch
        from accelerate.utils import reduce

        return float(reduce(torch.tensor(value, device=self.device), "sum"))

    def shared(self, value: T) -> T:
        """The first process's ``value``."""
        if self.count == 1:
            return value
        from accelerate.utils import broadcast_object_list

        first: T = broadcast_object_list([value])[0]
        return first


def _refuse_sharing(accelerators: int) -> None:
    """NCCL lets no two processes train on one of them, and says so in many lines."""
    here = os.environ.get("LOCAL_WORLD_SIZE", "1")  # as torchrun and accelerate set it
    if here.isdecimal() and int(here) > accelerators:
        raise TrainingError(
            f"{here} processes were started on a machine with {accelerators} accelerator(s)",
            remedy="start as many as it has, or set ACCELERATE_USE_CPU=1 to train on processors",
        )


@cache
def _part_at_exit() -> None:
    """Threads that still wait for the other processes when the interpreter goes would abort this
    one, and with it a run that has ended well."""
    from accelerate import PartialState

    atexit.register(PartialState().destroy_process_group)


def peak_bytes() -> int:
    """The most memory this process has held. Linux counts in kilobytes, macOS in bytes."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(most if sys.platform == "darwin" else most * 1024)
