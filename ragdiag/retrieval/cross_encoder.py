"""A cross-encoder reads question and passage together and says how well they fit: one logit."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from ragdiag.errors import ModelError, first_line
from ragdiag.retrieval.models import Signature, signature_of

Logits = npt.NDArray[np.float64]

_load_lock = Lock()


class CrossEncoder:
    """A loaded sentence-transformers CrossEncoder with one output."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def logits(self, question: str, texts: Sequence[str], batch: int) -> Logits:
        """How relevant each of ``texts`` is, float64 (n,), unbounded, higher is better.

        Raises ModelError for a logit that is not finite.
        """
        return self.pair_logits([(question, text) for text in texts], batch)

    def pair_logits(self, pairs: Sequence[tuple[str, str]], batch: int) -> Logits:
        """The same for pairs of a question and a text, float64 (n,)."""
        import torch

        found = self._model.predict(
            list(pairs),
            batch_size=batch,
            show_progress_bar=False,
            activation_fn=torch.nn.Identity(),
        )
        logits = np.asarray(found, dtype=np.float64).reshape(len(pairs))
        bad = np.flatnonzero(~np.isfinite(logits))
        if bad.size:
            raise ModelError(
                f"the reranker gave a score that is not finite for {pairs[int(bad[0])][0][:80]!r}",
                remedy="check the model for NaN weights",
            )
        return logits


def load_cross_encoder(model: str, max_tokens: int | None = None) -> CrossEncoder:
    """The cross-encoder in the folder ``model``, loaded once per process. Raises ModelError."""
    with _load_lock:
        folder = Path(model).expanduser()
        return _loaded(folder, max_tokens, signature_of(folder))


@lru_cache(maxsize=4)
def _loaded(folder: Path, max_tokens: int | None, signature: Signature) -> CrossEncoder:
    """``signature`` is part of the key so that a model retrained in place is loaded again."""
    remedy = "name a folder that sentence-transformers saved a CrossEncoder to"
    if not (folder / "config.json").is_file():
        raise ModelError(f"no cross-encoder at {folder}", remedy=remedy)
    import torch
    from sentence_transformers import CrossEncoder as Model
    from transformers.utils import logging

    logging.disable_progress_bar()
    try:
        # Stored half precision would run about 100 times slower on a processor.
        model = Model(
            str(folder),
            local_files_only=True,
            max_length=max_tokens,
            model_kwargs={"dtype": torch.float32},
        )
    except Exception as error:  # transformers and safetensors share no type for a broken folder
        raise ModelError(
            f"cannot load the cross-encoder {folder} ({first_line(error)})", remedy=remedy
        ) from None
    outputs = int(model.num_labels)
    if outputs != 1:
        raise ModelError(
            f"the cross-encoder {folder} has {outputs} outputs, not one", remedy=remedy
        )
    return CrossEncoder(model)
