"""Looking at what is watched again and again; see decisions.py for one look."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from ragdiag.errors import RagdiagError
from ragdiag.settings import Workspace
from ragdiag.store.lake import open_lake
from ragdiag.workflows.releasing.decisions import Decided, watch_once
from ragdiag.workflows.repeating import repeat


def watch_deployment(
    workspace: Workspace,
    every_s: float,
    *,
    actor: str,
    seen: Callable[[Sequence[Decided]], object],
    failed: Callable[[RagdiagError], object],
    stop: threading.Event,
) -> None:
    """Look every ``every_s`` seconds until ``stop`` is set, and roll back what has an alarm.

    ``seen`` is called after each look. One that fails (a busy store, a person who changed the
    deployment meanwhile) is told to ``failed`` or raised as :func:`repeat` has it.
    """
    repeat(
        lambda: seen(watch_once(open_lake(workspace), workspace, actor=actor)),
        every_s,
        failed=failed,
        wait=stop.wait,
    )
