"""The cross-encoder that is trained: any encoder with one output, some of its layers, LoRA."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ragdiag.errors import ModelError, TrainingError, first_line
from ragdiag.retrieval.models import folder_sha256, model_path
from ragdiag.training.adapters import LoraOptions, add_lora, heads_of
from ragdiag.training.files import replace_folder
from ragdiag.training.processes import Processes
from ragdiag.version import PACKAGED_MODEL

if TYPE_CHECKING:
    from torch import Tensor, nn

Tokens = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Row:
    """Question and passage as the model reads them together: token ids and, for models that tell
    the two apart by them, segment numbers; both (t,)."""

    ids: Tokens
    segments: Tokens | None


def base_folder(name: str) -> Path:
    """The packaged encoder by its name, any other model by its folder. Raises ModelError."""
    if name == PACKAGED_MODEL:
        return model_path(name)
    folder = Path(name).expanduser()
    if not any((folder / file).is_file() for file in ("config.json", "modules.json")):
        raise ModelError(
            f"no model to train from at {name}",
            remedy=f'name a folder that a model was saved to, or "{PACKAGED_MODEL}"',
        )
    return folder


class TrainableCrossEncoder:
    """A loaded base with one output; a head that it lacks is drawn from ``seed``."""

    def __init__(self, base: str, max_tokens: int, seed: int, layers: int | None = None) -> None:
        """Keeps the first ``layers`` layers, or all. Raises ModelError for what is no encoder with
        one output, TrainingError where it has not so many layers or positions."""
        folder = base_folder(base)
        self.base, self.base_sha256, self._seed = base, folder_sha256(folder), seed
        self._device = Processes().device
        self._whole = _load(folder, seed, self._device)
        self.model: nn.Module = self._whole[0].model
        _limit(self._whole, base, max_tokens)
        if layers is not None:
            _keep_layers(self.model, base, layers)
        self._adapted: Any = None

    def adapt(self, rank: int, alpha: int, dropout: float) -> None:
        """Train an adapter of the attention, and the whole head, instead of everything.

        Raises TrainingError for a type of model whose attention is not known.
        """
        options = LoraOptions(rank, alpha, dropout)
        # What reads the pair out was trained for something else, or for nothing yet; so was the
        # pooler that it reads from.
        pooler = getattr(self._whole[0].model.base_model, "pooler", None)
        heads = [*heads_of(self.model), *(["pooler"] if pooler is not None else [])]
        self._adapted = self.model = add_lora(
            self.model, options, seed=self._seed, task="SEQ_CLS", modules_to_save=heads
        )

    def tokenise(self, question: str, texts: Sequence[str]) -> list[Row]:
        """As serving cuts them: the longer of the two loses first."""
        found = self._whole.tokenizer(
            [question] * len(texts),
            list(texts),
            truncation="longest_first",
            max_length=self._whole.max_seq_length,
        )
        segments = found.get("token_type_ids") or [None] * len(texts)
        return [
            Row(np.array(ids, np.int32), None if own is None else np.array(own, np.int32))
            for ids, own in zip(found["input_ids"], segments, strict=True)
        ]

    def logits(self, rows: Sequence[Row]) -> Tensor:
        """(n,), padded to the longest of ``rows``."""
        import torch

        longest = max(len(row.ids) for row in rows)
        padding = int(self._whole.tokenizer.pad_token_id or 0)
        ids = np.full((len(rows), longest), padding, dtype=np.int64)
        segments, mask = np.zeros_like(ids), np.zeros_like(ids)
        for at, row in enumerate(rows):
            ids[at, : len(row.ids)] = row.ids
            mask[at, : len(row.ids)] = 1
            if row.segments is not None:
                segments[at, : len(row.ids)] = row.segments
        read = {"input_ids": ids, "attention_mask": mask}
        if rows[0].segments is not None:
            read["token_type_ids"] = segments
        given = {name: torch.from_numpy(rows).to(self._device) for name, rows in read.items()}
        found: Tensor = self.model(**given).logits
        return found.squeeze(-1)

    def save_adapter(self, folder: Path, manifest: Path) -> None:
        """Adapter and head, and the run's ``manifest``: PEFT keeps the base's path alone, which
        may hold another model tomorrow."""
        self._adapted.peft_config["default"].base_model_name_or_path = self.base

        def save(draft: Path) -> None:
            # Otherwise PEFT asks the network whether the base's embeddings were resized.
            self._adapted.save_pretrained(str(draft), save_embedding_layers=False)
            shutil.copy(manifest, draft)

        replace_folder(folder, save)

    def save(self, folder: Path) -> None:
        """As sentence-transformers reads it, with the adapter merged. Nothing is trained after."""
        if self._adapted is not None:
            self._whole[0].model = self.model = self._adapted.merge_and_unload()
            self._adapted = None
        replace_folder(folder, lambda draft: self._whole.save(str(draft), create_model_card=False))


def _load(folder: Path, seed: int, device: Any) -> Any:
    import torch
    from sentence_transformers import CrossEncoder

    torch.manual_seed(seed)
    try:
        with _quiet():
            return CrossEncoder(
                str(folder),
                num_labels=1,
                local_files_only=True,
                device=str(device),
                model_kwargs={"dtype": torch.float32},
            )
    except Exception as error:  # transformers and safetensors share no type for a broken folder
        raise ModelError(
            f"{folder} cannot be trained as a cross-encoder ({first_line(error)})",
            remedy="name a BERT-like encoder, or a cross-encoder with one output",
        ) from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Both libraries warn that the head is new: that is what was asked for."""
    from transformers.utils import logging as theirs

    theirs.disable_progress_bar()
    loud, told = logging.getLogger("sentence_transformers"), theirs.get_verbosity()
    before = loud.level
    loud.setLevel(logging.ERROR)
    theirs.set_verbosity_error()
    try:
        yield
    finally:
        loud.setLevel(before)
        theirs.set_verbosity(told)


def _limit(whole: Any, base: str, max_tokens: int) -> None:
    limit = int(whole[0].model.config.max_position_embeddings)
    if max_tokens > limit:
        raise TrainingError(
            f"max_tokens = {max_tokens}, but {base} reads {limit} tokens",
            remedy="lower max_tokens",
        )
    whole.max_seq_length = max_tokens


def _keep_layers(model: Any, base: str, layers: int) -> None:
    from torch import nn

    count = int(model.config.num_hidden_layers)
    if not 1 <= layers <= count:
        said = f"layers = {layers}, but {base} has {count}"
        raise TrainingError(said, remedy=f"name 1 to {count}")
    stacks = [
        (parent, name)
        for parent in model.base_model.modules()
        for name, child in parent.named_children()
        if isinstance(child, nn.ModuleList) and len(child) == count
    ]
    if len(stacks) != 1:
        raise TrainingError(
            f"the layers of {base} are not one stack",
            remedy="leave layers out, or use another base",
        )
    parent, name = stacks[0]
    setattr(parent, name, getattr(parent, name)[:layers])
    model.config.num_hidden_layers = layers
