"""The training loop: batches in a seeded order, one optimiser step each, the best weights kept.

A task says what a batch costs and how good the model is; the loop knows no more of it. Order,
learning rate and random numbers follow from the seed and the step alone, so a run that was killed
goes on from its checkpoint exactly as if it had not been. Several processes (``accelerate launch``)
share each batch and average their gradients; the first of them scores, and keeps the files.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from ragdiag.errors import RunCancelled, TrainingError
from ragdiag.progress import Progress, report
from ragdiag.training.checkpoints import State, load_state, save_state
from ragdiag.training.curves import Point, write_curve
from ragdiag.training.processes import Processes, peak_bytes

if TYPE_CHECKING:
    from torch import Tensor, nn

CHECKPOINT, CURVE = "checkpoint.pt", "curve.jsonl"
POINTS = 100
"""Of a curve: enough to draw, few enough to write at each of them."""
LAST_GOOD_STEP = "lower the learning rate; the last good step is kept"
NO_STEP_YET = (
    "no step was taken, so the learning rate is not why: lower the scale of the loss or alpha, "
    "where they were given, or begin from another base; no step is kept"
)


class Task(Protocol):
    """What is trained: the parameters of ``model`` that require a gradient. ``size`` is how many
    examples there are."""

    @property
    def model(self) -> nn.Module: ...

    @property
    def size(self) -> int: ...

    def loss(self, chosen: Sequence[int]) -> Tensor:
        """Mean loss of the examples ``chosen``, with a gradient. Draws only from torch's RNG."""
        ...

    def score(self) -> float:
        """How good the model is on the dev questions; higher is better. Changes nothing."""
        ...


@dataclass(frozen=True)
class LoopOptions:
    """How to train.

    ``warmup`` is the share of the steps in which the learning rate rises; then it falls linearly to
    zero. The model is scored ``looks`` times an epoch; ``patience`` looks in a row without a better
    score end it. ``micro`` examples at a time are in memory, where a batch is too large for it (not
    for losses that compare the examples of a batch). A checkpoint is written at every look and
    every ``keep_s`` seconds.
    """

    epochs: int = 3
    batch: int = 32
    micro: int | None = None
    learning_rate: float = 2e-5
    warmup: float = 0.1
    weight_decay: float = 0.01
    clip: float = 1.0
    looks: int = 1
    patience: int = 3
    keep_s: float = 60.0
    seed: int = 0


@dataclass(frozen=True)
class Trained:
    """How training went; the model holds its best weights.

    ``best_step`` is 0 where no step made it better than it came. Times are of all its stretches
    together, where it was killed between, ``cpu_s`` of all processes that trained together and
    ``others_s`` what of it was not the first one's;
    ``peak_bytes`` is the largest the first of them has been.
    ``accelerators`` is on how many it ran, 0 on processors.
    """

    first_score: float
    best_score: float
    best_step: int
    steps: int
    ended: Literal["finished", "early"]
    wall_s: float
    cpu_s: float
    peak_bytes: int
    curve: tuple[Point, ...]
    accelerators: int = 0
    others_s: float = 0.0


def train(
    task: Task, options: LoopOptions, folder: Path, progress: Progress | None = None
) -> Trained:
    """Train ``task``, from the checkpoint in ``folder`` where there is one.

    Raises TrainingError where loss, gradient or a weight is not a number (the checkpoint keeps a
    good step) or the checkpoint is one of another run, StoreFull where it does not fit on the disk.
    Where ``progress`` raises RunCancelled, that step is kept first.
    """
    run = _Run(task, options, folder, progress)
    run.take_steps()
    return run.ended()


