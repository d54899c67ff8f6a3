"""Where a DuckDB spills: a folder of its own, since DuckDB gives the files of all the same names.

DuckDB makes the folder when it first spills and empties it when it closes. What a killed process
left is removed by the next that connects on that machine.
"""

from __future__ import annotations

import os
import shutil
import socket
import uuid
from pathlib import Path

from ragdiag.settings import Workspace

_own: set[str] = set()


def spill_folder(workspace: Workspace) -> Path:
    """A folder beside the catalog that no other DuckDB has; it is not made."""
    top = workspace.catalog.parent
    _remove_left(top)
    name = f"spill.{_machine()}.{os.getpid()}.{uuid.uuid4().hex[:8]}"
    _own.add(name)
    return top / name


def _remove_left(top: Path) -> None:
    """Remove what processes of this machine left that are no more."""
    for folder in top.glob(f"spill.{_machine()}.*.*"):
        pid = int(folder.name.split(".")[2])
        if folder.name not in _own and (pid == os.getpid() or not _lives(pid)):
            shutil.rmtree(folder, ignore_errors=True)


def _machine() -> str:
    return socket.gethostname().replace(".", "-")


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True
