"""``ragdiag collect``: the OTLP/HTTP receiver as a command."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ragdiag.commands.options import Host, Json, Port, Rate
from ragdiag.console import emit
from ragdiag.settings import command_workspace


def collect_command(
    context: typer.Context,
    host: Host = "127.0.0.1",
    port: Port = 4318,
    token_file: Annotated[
        Path | None, typer.Option(help="Holds the bearer token; else $RAGDIAG_COLLECT_TOKEN.")
    ] = None,
    max_body_mb: Annotated[
        float, typer.Option(min=0.01, max=1_000, help="Of one request, also when unpacked.")
    ] = 16.0,
    max_waiting_mb: Annotated[
        float, typer.Option(min=0.01, max=10_000, help="Of all requests not yet on the disk.")
    ] = 64.0,
    max_spans: Annotated[
        int, typer.Option(min=1, help="Of one request, with the resources and scopes around them.")
    ] = 30_000,
    rate: Rate = 200.0,
    as_json: Json = False,
) -> None:
    """Receive OpenTelemetry traces over HTTP until stopped; what is answered 200 is stored."""
    from ragdiag.collect.limits import Limits
    from ragdiag.collect.server import TOKEN_VARIABLE, collect
    from ragdiag.http.tokens import read_token

    workspace = command_workspace(context.obj)

    def started(url: str) -> None:
        document = {"url": url, "workspace": str(workspace.root)}
        emit(document, as_json, lambda: f"receiving OTLP on {url} for {workspace.root}")
        sys.stdout.flush()  # who waits for the URL reads it from a pipe

    limits = Limits(
        max_body=int(max_body_mb * 1_000_000),
        max_waiting=int(max_waiting_mb * 1_000_000),
        max_spans=max_spans,
        rate=rate,
        burst=max(1.0, 2 * rate),
    )
    collect(
        workspace,
        host=host,
        port=port,
        token=read_token(token_file, TOKEN_VARIABLE),
        limits=limits,
        started=started,
    )
