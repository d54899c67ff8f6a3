"""An exported model that onnxruntime runs: the same vectors, without torch, in less time.

    FOLDER/export.json       what it was made of (see onnx_export.py)
    FOLDER/model.onnx        tokens and mask in, unit vectors out
    FOLDER/tokenizer.json

For one question fp32 takes less than half of the time and int8 a fifth (docs/retrieval.md); over
long passages in batches there is little to gain.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from ragdiag.errors import ModelError, first_line
from ragdiag.progress import Progress, report
from ragdiag.retrieval.models import EXPORT, model_identity
from ragdiag.version import EmbedderSpec

Vectors = npt.NDArray[np.float32]

GRAPH, TOKENIZER = "model.onnx", "tokenizer.json"
FORMAT = 1

_BATCH = 32
_FEW = 4
"""So few texts are encoded by one thread, as in embed.py."""

_load_lock = Lock()


class OnnxEmbedder:
    """An Encoder. ``source`` is the identity of the model that was exported."""

    def __init__(self, folder: Path, spec: EmbedderSpec) -> None:
        """Raises ModelError where the export cannot be read or reads fewer tokens than asked."""
        described = read_description(folder)
        self.model_hash, self.title = model_identity(spec), spec.title
        self.source: str = described["source"]
        self.dimension: int = described["dimension"]
        limit: int = described["max_tokens"]
        self.max_tokens = spec.max_tokens or limit
        if self.max_tokens > limit:
            raise ModelError(
                f"max_tokens = {spec.max_tokens}, but {folder} was exported with {limit}",
                remedy="lower max_tokens in [embedder], or export it again",
            )
        self._tokenizer = _tokenizer(folder / TOKENIZER, self.max_tokens)
        self._one, self._all = (
            _session(folder / GRAPH, threads) for threads in (1, os.cpu_count() or 1)
        )

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        """Unit vectors of ``texts``, float32 (n, dimension), in their order; the longest texts run
        first, so that a batch holds texts of one length."""
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        order = sorted(range(len(texts)), key=lambda at: len(texts[at]), reverse=True)
        session = self._one if len(texts) <= _FEW else self._all
        for start in range(0, len(order), _BATCH):
            chosen = order[start : start + _BATCH]
            read = self._tokenizer.encode_batch([texts[at] for at in chosen])
            given = {
                "ids": np.array([one.ids for one in read], dtype=np.int64),
                "mask": np.array([one.attention_mask for one in read], dtype=np.int64),
            }
            (vectors[chosen],) = session.run(None, given)
            done = start + len(chosen)
            report(progress, done / len(order), f"embedded {done} of {len(order)} texts")
        return vectors


def read_description(folder: Path) -> dict[str, Any]:
    """What ``export.json`` says: source, dimension, max_tokens, precision. Raises ModelError."""
    try:
        described = json.loads((folder / EXPORT).read_text(encoding="utf-8"))
        known = described["format"] == FORMAT and isinstance(described["source"], str)
        whole = all(isinstance(described[name], int) for name in ("dimension", "max_tokens"))
    except (OSError, ValueError, KeyError, TypeError):
        known = whole = False
    if not known or not whole:
        raise ModelError(
            f"{folder} is no export of this version",
            remedy="make it again: ragdiag model export FOLDER",
        )
    return dict(described)


def load_export(folder: Path, spec: EmbedderSpec) -> OnnxEmbedder:
    """The export in ``folder``, loaded once per process. Raises ModelError."""
    with _load_lock:
        return _loaded(folder, spec, model_identity(spec))


@lru_cache(maxsize=4)
def _loaded(folder: Path, spec: EmbedderSpec, identity: str) -> OnnxEmbedder:
    return OnnxEmbedder(folder, spec)


def _tokenizer(path: Path, max_tokens: int) -> Any:
    from tokenizers import Tokenizer

    try:
        tokenizer: Any = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises Exception itself
        raise ModelError(f"cannot read {path} ({error})", remedy="make the export again") from None
    tokenizer.enable_truncation(max_tokens)
    tokenizer.enable_padding()
    return tokenizer


def _session(path: Path, threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has a type for every status, none in common
        raise ModelError(
            f"cannot load {path} ({first_line(error)})",
            remedy="make it again: ragdiag model export FOLDER",
        ) from None
