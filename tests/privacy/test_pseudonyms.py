from __future__ import annotations

import hashlib
import hmac
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ragdiag.errors import InputError, StoreError
from ragdiag.privacy.pseudonyms import KEY_VARIABLE, user_key
from ragdiag.settings import PROJECT, Workspace


@pytest.fixture(autouse=True)
def no_key_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)


def test_the_key_file_is_made_once_and_is_the_owners(workspace: Workspace) -> None:
    first = user_key(workspace, "ada")
    (path,) = (workspace.root / "secrets").iterdir()
    assert (path.name, path.stat().st_mode & 0o777) == ("user.key", 0o600)
    key = path.read_bytes().strip()
    assert first == hmac.new(key, b"ada", hashlib.sha256).hexdigest()
    assert first != user_key(workspace, "bob")
    assert first != user_key(Workspace(workspace.root / "other"), "ada")


def test_the_environment_wins_and_makes_no_file(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "k" * 32)
    assert user_key(workspace, "ada") == hmac.new(b"k" * 32, b"ada", hashlib.sha256).hexdigest()
    assert not workspace.root.exists()
    monkeypatch.setenv(KEY_VARIABLE, "short")
    with pytest.raises(InputError, match="has 5 bytes"):
        user_key(workspace, "ada")


def test_first_users_of_several_processes_agree(workspace: Workspace) -> None:
    code = (
        "import sys; from pathlib import Path; from ragdiag.settings import Workspace\n"
        "from ragdiag.privacy.pseudonyms import user_key\n"
        "sys.stdin.readline(); print(user_key(Workspace(Path(sys.argv[1])), 'ada'))"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(workspace.root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=PROJECT,
        )
        for _ in range(4)
    ]
    keys = {process.communicate("go\n", timeout=60)[0] for process in started}
    assert keys == {user_key(workspace, "ada") + "\n"}
    assert os.listdir(workspace.root / "secrets") == ["user.key"]


def test_a_key_that_cannot_be_made_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match=r"cannot read or make the key file .*user\.key"):
        user_key(Workspace(tmp_path / "file"), "ada")
