"""What DuckDB spills is encrypted, is its own, and does not outlive a killed process."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from ragdiag.settings import PROJECT, Workspace
from ragdiag.store.catalogs import spill
from ragdiag.store.catalogs.extensions import connect
from ragdiag.store.catalogs.spill import spill_folder

MARKER = "a patient asked about aspirin"
LARGE = f"""
set memory_limit = '150MB';
set threads = 1;
create temp table held as
select range % 1000 as one, '{MARKER} ' || range || repeat('x', 200) as two
from range(600_000)
"""
KILLED = """
import os, sys
from pathlib import Path
from ragdiag.settings import Workspace
from ragdiag.store.catalogs.spill import spill_folder
folder = spill_folder(Workspace(Path(sys.argv[1])))
folder.mkdir(parents=True)
(folder / "left").write_bytes(b"left")
print(folder, flush=True)
os.kill(os.getpid(), 9)
"""


def test_spilled_rows_cannot_be_read(workspace: Workspace) -> None:
    workspace.catalog.parent.mkdir(parents=True)
    with closing(connect(workspace)) as connection:
        for statement in LARGE.split(";"):
            connection.execute(statement)
        spilled = [path for path in workspace.root.glob("lake/spill.*/*") if path.is_file()]
        assert sum(path.stat().st_size for path in spilled) > 200_000
        assert not any(MARKER.encode() in path.read_bytes() for path in spilled)
        (found,) = connection.execute("select count(*), count(distinct two) from held").fetchall()
        assert found == (600_000, 600_000)
    assert not list(workspace.root.glob("lake/spill.*/*"))


def test_two_connections_spill_apart(workspace: Workspace) -> None:
    first, second = (connect(workspace) for _ in range(2))
    with closing(first), closing(second):
        assert place(first) != place(second)
    assert not workspace.root.exists(), "nothing is made before something is spilled"


def place(connection: duckdb.DuckDBPyConnection) -> str:
    (row,) = connection.execute("select current_setting('temp_directory')").fetchall()
    return str(row[0])


def test_what_a_killed_process_left_is_removed(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [sys.executable, "-c", KILLED, str(workspace.root)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=PROJECT, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    left = Path(done.stdout.strip())
    assert left.parent == workspace.catalog.parent
    elsewhere = left.with_name(f"spill.elsewhere.{left.name.split('.', 2)[2]}")
    own = spill_folder(workspace)
    assert not left.exists()
    for folder in (elsewhere, own):
        folder.mkdir(parents=True)
    spill_folder(workspace)
    assert elsewhere.exists(), "another machine's processes cannot be seen from here"
    assert own.exists()
    monkeypatch.setattr(spill, "_own", set())  # as a process that was given the id of a dead one
    spill_folder(workspace)
    assert not own.exists()
