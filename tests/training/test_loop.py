"""The loop: it learns, goes on exactly after a kill, stops in time, and says what went wrong."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ragdiag.errors import RunCancelled, StoreFull, TrainingError
from ragdiag.settings import PROJECT
from ragdiag.training.checkpoints import load_state
from ragdiag.training.curves import read_curve
from ragdiag.training.loop import CHECKPOINT, CURVE, LoopOptions, train
from ragdiag.training.processes import Processes
from tests.training.toy_task import ToyTask

OPTIONS = LoopOptions(epochs=4, batch=8, learning_rate=0.05, looks=2)


class Killed(Exception):
    """Stands for SIGKILL: nothing is tidied up on its way out."""


def test_it_learns_and_keeps_its_best(tmp_path: Path) -> None:
    task = ToyTask()
    trained = train(task, replace(OPTIONS, epochs=20, patience=50), tmp_path)
    assert trained.ended == "finished"
    assert trained.best_score == task.score() > trained.first_score
    assert trained.best_score > -0.2
    assert 0 < trained.best_step <= trained.steps == 100
    assert trained.curve[0].step == 0
    scored = [point.score for point in trained.curve if point.score is not None]
    assert max(scored) == trained.best_score
    assert read_curve(tmp_path / CURVE) == trained.curve
    assert trained.wall_s > 0
    assert trained.peak_bytes > 1_000_000


def test_one_seed_gives_one_model(tmp_path: Path) -> None:
    one, same, other = ToyTask(), ToyTask(), ToyTask()
    train(one, OPTIONS, tmp_path / "one")
    train(same, OPTIONS, tmp_path / "same")
    train(other, replace(OPTIONS, seed=1), tmp_path / "other")
    assert one.weights() == same.weights() != other.weights()


@pytest.mark.parametrize("at", [1, 7, 13])
def test_a_killed_run_goes_on_as_if_it_had_not_been(tmp_path: Path, at: int) -> None:
    whole, first, second = ToyTask(), ToyTask(), ToyTask()
    options = replace(OPTIONS, keep_s=0.0)
    expected = train(whole, options, tmp_path / "whole")

    def kill(fraction: float, message: str) -> None:
        if message.startswith(f"step {at + 1} "):
            raise Killed

    with pytest.raises(Killed):
        train(first, options, tmp_path / "killed", kill)
    found = train(second, options, tmp_path / "killed")
    assert second.weights() == whole.weights()
    assert [(p.step, p.loss, p.score) for p in found.curve if p.score is not None] == [
        (p.step, pytest.approx(p.loss), p.score) for p in expected.curve if p.score is not None
    ]
    assert (found.best_step, found.steps) == (expected.best_step, expected.steps)


@pytest.mark.parametrize("at", [4, 5])
def test_a_cancelled_run_keeps_its_step(tmp_path: Path, at: int) -> None:
    """Also one at which the model is looked at, long before a checkpoint is due."""
    whole, first, second = ToyTask(), ToyTask(), ToyTask()
    train(whole, OPTIONS, tmp_path / "whole")

    def cancel(fraction: float, message: str) -> None:
        if message.startswith(f"step {at} "):
            raise RunCancelled("stopped", remedy="go on")

    with pytest.raises(RunCancelled):
        train(first, OPTIONS, tmp_path / "cancelled", cancel)
    told: list[str] = []
    train(second, OPTIONS, tmp_path / "cancelled", lambda _, message: told.append(message))
    assert told[0].startswith(f"step {at + 1} of 20")
    assert second.weights() == whole.weights()


def test_it_says_when_it_scores_which_may_take_minutes(tmp_path: Path) -> None:
    told: list[str] = []
    train(ToyTask(), replace(OPTIONS, epochs=1), tmp_path, lambda _, message: told.append(message))
    assert told[0] == "scoring before the first of 5 steps"
    scoring = [one.partition(",")[0] for one in told if one.endswith(", scoring")]
    assert scoring == ["step 2 of 5", "step 5 of 5"]


def test_a_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    task, again = ToyTask(), ToyTask()
    train(task, OPTIONS, tmp_path)
    train(again, OPTIONS, tmp_path, lambda fraction, message: pytest.fail(message))
    assert again.weights() == task.weights()


def test_no_better_score_ends_it(tmp_path: Path) -> None:
    task = ToyTask()
    before = task.weights()
    trained = train(task, replace(OPTIONS, epochs=50, learning_rate=50.0, patience=2), tmp_path)
    assert (trained.ended, trained.best_step, trained.steps) == ("early", 0, 5)
    assert trained.best_score == trained.first_score
    assert task.weights() == before


def test_a_run_that_ended_early_goes_no_further(tmp_path: Path) -> None:
    options = replace(OPTIONS, epochs=50, learning_rate=50.0, patience=2)
    train(ToyTask(), options, tmp_path)
    assert train(ToyTask(), options, tmp_path).steps == 5


def test_a_loss_that_is_no_number_keeps_the_last_good_step(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"step \d+ of 20 \(.*\); lower .* is kept"):
        train(ToyTask(poisoned=17), OPTIONS, tmp_path)
    again = ToyTask(poisoned=17)
    with pytest.raises(TrainingError, match="not a number"):
        train(again, OPTIONS, tmp_path)
    assert all(abs(value) < 10 for value in again.weights())


def test_before_the_first_step_the_learning_rate_is_not_to_blame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ToyTask, "loss", lambda task, _: task.model[1].weight.sum() * math.nan)
    with pytest.raises(TrainingError) as caught:
        train(ToyTask(), OPTIONS, tmp_path)
    assert str(caught.value) == (
        "the loss is not a number at step 1 of 20 (epoch 1, batch 1); no step was taken, so the "
        "learning rate is not why: lower the scale of the loss or alpha, where they were given, or "
        "begin from another base; no step is kept"
    )


def test_a_first_step_that_makes_weights_no_numbers_claims_to_keep_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = ToyTask()
    monkeypatch.setattr(
        torch.optim.AdamW, "step", lambda _: task.model[1].weight.data.fill_(math.inf)
    )
    with pytest.raises(TrainingError, match=r"after step 1 of 20; lower .*; no step is kept"):
        train(task, OPTIONS, tmp_path)


def test_a_step_that_makes_weights_no_numbers_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a loss that was a number: the next batch would find out, too late."""
    task, taken = ToyTask(), 0
    usual = torch.optim.AdamW.step

    def overflowing(self: torch.optim.AdamW) -> None:
        nonlocal taken
        usual(self)
        taken += 1
        if taken == 4:
            task.model[1].weight.data.fill_(math.inf)

    monkeypatch.setattr(torch.optim.AdamW, "step", overflowing)
    options = replace(OPTIONS, keep_s=0.0)
    with pytest.raises(TrainingError, match="a weight is not a number after step 4 of 20"):
        train(task, options, tmp_path)
    kept = load_state(tmp_path / CHECKPOINT, task.size, options)
    assert kept is not None
    assert kept.step == 3
    assert all(bool(weight.isfinite().all()) for weight in kept.weights.values())


