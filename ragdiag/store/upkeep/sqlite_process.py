"""What upkeep does to a SQLite catalog with SQLite itself, each time in a process of its own.

DuckDB brings its own SQLite. Were Python's opened on the same file in the same process, closing it
would drop the locks of the other: POSIX locks belong to the process, not to who took them
(sqlite.org/howtocorrupt.html, 2.2).
"""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

PATIENCE_S = 20.0


def wipe_freed(path: Path) -> str | None:
    """Overwrite what the file has freed, and empty its log. Why that failed (others are using it);
    None where it did not."""
    return _run("wipe", path)


def copy_database(path: Path, target: Path) -> str | None:
    """Copy the database as it is at one moment, while others write to it, over the file
    ``target``. Why that failed; None where it did not."""
    return _run("copy", path, target)


def find_damage(path: Path) -> str | None:
    """What SQLite's own check says of the file; None where all is well."""
    return _run("check", path)


def _run(work: str, *paths: Path) -> str | None:
    done = subprocess.run(
        [sys.executable, "-I", __file__, work, *map(str, paths)],
        capture_output=True,
        text=True,
        check=False,
    )
    return None if done.returncode == 0 else (done.stderr.strip().splitlines() or ["?"])[-1]


def _wipe(path: str) -> str | None:
    with closing(sqlite3.connect(path, timeout=PATIENCE_S)) as database:
        database.execute("pragma secure_delete=on")
        database.execute("vacuum")
        ((busy, *_),) = database.execute("pragma wal_checkpoint(truncate)").fetchall()
    return "its log is being read" if busy else None


def _copy(path: str, target: str) -> None:
    with closing(_read_only(path)) as source, closing(sqlite3.connect(target)) as copy:
        source.backup(copy)


def _check(path: str) -> str | None:
    with closing(_read_only(path)) as database:
        said = [row[0] for row in database.execute("pragma integrity_check(10)")]
    return None if said == ["ok"] else str(said[0])


def _read_only(path: str) -> sqlite3.Connection:
    return sqlite3.connect(f"{Path(path).absolute().as_uri()}?mode=ro", uri=True)


if __name__ == "__main__":
    works: dict[str, Callable[..., str | None]] = {"wipe": _wipe, "copy": _copy, "check": _check}
    try:
        sys.exit(works[sys.argv[1]](*sys.argv[2:]))
    except sqlite3.Error as error:
        sys.exit(str(error))
