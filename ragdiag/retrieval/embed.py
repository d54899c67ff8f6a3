"""Text to unit vectors: one sentence-transformers model, its adapter merged.

torch and sentence_transformers are imported when a model is loaded, not with this module.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ragdiag.errors import ModelError, first_line
from ragdiag.progress import Progress, report
from ragdiag.retrieval.adapters import check_adapters, merge_adapter
from ragdiag.retrieval.models import (
    adapter_path,
    is_export,
    model_path,
    question_identity,
)
from ragdiag.retrieval.onnx_embedder import OnnxEmbedder, load_export
from ragdiag.version import EmbedderSpec

Vectors = npt.NDArray[np.float32]

_BATCH = 32
_STRETCH = 128
"""Texts between two progress reports."""

_FEW = 4
"""So few texts are encoded by one thread: a second gains nothing there, and on a busy machine each
waits for the other (a question took 300 ms instead of 20)."""

_load_lock = Lock()


@dataclass(frozen=True, slots=True)
class WordPieces:
    """A text as a model reads it, special tokens left out: ``pieces`` (t,) are the ids of its word
    pieces, ``vectors`` (t, dimension) their unit vectors in their context."""

    pieces: npt.NDArray[np.int64]
    vectors: Vectors


class Encoder(Protocol):
    """What turns texts into vectors. ``title`` says whether passages are embedded with theirs."""

    @property
    def model_hash(self) -> str: ...
    @property
    def dimension(self) -> int: ...
    @property
    def title(self) -> bool: ...
    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors: ...


class Embedder:
    """A loaded model, with the question adapter merged too where ``spec`` still names one.

    ``model_hash`` names everything that decides a vector. ``device`` is the best there is, unless
    named (as torch does).
    """

    def __init__(self, spec: EmbedderSpec, device: str | None = None) -> None:
        self.model_hash = question_identity(spec)
        self.title = spec.title
        self.model = _load_model(spec, device)
        self.max_tokens = int(self.model.max_seq_length)
        self.dimension = int(self.model.get_embedding_dimension())
        self._threads = _thread_count()

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        """Unit vectors of ``texts``, float32 (n, dimension), in their order.

        Texts beyond ``max_tokens`` are cut there by the model. Long texts run first, so that a
        batch holds texts of one length and memory is asked for once.
        """
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]), reverse=True)
        for start in range(0, len(order), _STRETCH):
            chosen = order[start : start + _STRETCH]
            with _threads(1 if len(texts) <= _FEW else self._threads, self._threads):
                vectors[chosen] = self.model.encode(
                    [texts[i] for i in chosen],
                    batch_size=_BATCH,
                    normalize_embeddings=True,
                    show_progress_bar=False,
                )
            done = start + len(chosen)
            report(progress, done / len(order), f"embedded {done} of {len(order)} texts")
        return vectors

    def encode_pieces(self, texts: Sequence[str]) -> list[WordPieces]:
        """Every word piece of ``texts``, in their order; texts are cut as :meth:`encode` does.

        Raises ModelError for a vector that is not finite.
        """
        with _threads(1 if len(texts) <= _FEW else self._threads, self._threads):
            found = self.model.encode(
                list(texts), batch_size=_BATCH, output_value=None, show_progress_bar=False
            )
        special = self.model.tokenizer.all_special_ids
        return [_word_pieces(one, special) for one in found]

    def one_thread(self) -> AbstractContextManager[None]:
        """Torch works in one thread within: small products gain nothing from a second. Afterwards
        it has those of the start again, whoever else is within meanwhile."""
        return _threads(1, self._threads)

    def split(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of the word pieces of ``texts``, without encoding them."""
        limits = {"truncation": True, "max_length": self.max_tokens}
        ids: list[list[int]] = self.model.tokenizer(
            list(texts), add_special_tokens=False, **limits
        )["input_ids"]
        return ids


def _word_pieces(features: Mapping[str, Any], special: Sequence[int]) -> WordPieces:
    ids = features["input_ids"].cpu().numpy()
    vectors = features["token_embeddings"].float().cpu().numpy()
    if not np.isfinite(vectors).all():
        raise ModelError(
            "the model gives a word piece a vector that is not finite",
            remedy="check the model and its adapter for NaN weights",
        )
    kept = ~np.isin(ids, special)
    norms = np.linalg.norm(vectors[kept], axis=1, keepdims=True)
    return WordPieces(ids[kept], vectors[kept] / np.maximum(norms, 1e-12))