class _Run:
    """One task on its way; ``state`` is all that a checkpoint keeps."""

    def __init__(
        self, task: Task, options: LoopOptions, folder: Path, progress: Progress | None
    ) -> None:
        import torch

        self._task, self._options, self._folder = task, options, folder
        self._progress, self._processes = progress, Processes()
        self._weights = {n: p for n, p in task.model.named_parameters() if p.requires_grad}
        if not self._weights or not task.size:
            raise TrainingError("there is nothing to train", remedy="check the data and the method")
        self._per_epoch = math.ceil(task.size / options.batch)
        self._total = self._per_epoch * options.epochs
        self._optimizer = torch.optim.AdamW(
            self._weights.values(), lr=options.learning_rate, weight_decay=options.weight_decay
        )
        self._losses: list[float] = []
        self._last_loss = math.nan
        self._order: tuple[int, list[int]] = (-1, [])
        self._clock = time.monotonic(), time.process_time()
        self._busy = self._clock[1]
        self.state = self._found() or self._fresh()
        self._begun_at, self._begun = self.state.step, time.monotonic()

    @property
    def _is_idle(self) -> bool:
        return self.state.idle >= self._options.patience

    def take_steps(self) -> None:
        """All that are left, or as many as the model still gets better by."""
        every = [round(self._per_epoch * n / self._options.looks) for n in self._nth()]
        looks_at = {e * self._per_epoch + n for e in range(self._options.epochs) for n in every}
        kept = time.monotonic()
        while self.state.step < self._total and not self._is_idle:
            self._step()
            looked = self.state.step in looks_at
            if looked:
                with suppress(RunCancelled):  # a step is kept once it was looked at
                    self._tell(", scoring")
                self._look()
            if looked or self.state.step % max(1, self._total // POINTS) == 0:
                self._point(self.state.last_score if looked else None)
            try:
                self._tell()
            except RunCancelled:
                self._keep()
                raise
            if looked or time.monotonic() - kept >= self._options.keep_s:
                self._keep()
                kept = time.monotonic()

    def ended(self) -> Trained:
        """Give the model its best weights and say how it went."""
        self._keep()
        self._load(self.state.best)
        state = self.state
        return Trained(
            first_score=state.first_score,
            best_score=state.best_score,
            best_step=state.best_step,
            steps=state.step,
            ended="early" if self._is_idle else "finished",
            wall_s=state.wall_s,
            cpu_s=state.cpu_s,
            peak_bytes=peak_bytes(),
            curve=tuple(state.curve),
            accelerators=self._processes.accelerators,
            others_s=state.others_s,
        )

    def _nth(self) -> range:
        return range(1, self._options.looks + 1)

    def _fresh(self) -> State:
        report(self._progress, 0.0, f"scoring before the first of {self._total} steps")
        score = self._score()
        weights = self._copied()
        state = State(best=weights, first_score=score, best_score=score, last_score=score)
        state.curve.append(Point(0, None, score, 0.0, 0.0))
        return state

    def _found(self) -> State | None:
        state = load_state(self._folder / CHECKPOINT, self._task.size, self._options)
        if state is not None:
            self._load(state.weights)
            self._optimizer.load_state_dict(state.optimizer)
        return state

    def _step(self) -> None:
        """One batch. Raises TrainingError where its loss is not a number, and changes nothing then,
        or where a weight is none after it: nothing of that is kept."""
        import torch

        step, options = self.state.step, self._options
        batch = self._batch(step)
        own = batch[self._processes.rank :: self._processes.count]
        torch.manual_seed(_seed(options.seed, step, self._processes.rank))
        self._optimizer.zero_grad()
        loss = 0.0
        for start in range(0, len(own), options.micro or len(batch)):
            part = own[start : start + (options.micro or len(batch))]
            cost = self._task.loss(part) * (len(part) * self._processes.count / len(batch))
            cost.backward()
            loss += float(cost.detach())
        loss = self._processes.averaged(self._weights.values(), loss)
        self._spend_others()
        norm = float(torch.nn.utils.clip_grad_norm_(self._weights.values(), options.clip))
        if not (math.isfinite(loss) and math.isfinite(norm)):
            self._keep()
            raise TrainingError(
                f"the loss is not a number at step {step + 1} of {self._total} "
                f"(epoch {step // self._per_epoch + 1}, batch {step % self._per_epoch + 1})",
                remedy=LAST_GOOD_STEP if step else NO_STEP_YET,
            )
        for group in self._optimizer.param_groups:
            group["lr"] = self._rate(step)
        self._optimizer.step()
        if not self._is_finite():
            raise TrainingError(
                f"a weight is not a number after step {step + 1} of {self._total}",
                remedy="lower the learning rate; "
                + ("what was kept is of an earlier step" if step else "no step is kept"),
            )
        self.state.step += 1
        self._losses.append(loss)
        self._last_loss = loss

    def _is_finite(self) -> bool:
        """A maximum of what holds a NaN is NaN."""
        import torch

        largest = torch.stack([weight.detach().abs().max() for weight in self._weights.values()])
        return bool(torch.isfinite(largest).all())

    def _batch(self, step: int) -> list[int]:
        import torch

        epoch, within = divmod(step, self._per_epoch)
        if epoch != self._order[0]:
            shuffled = torch.Generator().manual_seed(_seed(self._options.seed, epoch, 0))
            self._order = epoch, torch.randperm(self._task.size, generator=shuffled).tolist()
        start = within * self._options.batch
        return self._order[1][start : start + self._options.batch]

    def _rate(self, step: int) -> float:
        """Rises over the first steps to its height, then falls to zero after the last."""
        rising = max(1, round(self._options.warmup * self._total))
        share = min((step + 1) / rising, (self._total - step) / max(1, self._total - rising + 1))
        return self._options.learning_rate * min(1.0, share)

    def _look(self) -> None:
        state = self.state
        state.last_score = self._score()
        if state.last_score > state.best_score:
            state.best_score, state.best_step, state.idle = state.last_score, state.step, 0
            state.best = self._copied()
        else:
            state.idle += 1

    def _score(self) -> float:
        """The first process's, in all of them."""
        import torch

        if not self._processes.is_first:
            return self._processes.shared(0.0)
        with torch.no_grad():
            return self._processes.shared(self._task.score())

    def _point(self, score: float | None) -> None:
        loss = sum(self._losses) / len(self._losses) if self._losses else None
        self._losses.clear()
        rate = self._rate(self.state.step - 1)
        self._spend()
        self.state.curve.append(Point(self.state.step, loss, score, rate, self.state.wall_s))
        if self._processes.is_first:
            write_curve(self._folder / CURVE, self.state.curve)

    def _keep(self) -> None:
        self._spend()
        self.state.weights = self._copied()
        self.state.optimizer = self._optimizer.state_dict()
        if self._processes.is_first:
            save_state(self._folder / CHECKPOINT, self.state, self._task.size, self._options)

    def _spend(self) -> None:
        now = time.monotonic(), time.process_time()
        self.state.wall_s += now[0] - self._clock[0]
        self.state.cpu_s += now[1] - self._clock[1]
        self._clock = now

    def _spend_others(self) -> None:
        """For how long the others were busy since their last step; :meth:`_spend` knows its own."""
        own = time.process_time() - self._busy
        self._busy += own
        others = self._processes.summed(own) - own
        self.state.cpu_s += others
        self.state.others_s += others

    def _copied(self) -> dict[str, Tensor]:
        return {name: weight.detach().clone() for name, weight in self._weights.items()}

    def _load(self, weights: dict[str, Tensor]) -> None:
        import torch

        with torch.no_grad():
            for name, weight in self._weights.items():
                weight.copy_(weights[name])

    def _tell(self, doing: str = "") -> None:
        done = self.state.step - self._begun_at
        left_s = (time.monotonic() - self._begun) / done * (self._total - self.state.step)
        report(
            self._progress,
            self.state.step / self._total,
            f"step {self.state.step} of {self._total}, loss {self._last_loss:.4f}, "
            f"about {duration(left_s)} left{doing}",
        )


def duration(seconds: float) -> str:
    """
    >>> duration(40), duration(150), duration(7300)
    ('40 s', '2 min', '2.0 h')
    """
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"


def _seed(seed: int, step: int, rank: int) -> int:
    """A seed of its own for every step and process."""
    return hash((seed, step, rank)) & 0x7FFF_FFFF
