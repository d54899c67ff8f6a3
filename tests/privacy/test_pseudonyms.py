from __future__ import annotations

import hashlib
import hmac
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ragdiag.errors import InputError, StoreError
from ragdiag.privacy.pseudonyms import KEY_VARIABLE, key_file, keyed_hash, read_user, user_key
from ragdiag.settings import PROJECT, Workspace

KEY = "k" * 40


@pytest.fixture(autouse=True)
def no_key_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)


def test_it_is_hmac_sha256_under_the_key_of_the_environment(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    plain = hmac.new(KEY.encode(), b"user\0ann@example.org", hashlib.sha256).hexdigest()
    assert user_key(workspace, "ann@example.org") == plain[:32]
    assert not key_file(workspace).exists()


def test_blanks_around_an_id_are_no_part_of_it(workspace: Workspace) -> None:
    plain = user_key(workspace, "ann")
    assert user_key(workspace, " ann\n") == read_user(workspace, "ann ") == plain


def test_purposes_users_and_keys_are_kept_apart(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = {user_key(workspace, "ann"), user_key(workspace, "bob")}
    first |= {keyed_hash(workspace, "forgotten", "ann"), keyed_hash(workspace, "text", "ann")}
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    assert len(first | {user_key(workspace, "ann")}) == 5


def test_the_workspace_makes_its_own_key_once_and_for_itself(
    workspace: Workspace, tmp_path: Path
) -> None:
    before = user_key(workspace, "ann")
    file = key_file(workspace)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert [path.name for path in file.parent.iterdir()] == ["user.key"]
    assert user_key(workspace, "ann") == before
    assert user_key(Workspace(tmp_path / "other"), "ann") != before
    file.write_text(KEY + "\n")
    assert user_key(workspace, "ann") != before


def test_the_key_of_the_file_and_of_the_environment_are_one(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from_file = user_key(workspace, "ann")
    monkeypatch.setenv(KEY_VARIABLE, key_file(workspace).read_text())
    assert user_key(workspace, "ann") == from_file


def test_threads_and_processes_that_race_for_the_key_agree(workspace: Workspace) -> None:
    program = (
        "import sys; from pathlib import Path; from ragdiag.settings import Workspace; "
        "from ragdiag.privacy.pseudonyms import user_key; sys.stdin.readline(); "
        "print(user_key(Workspace(Path(sys.argv[1])), 'ann'))"
    )
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(workspace.root)],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    with ThreadPoolExecutor(8) as pool:
        from_processes = list(pool.map(lambda racer: racer.communicate("go\n")[0].strip(), racers))
        from_threads = list(pool.map(lambda _: user_key(workspace, "ann"), range(8)))
    assert len({*from_processes, *from_threads}) == 1
    assert len(from_threads[0]) == 32


def test_what_is_no_user_and_no_key_is_named(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    for nobody in ("", " \t"):
        with pytest.raises(InputError, match="empty user id"):
            user_key(workspace, nobody)
    key_file(workspace).parent.mkdir(parents=True)
    key_file(workspace).write_text("short")
    with pytest.raises(InputError, match=r"user\.key holds 5 characters"):
        user_key(workspace, "ann")
    monkeypatch.setenv(KEY_VARIABLE, "")
    with pytest.raises(InputError, match="RAGDIAG_USER_KEY holds 0 characters"):
        user_key(workspace, "ann")


def test_a_key_file_that_cannot_be_read_is_named(workspace: Workspace) -> None:
    key_file(workspace).mkdir(parents=True)
    with pytest.raises(StoreError, match=r"user\.key .*RAGDIAG_USER_KEY"):
        user_key(workspace, "ann")
