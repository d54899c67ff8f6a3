"""The registry of runs: the last word of each holds, the newest run first."""

from __future__ import annotations

import pytest

from ragdiag.errors import UnknownName
from ragdiag.store.lake import Lake
from ragdiag.store.training_runs import TrainingRun, find_run, list_runs, save_run


def test_the_last_word_of_a_run_holds(lake: Lake) -> None:
    save_run(lake, TrainingRun("r1", "retriever", "running", {"options": {"rank": 8}}))
    save_run(lake, TrainingRun("r2", "reranker", "running"))
    save_run(lake, TrainingRun("r1", "retriever", "done", {"gate": "pass"}))
    assert [(run.run_id, run.state) for run in list_runs(lake)] == [
        ("r1", "done"),
        ("r2", "running"),
    ]
    assert find_run(lake, "r1").facts == {"gate": "pass"}
    assert find_run(lake, "r1").recorded_at is not None


def test_an_unknown_run_is_named(lake: Lake) -> None:
    with pytest.raises(UnknownName, match="no training run 'r9'; see: ragdiag tune list"):
        find_run(lake, "r9")
