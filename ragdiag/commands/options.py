"""What commands about versions share: their options, and the workspace opened for one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ragdiag.settings import Workspace, command_workspace

if TYPE_CHECKING:
    from ragdiag.store.lake import Lake
    from ragdiag.version import Version

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
ProgressOption = Annotated[
    Path | None, typer.Option("--progress-file", help="Keep progress in this file as well.")
]


def opened(context: typer.Context, name: str) -> tuple[Lake, Workspace, Version]:
    """The lake, the workspace, and the version of that name. Raises UnknownName, NoWorkspace."""
    from ragdiag.store.lake import open_lake
    from ragdiag.store.results import find_version

    workspace = command_workspace(context.obj)
    lake = open_lake(workspace)
    return lake, workspace, find_version(lake, name)