def test_small_parts_of_a_batch_cost_the_same(tmp_path: Path) -> None:
    whole, parts = ToyTask(), ToyTask()
    whole.model[0].p = parts.model[0].p = 0.0
    train(whole, OPTIONS, tmp_path / "whole")
    train(parts, replace(OPTIONS, micro=3), tmp_path / "parts")
    assert parts.weights() == pytest.approx(whole.weights(), abs=1e-5)


def test_another_run_does_not_go_on_from_it(tmp_path: Path) -> None:
    train(ToyTask(), OPTIONS, tmp_path)
    with pytest.raises(TrainingError, match="other data or options"):
        train(ToyTask(), replace(OPTIONS, learning_rate=0.1), tmp_path)
    with pytest.raises(TrainingError, match="other data or options"):
        train(ToyTask(size=41), OPTIONS, tmp_path)
    (tmp_path / CHECKPOINT).write_bytes(b"half")
    with pytest.raises(TrainingError, match="cannot be read"):
        train(ToyTask(), OPTIONS, tmp_path)


def test_a_full_disk_leaves_the_last_checkpoint(small_disk: Path) -> None:
    train(ToyTask(), replace(OPTIONS, epochs=1), small_disk)
    kept = (small_disk / CHECKPOINT).read_bytes()
    with suppress(OSError), (small_disk / "ballast").open("wb", buffering=0) as ballast:
        while True:
            ballast.write(bytes(1024))
    with pytest.raises(StoreFull, match="no space left on the device"):
        train(ToyTask(), OPTIONS, small_disk / "more")
    assert (small_disk / CHECKPOINT).read_bytes() == kept


def test_the_time_of_the_other_processes_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Processes, "summed", lambda self, own: own + 100.0)
    trained = train(ToyTask(), OPTIONS, tmp_path)
    assert 100 * trained.steps <= trained.cpu_s < 100 * (trained.steps + 1)


@pytest.mark.slow
def test_two_processes_train_one_model(tmp_path: Path) -> None:
    # What ``accelerate launch`` starts on accelerators; on processors alone it would ask for MPI.
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"]
    launch += ["--standalone", "-m", "tests.training.launched", str(tmp_path)]
    ran = subprocess.run(
        launch,
        cwd=PROJECT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    one, other = (json.loads((tmp_path / f"said-{rank}.json").read_text()) for rank in (0, 1))
    assert one == other
    assert (one["of"], one["ranks"]) == (2, 1.0)
    alone = ToyTask()
    assert one["weights"] != alone.weights()
    assert (tmp_path / CHECKPOINT).is_file()
