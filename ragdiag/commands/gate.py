"""``ragdiag gate``: may version B replace version A?"""

from __future__ import annotations

from typing import Annotated

import typer
from typer.exceptions import Exit

from ragdiag.commands.options import (
    DAY_MS,
    Candidate,
    Incumbent,
    Json,
    JudgedSplit,
    SnapshotOption,
    SummaryFile,
    reading,
)
from ragdiag.console import emit, write_text

EXIT_STATUS = {"pass": 0, "rollback": 1, "inconclusive": 3}
"""2 is a user's mistake, as everywhere."""


def gate_command(
    context: typer.Context,
    a: Incumbent,
    b: Candidate,
    split: JudgedSplit,
    metric: Annotated[str, typer.Option(help="Of quality: MRR@10, nDCG@10, correct …")] = "MRR@10",
    slo_ms: Annotated[
        float | None,
        typer.Option(min=0.001, max=DAY_MS, help="p95 of B must be within it, too."),
    ] = None,
    markdown: SummaryFile = None,
    snapshot: SnapshotOption = None,
    as_json: Json = False,
) -> None:
    """Judge B by quality, p95 latency and cost on the latest evaluations of both.

    Exit status 0 pass, 1 rollback, 3 inconclusive; see docs/deploy.md.
    """
    from ragdiag.store.results import find_version
    from ragdiag.workflows.comparing.gate import gate_versions

    with reading(context, snapshot) as lake:
        found = gate_versions(
            lake, find_version(lake, a), find_version(lake, b), split, metric=metric, slo_ms=slo_ms
        )
    if markdown is not None:
        write_text(markdown, found.to_markdown())
    emit(found.to_json(), as_json, found.to_text)
    if status := EXIT_STATUS[found.decision]:
        raise Exit(status)
