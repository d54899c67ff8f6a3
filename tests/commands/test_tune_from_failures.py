"""From failures to a version that waits: every step by its command, on a corpus of forty things."""

from __future__ import annotations

import json

import pytest

from ragdiag.cli import main
from ragdiag.privacy.encryption import is_encrypted
from ragdiag.privacy.keys import new_key
from ragdiag.retrieval.serving import serving_build_id
from ragdiag.settings import Workspace
from ragdiag.store.deployments import current_deployment
from ragdiag.store.lake import close_lakes, open_lake
from ragdiag.store.results import find_version, list_versions
from ragdiag.training.data.sets import load_set
from ragdiag.training.run_folder import run_folder
from ragdiag.training.set_files import set_files
from tests.test_cli import Command
from tests.test_cli import command as command
from tests.workflows.aliases import fill

TUNE = ("tune", "retriever", "dense", "--from-failures", "--method", "lora", "--save-as", "mended")
SMALL = ("--epochs", "3", "--batch", "16", "--learning-rate", "2e-3")
EXITS = {"pass": 0, "rollback": 1, "inconclusive": 3}


@pytest.mark.slow
def test_what_retrieval_got_wrong_becomes_a_candidate_and_nothing_more(
    workspace: Workspace,
    command: Command,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fill(workspace)
    workspace.configuration.write_text("[privacy]\nencrypt = ['training']\n")
    monkeypatch.delenv("RAGDIAG_KEY", raising=False)
    assert "RAGDIAG_KEY holds no key" in command.mistake(*TUNE)
    monkeypatch.setenv("RAGDIAG_KEY", new_key())
    command.json("deploy", "set", "dense")
    command.json("evaluate", "dense", "--split", "train")
    diagnosed = command.json("diagnose", "dense", "--split", "train")
    command.json("tune", "regressions", "add", "bell#quimp", "rope#blorf")
    status = main(["--workspace", str(workspace.root), *TUNE, *SMALL, "--json"])
    run = json.loads(capsys.readouterr().out)

    facts = run["facts"]
    assert facts["data"]["by_source"] == {"failure": facts["data"]["pairs"]}
    sets = set_files(workspace.training)
    assert len(sets) == 4
    assert all(is_encrypted(path) for path in sets)
    learnt = load_set(run_folder(workspace, run["run_id"]).root)
    assert 10 < len(learnt.pairs) <= diagnosed["verdicts"]["retrieval"]
    measured = {one["name"]: one["changes"][0] for one in facts["measured"]}
    assert measured["regressions"]["after"]["n"] == 2
    assert measured["test"]["after"]["n"] == 28
    assert measured["test"]["after"]["value"] > measured["test"]["before"]["value"]
    assert status == EXITS[facts["gate"]["decision"]]

    close_lakes()
    lake = open_lake(workspace)
    base, tuned = find_version(lake, "dense"), find_version(lake, "mended")
    assert facts["candidate"]["version_id"] == tuned.version_id
    assert tuned.spec.index_key != base.spec.index_key
    assert serving_build_id(lake, workspace, tuned.spec.index_key) is not None
    assert {one.name for one in list_versions(lake)} == {"dense", "mended"}
    deployment = current_deployment(lake)
    assert deployment is not None
    assert (deployment.production, deployment.canary) == (base.version_id, None)
    close_lakes()
