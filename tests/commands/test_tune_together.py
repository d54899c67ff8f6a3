"""The command itself, started as several processes: one run, one verdict, no crash."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from ragdiag.settings import PROJECT, Workspace
from ragdiag.store.lake import close_lakes, open_lake
from ragdiag.store.training_runs import list_runs
from ragdiag.training.runs import facts_of
from tests.workflows.aliases import fill


@pytest.mark.slow
def test_two_processes_tune_one_retriever_and_say_where_the_verdict_is(
    workspace: Workspace,
) -> None:
    fill(workspace)
    close_lakes()
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"]
    launch += ["--standalone", "-m", "ragdiag", "--workspace", str(workspace.root)]
    launch += ["tune", "retriever", "dense", "--epochs", "1", "--batch", "16", "--json"]
    ran = subprocess.run(
        [*launch, "--learning-rate", "2e-3"],
        cwd=PROJECT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "1"},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    said = json.loads(ran.stdout)
    (run,) = list_runs(open_lake(workspace))
    facts = facts_of(run)
    assert (said["run_id"], run.state) == (run.run_id, "done")
    assert facts.gate is not None
    assert facts.gate.decision == "inconclusive", "28 questions are too few to pass"
    assert "gate inconclusive: of several processes the exit status does not" in ran.stderr
    assert f"ragdiag tune show {run.run_id}" in ran.stderr
    close_lakes()
