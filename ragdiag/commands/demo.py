"""``ragdiag demo``: the demo workspace, built."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from ragdiag.commands.options import Json, ProgressOption
from ragdiag.console import emit, progress_to
from ragdiag.settings import command_workspace, demo_workspace


def demo_command(
    context: typer.Context,
    size: Annotated[Literal["small", "full"], typer.Option()] = "full",
    as_json: Json = False,
    progress_file: ProgressOption = None,
) -> None:
    """Build the demo workspace (data/demo, or the workspace given); resumes where it stopped."""
    from ragdiag.demo.build import build_demo

    workspace = demo_workspace() if context.obj is None else command_workspace(context.obj)
    with progress_to(progress_file) as progress:
        built = build_demo(workspace, size, progress)
    emit(
        built.to_json(),
        as_json,
        lambda: f"demo built in {workspace.root}; run: streamlit run app.py",
    )
