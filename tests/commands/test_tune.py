"""``ragdiag tune``: runs are listed, shown and stopped; regression questions come and go."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import pytest

from ragdiag.errors import RunCancelled
from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake
from ragdiag.store.regressions import mended_failures
from ragdiag.store.training_runs import TrainingRun, find_run, list_runs, save_run
from ragdiag.training.loop import CURVE, LoopOptions, train
from ragdiag.training.recording import recorded
from ragdiag.training.run_folder import begin_run
from ragdiag.training.runs import Gated, Measured, Moved
from ragdiag.workflows.tuning import retriever
from ragdiag.workflows.tuning.retriever import RetrieverTuning
from tests.test_cli import Command
from tests.test_cli import command as command
from tests.toy_lake import versions
from tests.training.toy_task import ToyTask
from tests.training_runs import BEGUN, DONE, change, save_toy_run


@pytest.fixture
def runs(lake: Lake, workspace: Workspace) -> None:
    save_toy_run(lake, workspace, "20260101-ended", "running", BEGUN)
    save_toy_run(lake, workspace, "20260102-failed", "failed", replace(BEGUN, error="no pairs"))
    save_run(lake, TrainingRun("20260103-strange", "reader", "done", {"method": "x"}))
    save_toy_run(lake, workspace, "20260104-done", "done", DONE)


def test_only_encoders_that_were_made_are_averaged(runs: None, command: Command) -> None:
    assert "no training run 'nothing'" in command.mistake("tune", "average", "20260104", "nothing")
    told = command.mistake("tune", "average", "20260104", "20260102")
    assert "made no encoder of passages; name runs of tune retriever --method lora" in told


def test_a_list_says_how_each_run_stands(runs: None, command: Command) -> None:
    listed = command.json("tune", "list")
    assert [(run["run_id"], run["state"]) for run in listed] == [
        ("20260104-done", "done"),
        ("20260103-strange", "done"),
        ("20260102-failed", "failed"),
        ("20260101-ended", "ended"),
    ]
    assert [run["waits_for_canary"] for run in listed] == [True, False, False, False]
    text = command.text("tune", "list").splitlines()
    assert "MRR@10 +0.067 (+0.042 to +0.092)  pass  for a canary" in text[1]


def test_all_of_a_run_is_shown(runs: None, command: Command) -> None:
    shown = command.json("tune", "show", "20260104-done")
    assert shown["facts"] == DONE.to_json()
    assert len(shown["curve"]) == 21
    text = command.text("tune", "show", "20260104")
    for told in (
        "base all-MiniLM-L6-v2, SHA-256 53aa5117",
        "602 pairs: 540 judgment, 41 failure, 21 feedback",
        "held out: 320 test, 120 synthetic",
        "cost 4 min, of which training 1 min; 7 min of processors, at most 1.9 GB, about 3.3 Wh",
        "q01             not found    1",
        "options epochs 5, learning_rate 0.001, rank 32, seed 0",
        "refused: 31 kept for evaluation, 7 somebody disliked the answer",
        "no overfitting shown: MRR@10 gains 0.027",
        "Holm over the 7 rows",
        "gained on regressions  rank before  rank after\nq11                    3            1",
        "gate pass\n  MRR@10 loses less than 2 %",
        "ragdiag deploy canary hybrid-tuned --share 5%",
    ):
        assert told in text, text
    assert "the same command goes on" in command.text("tune", "show", "20260101-ended")
    assert "error no pairs" in command.text("tune", "show", "20260102-failed")


@pytest.mark.parametrize("decision", ["rollback", "inconclusive"])
def test_only_a_version_whose_gate_passed_is_offered_as_a_canary(
    lake: Lake, workspace: Workspace, command: Command, decision: Literal["rollback"]
) -> None:
    save_toy_run(lake, workspace, "r", "done", replace(DONE, gate=Gated(decision, ("lost",))))
    assert not command.json("tune", "show", "r")["waits_for_canary"]
    text = command.text("tune", "show", "r")
    assert "deploy canary" not in text
    assert "is not to be tried on users: its gate did not pass" in text


def test_a_long_table_is_cut_and_small_p_are_no_zero(
    lake: Lake, workspace: Workspace, command: Command
) -> None:
    lost = tuple(Moved(f"q{at:03}", 1, 9) for at in range(200))
    first = Measured("test", (change("MRR@10", 0.3, 0.5, 320, 1e-9),))
    save_toy_run(lake, workspace, "r", "done", replace(DONE, lost=lost, measured=(first,)))
    text = command.text("tune", "show", "r")
    assert "q019" in text
    assert "q020" not in text
    assert "and 180 more" in text
    assert "< 0.0001" in text


def test_help_begins_with_what_trains_and_cuts_no_line(command: Command) -> None:
    lines = command.text("tune", "--help").split("Commands:")[1].split("\n")
    assert lines[1].split()[0] == "retriever"
    assert not [line for line in lines if "..." in line]


def test_facts_that_cannot_be_read_do_not_hide_the_others(runs: None, command: Command) -> None:
    shown = command.json("tune", "show", "20260103-strange")
    assert shown["facts"] is None
    assert "facts of training run 20260103-strange cannot be read" in shown["fault"]


def test_a_run_must_be_named(runs: None, command: Command) -> None:
    assert "4 training runs begin with '2026'" in command.mistake("tune", "show", "2026")
    assert "no training run 'x'; see: ragdiag tune list" in command.mistake("tune", "show", "x")


def test_a_running_run_stops_at_its_next_step(
    lake: Lake, workspace: Workspace, command: Command
) -> None:
    folder = begin_run(lake, workspace, {"kind": "retriever"})
    ended: list[str] = []

    def work() -> None:
        with recorded(lake, folder, "retriever", BEGUN):
            options = LoopOptions(epochs=100_000, batch=8, patience=10**9)
            train(ToyTask(), options, folder.root, folder.stoppable(None))

    def keep() -> None:
        try:
            work()
        except RunCancelled as error:
            ended.append(str(error))

    worker = threading.Thread(target=keep)
    worker.start()
    deadline = time.monotonic() + 60
    curve = folder.root / CURVE
    while not (list_runs(lake) and curve.is_file() and len(curve.read_text().splitlines()) > 1):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert command.json("tune", "cancel", folder.run_id)["asked"]
    worker.join(timeout=60)
    assert ended == [f"training run {folder.run_id} was stopped; the same command goes on"]
    assert find_run(lake, folder.run_id).state == "cancelled"
    assert (folder.root / "checkpoint.pt").is_file()
    said = command.mistake("tune", "cancel", folder.run_id)
    assert "is not running (cancelled); see: ragdiag tune list" in said


def test_regression_questions_come_and_go(
    copied: Callable[[Workspace], Lake], toy_workspace: Workspace, capsys
) -> None:
    toy_lake = copied(toy_workspace)
    command = Command(toy_lake.workspace, capsys)
    asked = ["tune", "regressions"]
    assert command.json(*asked, "add", "q03", "q04", "--request", "p-11-01") == {
        "set": "regressions",
        "added": ["q03", "q04", "q25"],
        "known": 0,
        "unjudged": 0,
    }
    alone = mended_failures(toy_lake, versions()[2].version_id)[-1].question_id
    toy_lake.write(lambda at: at.execute("delete from judgments where question_id = ?", [alone]))
    mended = command.json(*asked, "add", "--mended-by", versions()[2].name)
    assert len(mended["added"]) > 3
    assert (mended["unjudged"], alone in mended["added"]) == (1, False)
    again = command.text(*asked, "add", "--mended-by", versions()[2].name)
    assert "; 1 have no passage that answers them" in again
    listed = command.json(*asked, "list")
    assert [one["question_id"] for one in listed if one["from_request"] == "p-11-01"] == ["q25"]
    assert {one["reason"] for one in listed} == {"", f"mended by {versions()[2].name}"}
    command.text(*asked, "drop", "q03", "--reason", "ambiguous")
    assert len(command.json(*asked, "list")) == len(listed) - 1
    assert "--request ID or --mended-by" in command.mistake(*asked, "add")
    assert "no request 'zz'" in command.mistake(*asked, "add", "--request", "zz")
    assert "no question 'zz'" in command.mistake(*asked, "add", "zz")


def test_options_are_read_as_meant_or_refused(
    toy_lake: Lake, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[RetrieverTuning] = []
    monkeypatch.setattr(retriever, "tune_retriever", lambda *asked: given.append(asked[3]))
    command = Command(toy_lake.workspace, capsys)
    asked = ["tune", "retriever", versions()[0].name]
    command.text(*asked, "--target-modules", "query, key,")
    assert given[0].lora.target_modules == ("query", "key")
    for rate in ("0", "inf"):
        told = command.mistake(*asked, "--learning-rate", rate)
        assert f"nothing is learnt at the learning rate {rate}; choose one above 0" in told