def _thread_count() -> int:
    import torch

    return int(torch.get_num_threads())


@contextmanager
def _threads(wanted: int, otherwise: int) -> Iterator[None]:
    import torch

    torch.set_num_threads(wanted)
    try:
        yield
    finally:
        torch.set_num_threads(otherwise)


def load_embedder(spec: EmbedderSpec | str) -> Embedder | OnnxEmbedder:
    """What embeds the passages of ``spec`` (or of a model's name), loaded once per process.

    Raises ModelError: no such model or adapter, packaged weights that are not the published
    ones, an adapter that does not fit, a ``max_tokens`` beyond the model's own limit.
    """
    wanted = EmbedderSpec(model=spec) if isinstance(spec, str) else spec
    return _load(wanted.model_copy(update={"question_adapter": None}))


def load_question_encoder(spec: EmbedderSpec) -> Embedder | OnnxEmbedder:
    """What encodes questions: the embedder, its question adapter merged where there is one, or the
    export of these that ``questions`` names.

    Raises ModelError as :func:`load_embedder`, and where the export or the question adapter is one
    of another model.
    """
    if spec.questions is None:
        return _load(spec)
    check_adapters(spec)
    export = load_embedder(
        EmbedderSpec(model=spec.questions, max_tokens=spec.max_tokens, title=spec.title)
    )
    if not isinstance(export, OnnxEmbedder) or export.source != export_source(spec):
        tuned = "" if spec.question_adapter is None else f" with {spec.question_adapter}"
        raise ModelError(
            f"questions = {spec.questions!r} is not an export of {spec.model}{tuned}",
            remedy="export the model again: ragdiag model export FOLDER",
        )
    return export


def export_source(spec: EmbedderSpec) -> str:
    """The identity of a model and its adapters, whatever else a version says about embedding."""
    return question_identity(
        EmbedderSpec(model=spec.model, adapter=spec.adapter, question_adapter=spec.question_adapter)
    )


def _load(spec: EmbedderSpec) -> Embedder | OnnxEmbedder:
    folder = model_path(spec.model)
    if is_export(folder):
        if spec.adapter is not None or spec.question_adapter is not None:
            raise ModelError(
                f"an adapter cannot be merged into the export {folder}",
                remedy="export the model with its adapter: ragdiag model export --adapter DIR",
            )
        return load_export(folder, spec)
    check_adapters(spec)
    with _load_lock:
        return _loaded(spec, question_identity(spec))


@lru_cache(maxsize=4)
def _loaded(spec: EmbedderSpec, identity: str) -> Embedder:
    """``identity`` is part of the key so that a model retrained in place is loaded again."""
    return Embedder(spec)


def _load_model(spec: EmbedderSpec, device: str | None) -> Any:
    folder = model_path(spec.model)
    import torch
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    logging.disable_progress_bar()
    try:
        # Stored half precision would run about 100 times slower on a processor.
        model = SentenceTransformer(
            str(folder),
            device=device,
            local_files_only=True,
            model_kwargs={"dtype": torch.float32},
        )
    except Exception as error:  # transformers and safetensors share no type for a broken folder
        raise ModelError(
            f"cannot load the model at {folder} ({first_line(error)})",
            remedy="save it again with sentence-transformers, or name another model",
        ) from None
    for adapter in (spec.adapter, spec.question_adapter):
        if adapter is not None:
            model[0].model = merge_adapter(model[0].model, adapter_path(adapter))
    _limit_length(model, spec)
    return model.eval()


def _limit_length(model: Any, spec: EmbedderSpec) -> None:
    if spec.max_tokens is None:
        return
    limit = int(model[0].model.config.max_position_embeddings)
    if spec.max_tokens > limit:
        raise ModelError(
            f"max_tokens = {spec.max_tokens}, but {spec.model} reads {limit} tokens",
            remedy="lower max_tokens in [embedder]",
        )
    model.max_seq_length = spec.max_tokens
