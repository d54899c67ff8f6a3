"""A sentence-transformers model, its adapter merged, as one ONNX graph from tokens to unit vectors.

By torch's own exporter: what sentence-transformers brings for it cannot be installed beside these
releases. Mean or first-token pooling is part of the graph; anything else is refused.
"""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ragdiag.errors import InputError, ModelError
from ragdiag.progress import Progress, report
from ragdiag.retrieval.embed import Embedder, export_source, load_question_encoder
from ragdiag.retrieval.files import full_disk_named
from ragdiag.retrieval.models import EXPORT, tokenizer_file
from ragdiag.retrieval.onnx_embedder import FORMAT, GRAPH, TOKENIZER, load_export
from ragdiag.version import EmbedderSpec

Precision = Literal["fp32", "int8"]

SAMPLE = [
    "what is the capital of france",
    "The incubation period is the time from infection to the first symptoms.",
    "42",
]
LEAST_COSINE = {"fp32": 0.9999, "int8": 0.9}
"""Between a text's vectors before and after: below, the export is not the model."""


def export_model(
    spec: EmbedderSpec, folder: Path, precision: Precision, progress: Progress | None = None
) -> dict[str, Any]:
    """Write the export to ``folder``, which appears whole or not at all; returns what
    ``export.json`` says. int8 quantises the weights, activations as they come (dynamic).

    Raises InputError where the folder is there already or cannot be made (asked before the model is
    loaded), StoreFull, ModelError where the model cannot be exported or its vectors are not the
    same afterwards.
    """
    with _written_beside(folder) as made:
        return _export(spec, folder, made, precision, progress)


@contextmanager
def _written_beside(folder: Path) -> Iterator[Path]:
    """A new folder beside ``folder``, to be filled and moved there; gone afterwards in any case."""
    try:
        if folder.exists():
            raise InputError(f"{folder} exists already", remedy="name a new folder")
        with full_disk_named(folder.parent):
            folder.parent.mkdir(parents=True, exist_ok=True)
            scratch = tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.")
    except OSError as error:  # a file among its parents, a read-only disk, too long a name
        raise InputError(
            f"{folder} cannot be made: {error.strerror or error}",
            remedy="name a new folder in one that you may write to",
        ) from None
    with scratch, full_disk_named(folder.parent):
        made = Path(scratch.name) / "export"
        made.mkdir()
        yield made


def _export(
    spec: EmbedderSpec,
    folder: Path,
    made: Path,
    precision: Precision,
    progress: Progress | None,
) -> dict[str, Any]:
    embedder = load_question_encoder(spec)
    if not isinstance(embedder, Embedder):
        raise InputError(
            f"{spec.model} is an export already", remedy="name the model that it was made of"
        )
    described = {
        "format": FORMAT,
        "source": export_source(spec),
        "model": spec.model,
        "precision": precision,
        "dimension": embedder.dimension,
        "max_tokens": embedder.max_tokens,
    }
    report(progress, 0.1, "tracing the model")
    _write_graph(embedder.model, made / GRAPH)
    if precision == "int8":
        report(progress, 0.7, "quantising")
        _quantise(made / GRAPH)
    shutil.copyfile(tokenizer_file(spec.model), made / TOKENIZER)
    (made / EXPORT).write_text(json.dumps(described, indent=1), encoding="utf-8")
    report(progress, 0.9, "comparing vectors")
    described["cosine"] = _compare(embedder, made, precision)
    (made / EXPORT).write_text(json.dumps(described, indent=1), encoding="utf-8")
    made.rename(folder)
    report(progress, 1.0, f"exported to {folder}")
    return described


def _compare(embedder: Any, folder: Path, precision: Precision) -> float:
    """The lowest cosine over SAMPLE."""
    exported = load_export(folder, EmbedderSpec(model=str(folder)))
    cosines = (embedder.encode(SAMPLE) * exported.encode(SAMPLE)).sum(axis=1)
    lowest = float(np.min(cosines))
    if not lowest >= LEAST_COSINE[precision]:
        raise ModelError(
            f"the exported model gives other vectors (cosine {lowest:.4f} to the original's)",
            remedy="keep the model as it is",
        )
    return round(lowest, 6)


def _write_graph(model: Any, path: Path) -> None:
    import torch

    pooling = _pooling(model)

    class Encoder(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.transformer = model[0].model

        def forward(self, ids: Any, mask: Any) -> Any:
            hidden = self.transformer(input_ids=ids, attention_mask=mask).last_hidden_state
            if pooling == "cls":
                pooled = hidden[:, 0]
            else:
                kept = mask.unsqueeze(-1).to(hidden.dtype)
                pooled = (hidden * kept).sum(1) / kept.sum(1).clamp(min=1e-9)
            return torch.nn.functional.normalize(pooled, dim=1)

    # two tensors: the exporter takes one given twice for one input
    example = tuple(torch.ones(2, 8, dtype=torch.long) for _ in range(2))
    longest = int(model[0].model.config.max_position_embeddings)
    shape = {
        0: torch.export.Dim("texts", min=1, max=4096),
        1: torch.export.Dim("tokens", min=2, max=longest),
    }
    quiet = logging.getLogger("torch.onnx")
    level = quiet.level
    quiet.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter's own, about its next release
            torch.onnx.export(
                Encoder().eval(),
                example,
                str(path),
                input_names=["ids", "mask"],
                output_names=["vectors"],
                dynamic_shapes={"ids": shape, "mask": shape},
                dynamo=True,
                external_data=False,
                verbose=False,
            )
    except Exception as error:  # the exporter raises what it meets
        if isinstance(error, OSError) and error.errno is not None:  # of the disk, not the model
            raise
        raise ModelError(
            f"the model cannot be exported ({type(error).__name__}: {str(error)[:200]})",
            remedy="keep the model as it is",
        ) from None
    finally:
        quiet.setLevel(level)


def _pooling(model: Any) -> Literal["mean", "cls"]:
    modes = {str(part.pooling_mode) for part in model if hasattr(part, "pooling_mode")}
    if modes == {"mean"}:
        return "mean"
    if modes == {"cls"}:
        return "cls"
    raise ModelError(
        f"only mean and first-token pooling can be exported, not {', '.join(modes) or 'none'}",
        remedy="keep the model as it is",
    )


def _quantise(path: Path) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    whole = path.with_name("whole.onnx")
    path.rename(whole)
    level = logging.getLogger().level
    logging.getLogger().setLevel(logging.ERROR)  # it advises on the root logger
    try:
        quantize_dynamic(str(whole), str(path), weight_type=QuantType.QInt8)
    finally:
        logging.getLogger().setLevel(level)
    whole.unlink()
