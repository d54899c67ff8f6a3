"""A command of ragdiag as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ragdiag.settings import PROJECT, Workspace


@contextmanager
def running(workspace: Workspace, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """``ragdiag ARGUMENTS`` on ``workspace``; what it prints comes at once, and it is gone at the
    end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "ragdiag", "--workspace", str(workspace.root), *arguments],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()
