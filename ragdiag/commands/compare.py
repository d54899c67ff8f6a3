"""``ragdiag compare``: is version B better than version A, and on which questions?"""

from __future__ import annotations

import typer

from ragdiag.commands.options import (
    Candidate,
    Incumbent,
    Json,
    JudgedSplit,
    SnapshotOption,
    SummaryFile,
    reading,
)
from ragdiag.console import emit, write_text


def compare_command(
    context: typer.Context,
    a: Incumbent,
    b: Candidate,
    split: JudgedSplit,
    markdown: SummaryFile = None,
    snapshot: SnapshotOption = None,
    as_json: Json = False,
) -> None:
    """Compare B with A on the questions both were evaluated on: paired, B − A, by slice."""
    from ragdiag.store.results import find_version
    from ragdiag.workflows.comparing.compare import compare_versions
    from ragdiag.workflows.comparing.compare_words import comparison_markdown

    with reading(context, snapshot) as lake:
        found = compare_versions(lake, find_version(lake, a), find_version(lake, b), split)
    if markdown is not None:
        write_text(markdown, comparison_markdown(found))
    emit(found.to_json(), as_json, found.to_text)
