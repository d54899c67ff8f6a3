"""Backups of a workspace that encrypts, and of one that forgets, from the command line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ragdiag.cli import main
from ragdiag.privacy.encryption import is_encrypted
from ragdiag.privacy.keys import new_key
from ragdiag.privacy.pseudonyms import user_key
from ragdiag.records import Feedback, Request
from ragdiag.settings import Workspace
from ragdiag.store.ingest import ingest
from ragdiag.store.lake import close_lakes, open_lake
from ragdiag.store.spool import SpoolWriter
from ragdiag.store.upkeep.byte_search import files_with

Run = Callable[..., tuple[int, Any, str]]
MONDAY = datetime(2026, 1, 5, 12, tzinfo=UTC)
ANN, BOB = "ann-of-accounting", "bob-of-billing"
SECRET = "Why was the quokka invoice of the walrus refused"
ROWS = "select * from requests order by request_id"
PLAIN = "[lake]\nencrypted = false\n"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Exit status, the document on stdout (None where there is none), stderr."""

    def command(workspace: Workspace, *words: str) -> tuple[int, Any, str]:
        status = main(["--workspace", str(workspace.root), *words, "--json"])
        printed = capsys.readouterr()
        return status, json.loads(printed.out) if printed.out else None, printed.err

    yield command
    close_lakes()


def fill(workspace: Workspace, configuration: str) -> None:
    """Two days of Ann and Bob, in two segments; no file is compressed, so that bytes tell."""
    workspace.root.mkdir()
    workspace.configuration.write_text(configuration)
    lake = open_lake(workspace, create=True)
    option = "call lake.set_option('parquet_compression', 'uncompressed')"
    lake.write(lambda cursor: cursor.execute(option))
    for day in range(2):
        with SpoolWriter(workspace) as spool:
            for n in range(day * 20, day * 20 + 20):
                at = MONDAY + timedelta(hours=n)
                user = user_key(workspace, BOB if n % 2 else ANN)
                said = f"What is owed on day {n}?" if n % 2 else f"{SECRET} ({n})?"
                spool.write(Request(f"r{n}", at, "v1", "production", said, user_key=user))
                spool.write(Feedback(f"f{n}", f"r{n}", at, "thumbs", 1))
        ingest(lake, workspace)


def test_an_encrypted_workspace_is_backed_up_and_restored(
    workspace: Workspace, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAGDIAG_KEY", new_key())
    fill(workspace, "[privacy]\nencrypt = ['archive', 'backups']\n")
    folder, other = tmp_path / "backup", Workspace(tmp_path / "other")
    status, made, said = run(workspace, "store", "backup", str(folder), "--spool")
    assert status == 0, said
    kept = {path for path in folder.rglob("*") if path.is_file()}
    open_ones = {path for path in kept if not is_encrypted(path)}
    assert {path.parent.name for path in open_ones} == {"manifests"}
    assert len(kept) == made["files"] + 2 + 1 + 1 + 1, "archive, catalog, configuration, manifest"
    assert files_with(folder, [SECRET.encode()]) == []

    status, done, said = run(other, "store", "restore", str(folder))
    assert (status, done["snapshot"]) == (0, made["snapshot"]), said
    assert open_lake(other).rows(ROWS) == open_lake(workspace).rows(ROWS)
    assert run(other, "store", "check")[:2] == (0, run(workspace, "store", "check")[1])
    archived = sorted((other.spool / "archive").iterdir())
    assert len(archived) == 2
    assert all(map(is_encrypted, archived))
    assert run(workspace, "store", "backup", str(folder), "--spool")[1]["copied"] <= 1


@pytest.mark.parametrize(
    ("key", "says"),
    [
        (f"{'A' * 43}=", "RAGDIAG_KEY has another ("),
        ("", "RAGDIAG_KEY holds none; set RAGDIAG_KEY to that key"),
        ("short", "key 1 in RAGDIAG_KEY is not 32 bytes in base64"),
    ],
)
def test_without_its_key_a_backup_is_refused_in_one_line(
    workspace: Workspace,
    tmp_path: Path,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    key: str,
    says: str,
) -> None:
    right = new_key()
    monkeypatch.setenv("RAGDIAG_KEY", right)
    fill(workspace, "[privacy]\nencrypt = ['backups']\n")
    folder, other = tmp_path / "backup", Workspace(tmp_path / "other")
    assert run(workspace, "store", "backup", str(folder))[0] == 0
    monkeypatch.setenv("RAGDIAG_KEY", key)
    status, document, said = run(other, "store", "restore", str(folder))
    assert (status, document) == (2, None)
    assert says in said
    assert len([line for line in said.splitlines() if line.startswith("ragdiag:")]) == 1
    assert right not in said
    assert not other.root.exists()


def test_a_backup_that_is_to_be_encrypted_needs_the_key(
    workspace: Workspace, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAGDIAG_KEY", raising=False)
    fill(workspace, "[privacy]\nencrypt = ['backups']\n")
    status, document, said = run(workspace, "store", "backup", str(tmp_path / "backup"))
    assert (status, document) == (2, None)
    assert "encryption is asked for, and RAGDIAG_KEY holds no key" in said
    assert not (tmp_path / "backup").exists()


@pytest.mark.parametrize("machine", ["the same", "another"])
def test_an_older_backup_does_not_bring_a_forgotten_user_back(
    workspace: Workspace, tmp_path: Path, run: Run, machine: str
) -> None:
    fill(workspace, PLAIN)
    needles = [word.encode() for word in (SECRET, ANN, user_key(workspace, ANN))]
    folder = tmp_path / "backup"
    assert run(workspace, "store", "backup", str(folder), "--spool")[0] == 0
    assert files_with(folder, needles), "the search finds what there is to find"
    bobs = [row for row in open_lake(workspace).rows(ROWS) if int(row["request_id"][1:]) % 2]
    status, done, said = run(workspace, "privacy", "forget-user", ANN)
    assert (status, done["requests"], len(done["backups"])) == (0, 20, 1), said

    place = workspace if machine == "the same" else Workspace(tmp_path / "another")
    if machine == "another":
        shutil.copytree(workspace.root / "secrets", place.root / "secrets")
    status, done, said = run(place, "store", "restore", str(folder), "--force")
    assert (status, done["forgotten_again"]) == (0, 20), said

    assert files_with(place.root, needles) == []
    assert open_lake(place).rows(ROWS) == bobs
    assert open_lake(place).rows("select count(*) as n from feedback") == [{"n": 20}]
    assert run(place, "store", "check")[1]["findings"] == []
    again = run(place, "privacy", "forget-user", ANN)[1]
    assert (again["requests"], sum(one["found"] for one in again["places"][:3])) == (0, 0)
    assert run(place, "ingest")[0] == 0
    assert open_lake(place).rows(ROWS) == bobs
