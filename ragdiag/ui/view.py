"""What every page is given: an open workspace, and which state of it is shown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake


@dataclass(frozen=True)
class View:
    """``snapshot`` is the lake's snapshot id: it grows with every commit. ``demo`` is what the
    demo builder says about its workspace, None for a workspace with one's own data. ``read_only``:
    no page starts anything that changes what serves."""

    workspace: Workspace
    lake: Lake
    snapshot: int
    demo: Mapping[str, Any] | None
    read_only: bool


def demo_notice(workspace: Workspace) -> Mapping[str, Any] | None:
    """The demo marker's content; empty where the marker cannot be read."""
    marker = workspace.demo_marker
    if not marker.is_file():
        return None
    try:
        told = json.loads(marker.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}
