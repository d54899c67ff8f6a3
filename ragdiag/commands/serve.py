"""``ragdiag serve``: the answering service as a command; docs/serving.md."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from ragdiag.commands.options import Host, Json, Port, Rate
from ragdiag.console import emit
from ragdiag.settings import command_workspace

PORT = 8_000


def serve_command(
    context: typer.Context,
    version: Annotated[
        str | None, typer.Argument(help="Default: what is deployed, canary and shadow included.")
    ] = None,
    host: Host = "127.0.0.1",
    port: Port = PORT,
    token_env: Annotated[
        str, typer.Option(help="The environment variable with the bearer token.")
    ] = "RAGDIAG_SERVE_TOKEN",
    token_file: Annotated[
        Path | None, typer.Option(help="Holds the bearer token, in place of --token-env.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, max=256, help="Questions at once; default: one a core.")
    ] = None,
    queue: Annotated[
        int, typer.Option(min=0, max=10_000, help="Questions in line; one more is refused.")
    ] = 32,
    deadline_s: Annotated[
        float, typer.Option(min=0.05, max=600, help="From a question's arrival to its answer.")
    ] = 30.0,
    rate: Rate = 500.0,
    as_json: Json = False,
) -> None:
    """Answer questions over HTTP until stopped, and log every one."""
    from ragdiag.http.tokens import read_token
    from ragdiag.serve.app import Limits
    from ragdiag.serve.server import Place, serve
    from ragdiag.serve.service import Capacity

    workspace = command_workspace(context.obj)

    def started(url: str) -> None:
        document = {"url": url, "workspace": str(workspace.root)}
        emit(document, as_json, lambda: f"answering on {url} for {workspace.root}")
        sys.stdout.flush()  # who waits for the URL reads it from a pipe

    serve(
        workspace,
        version,
        Place(host, port, read_token(token_file, token_env), token_env),
        Capacity(workers or os.cpu_count() or 1, queue, deadline_s),
        Limits(rate=rate, burst=max(1.0, 2 * rate)),
        started,
    )
