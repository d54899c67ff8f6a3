"""``ragdiag model``: encoders as files. See docs/retrieval.md."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ragdiag.commands.options import Json, ProgressOption
from ragdiag.console import emit, progress_to


def export_command(
    folder: Annotated[Path, typer.Argument(help="A new folder.")],
    model: Annotated[
        str | None, typer.Option(help="A name, or a folder; left out, the packaged encoder.")
    ] = None,
    adapter: Annotated[str | None, typer.Option(help="Merged into the export.")] = None,
    question_adapter: Annotated[
        str | None, typer.Option(help="Merged as well: the export is for questions alone.")
    ] = None,
    precision: Annotated[Literal["fp32", "int8"], typer.Option()] = "fp32",
    as_json: Json = False,
    progress_file: ProgressOption = None,
) -> None:
    """Write an encoder for onnxruntime: the same vectors (fp32) in less time, without torch."""
    from ragdiag.retrieval.onnx_export import export_model
    from ragdiag.version import PACKAGED_MODEL, EmbedderSpec

    with progress_to(progress_file) as progress:
        spec = EmbedderSpec(
            model=model or PACKAGED_MODEL, adapter=adapter, question_adapter=question_adapter
        )
        made = export_model(spec, folder, precision, progress)
    emit(
        made,
        as_json,
        lambda: f"{folder}: {precision}, lowest cosine to the original {made['cosine']:.4f}",
    )
