"""Overwrite what a SQLite file has freed, and empty its log; run as a process of its own.

DuckDB brings its own SQLite. Were Python's opened on the same file in the same process, closing it
would drop the locks of the other: POSIX locks belong to the process, not to who took them.
"""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

PATIENCE_S = 20.0


def wipe_freed(path: Path) -> str | None:
    """Why ``path`` could not be wiped (others are using it); None where it was."""
    done = subprocess.run(
        [sys.executable, "-m", "ragdiag.store.upkeep.sqlite_wipe", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    return None if done.returncode == 0 else (done.stderr.strip().splitlines() or ["?"])[-1]


def main(path: str) -> str | None:
    try:
        with closing(sqlite3.connect(path, timeout=PATIENCE_S)) as database:
            database.execute("pragma secure_delete=on")
            database.execute("vacuum")
            ((busy, *_),) = database.execute("pragma wal_checkpoint(truncate)").fetchall()
    except sqlite3.Error as error:
        return str(error)
    return "its log is being read" if busy else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
