"""What a run cost: all of its command, over every stretch of it, with training as one part."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ragdiag.errors import RunCancelled
from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake
from ragdiag.store.training_runs import find_run
from ragdiag.training import costs
from ragdiag.training.costs import Clock, Spent, cost_of
from ragdiag.training.loop import Trained
from ragdiag.training.recording import recorded
from ragdiag.training.run_folder import begin_run
from ragdiag.training.runs import Cost, RunFacts, facts_of
from tests.training_runs import BEGUN, DONE

TRAINED = Trained(0.1, 0.2, 5, 9, "finished", wall_s=1800.0, cpu_s=95.0, peak_bytes=7, curve=())
SPENT = Spent(3600.0, 90.0, 5)


class Time:
    """A clock that goes on only when told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(costs.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(costs.time, "process_time", lambda: self.now / 2)


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    return Time(monkeypatch)


def test_the_rest_of_the_command_counts_and_training_is_a_part_of_it() -> None:
    assert cost_of(SPENT) == Cost(3600.0, 90.0, 5, training_s=0.0)
    found = cost_of(SPENT, replace(TRAINED, others_s=30.0))
    assert (found.wall_s, found.cpu_s, found.training_s, found.peak_bytes) == (3600, 120, 1800, 7)
    assert found.gpu_hours == 0
    assert found.energy_wh == pytest.approx(120 * 15 / 3600)


def test_training_of_before_the_rest_was_counted_is_part_of_the_whole() -> None:
    """A run that another ragdiag began has its loop's seconds in the checkpoint alone."""
    found = cost_of(Spent(100.0, 50.0, 5), TRAINED)
    assert (found.wall_s, found.cpu_s, found.training_s) == (1800, 95, 1800)


def test_an_accelerators_time_is_told_and_its_energy_is_not_guessed() -> None:
    cost = cost_of(SPENT, replace(TRAINED, accelerators=2))
    assert (cost.gpu_hours, cost.energy_wh, cost.assumption) == (1.5, None, "")


def cost_in(lake: Lake, run_id: str) -> Cost:
    found = facts_of(find_run(lake, run_id)).cost
    assert found is not None
    return found


def test_a_run_that_was_stopped_goes_on_counting_from_before_its_folder_is_known(
    lake: Lake, workspace: Workspace, time: Time
) -> None:
    clock = Clock()
    time.now += 20  # mining, before the run has a folder
    folder = begin_run(lake, workspace, {"kind": "retriever"})

    def stopped() -> None:
        with recorded(lake, folder, "retriever", BEGUN, clock):
            assert cost_in(lake, folder.run_id).wall_s == 20
            time.now += 10
            raise RunCancelled("stopped", remedy="go on")

    with pytest.raises(RunCancelled):
        stopped()
    found = cost_in(lake, folder.run_id)
    assert (found.wall_s, found.cpu_s, found.training_s) == (30, 15, 0)
    time.now += 1000  # nobody works on it
    clock = Clock()
    time.now += 5
    with recorded(lake, folder, "retriever", BEGUN, clock) as recording:
        recording.say(trained=replace(TRAINED, wall_s=3.0, cpu_s=1.0))
        time.now += 2  # ranking held-out questions
    found = cost_in(lake, folder.run_id)
    assert (found.wall_s, found.cpu_s, found.training_s) == (37, 18.5, 3)


def test_a_killed_process_loses_no_more_than_the_time_since_its_last_report(
    lake: Lake, workspace: Workspace, time: Time
) -> None:
    folder = begin_run(lake, workspace, {"kind": "retriever"})
    with recorded(lake, folder, "retriever", BEGUN) as recording:
        told = recording.told(None)
        for _ in range(3):
            time.now += 4
            told(0.5, "step")
        assert json.loads(folder.spent.read_text())["wall_s"] == 8, "not at every report"


@pytest.mark.parametrize("held", ["{", "[]", '{"wall": 1}'])
def test_a_file_that_cannot_be_read_counts_nothing(tmp_path: Path, time: Time, held: str) -> None:
    path = tmp_path / "spent.json"
    path.write_text(held)
    clock = Clock()
    clock.go_on(path)
    time.now += 3
    assert clock.spent.wall_s == 3
    clock.keep()
    again = Clock()
    again.go_on(path)
    assert again.spent.wall_s == 3


def test_a_run_of_before_all_was_counted_is_read_and_says_so() -> None:
    old = DONE.to_json()
    del old["cost"]["training_s"]
    cost = RunFacts.from_json(old, "r1").cost
    assert cost is not None
    assert cost.training_s is None
    assert costs.took_text(cost) == "4 min of training alone"
