from __future__ import annotations

import json
from datetime import UTC, datetime

import numpy as np
import pytest

from ragdiag.cli import main
from ragdiag.privacy.encryption import key_id_of
from ragdiag.privacy.keys import new_key, parse_keys
from ragdiag.records import Request
from ragdiag.retrieval.vectors import open_cache
from ragdiag.settings import Workspace
from ragdiag.store.ingest import ingest
from ragdiag.store.lake import Lake, close_lakes, open_lake
from ragdiag.store.spool import SpoolWriter
from ragdiag.store.upkeep.archive import archived_segments
from ragdiag.training.data.examples import Pair, TrainingSet
from ragdiag.training.data.sets import load_set, save_set
from ragdiag.training.set_files import training_seal
from ragdiag.workflows.logs import forget
from ragdiag.workflows.logs.forgetting import Forgetting
from ragdiag.workflows.logs.privacy_state import privacy_findings


def test_a_new_key_is_a_key_and_another_each_time(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["privacy", "new-key"]) == 0
    first = capsys.readouterr().out.strip()
    assert main(["privacy", "new-key", "--json"]) == 0
    second = json.loads(capsys.readouterr().out)
    assert second["key_id"] == parse_keys(second["key"], "test").keys[0].key_id
    assert first != second["key"]


def test_keys_are_changed_without_losing_anything(
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    old, new = new_key(), new_key()
    monkeypatch.setenv("RAGDIAG_KEY", old)
    workspace.root.mkdir()
    encrypted = "['archive', 'embeddings', 'training']"
    workspace.configuration.write_text(f"[privacy]\nencrypt = {encrypted}\n")
    lake = open_lake(workspace, create=True)
    with SpoolWriter(workspace) as spool:
        asked_at = datetime(2026, 1, 5, tzinfo=UTC)
        spool.write(Request("r1", asked_at, "v1", "production", "How long do cats sleep?"))
    ingest(lake, workspace)
    open_cache(workspace).write("model", {"a" * 64: np.ones(2, np.float32)})
    learnt = TrainingSet([Pair("q1", "How long do cats sleep?", "p1")], {"p1": "Long."})
    save_set(workspace.training / "run", learnt, seal=training_seal(workspace))
    (archived,) = archived_segments(workspace).values()
    arguments = ["--workspace", str(workspace.root), "privacy", "reencrypt", "--json"]

    monkeypatch.setenv("RAGDIAG_KEY", new)
    ((check, remedy),) = [one for one in privacy_findings(workspace) if one[1]]
    assert check.startswith("3 files need the key ")
    assert remedy
    assert main(arguments) == 2
    assert "RAGDIAG_KEY has another" in capsys.readouterr().err
    monkeypatch.setenv("RAGDIAG_KEY", f"{new} {old}")
    assert main(arguments) == 0
    assert json.loads(capsys.readouterr().out) == {"archive": 1, "embeddings": 1, "training": 1}
    monkeypatch.setenv("RAGDIAG_KEY", new)
    assert key_id_of(archived) == parse_keys(new, "test").keys[0].key_id
    assert open_cache(workspace).read("model", {"a" * 64})["a" * 64][0] == 1.0
    assert load_set(workspace.training / "run").data_hash == learnt.data_hash
    assert [one for one in privacy_findings(workspace) if one[1]] == []
    assert main(arguments) == 0
    assert json.loads(capsys.readouterr().out) == {"archive": 0, "embeddings": 0, "training": 0}
    close_lakes()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "email, phone, card, iban, ip, secret redacted, texts stored"),
        ("[privacy]\nredact = []\nstore_text = false\n", "nothing redacted, texts not stored"),
        ("[privacy]\nencrypt = ['backups']\n", "lake, backups, and RAGDIAG_KEY holds no key"),
        ("[lake]\nencrypted = false\n", "encrypted: nothing"),
        ("[privacy.patterns]\nx = '('\n", "privacy.patterns.x is no pattern"),
    ],
)
def test_the_state_of_privacy_is_said(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, text: str, says: str
) -> None:
    monkeypatch.delenv("RAGDIAG_KEY", raising=False)
    workspace.root.mkdir()
    workspace.configuration.write_text(text)
    assert says in " · ".join(check for check, _ in privacy_findings(workspace))


def test_a_user_key_that_others_can_read_is_named(workspace: Workspace) -> None:
    path = workspace.root / "secrets" / "user.key"
    path.parent.mkdir(parents=True)
    path.write_text("k" * 40)
    path.chmod(0o644)
    remedies = [remedy for _, remedy in privacy_findings(workspace) if remedy]
    assert remedies == [f"run: chmod 600 {path}"]


def test_nobody_is_told_to_remove_what_is_the_lakes(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files = ("lake/catalog.sqlite", "lake/data/a.parquet", "spool/a-1.open", "reports/week.html")
    done = Forgetting(1, False, (), files=files)
    monkeypatch.setattr(forget, "forget_user", lambda *_, **__: done)
    assert main(["--workspace", str(lake.workspace.root), "privacy", "forget-user", "ann"]) == 1
    told = capsys.readouterr().out.splitlines()
    assert [line for line in told if "remove" in line] == [
        "reports/week.html still holds them; remove or mend it"
    ]
    assert sum("run the same command again" in line for line in told) == 3


def test_forgetting_again_says_whether_anybody_was_back(
    lake: Lake, workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--workspace", str(workspace.root), "privacy", "forget-again"]
    assert main(arguments) == 0
    assert capsys.readouterr().out.strip() == "nobody was ever forgotten"
    forget.forget_user(lake, workspace, "ann")
    assert main([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["requests"] == 0
