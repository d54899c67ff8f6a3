"""Texts as a bi-encoder reads them in training: tokenised once, the longest first in small parts.

A part is padded to its own longest text, so little is computed for padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from torch import Tensor

Precision = Literal["fp32", "bf16"]
"""Of what is multiplied; weights, sums and vectors are single precision in either case."""

PART, PART_ON_ACCELERATOR = 8, 64
"""Texts in a forward pass: more are padded more, fewer leave the machine idle. On a processor eight
took 12 % less time than a whole batch padded to its longest text."""


class Encoding:
    """A sentence-transformers ``model`` and the tokens of ``texts``, cut at its length limit."""

    def __init__(self, model: Any, texts: Sequence[str], precision: Precision = "fp32") -> None:
        import torch

        self._model, self._precision = model, precision
        limit = int(model.max_seq_length)
        read = model.tokenizer(list(texts), truncation=True, max_length=limit) if texts else {}
        self._tokens = [torch.tensor(ids) for ids in read.get("input_ids", ())]

    def __len__(self) -> int:
        return len(self._tokens)

    def vectors(self, chosen: Sequence[int], cached: int | None = None) -> Tensor:
        """Unit vectors (n, d) of the texts ``chosen``.

        With ``cached`` so many of them are in memory with their activations at a time: the rest is
        computed again when its gradient comes, with the same random numbers. That is GradCache
        (Gao et al. 2021), with the gradients of a whole batch.
        """
        import torch
        from torch.utils.checkpoint import checkpoint

        order = sorted(range(len(chosen)), key=lambda i: len(self._tokens[chosen[i]]), reverse=True)
        on_cpu = self._model.device.type == "cpu"
        size = cached or (PART if on_cpu else PART_ON_ACCELERATOR)
        parts = []
        for start in range(0, len(order), size):
            given = self._filled([self._tokens[chosen[i]] for i in order[start : start + size]])
            if cached and torch.is_grad_enabled():
                parts.append(checkpoint(self._forward, *given, use_reentrant=False))
            else:
                parts.append(self._forward(*given))
        back = torch.empty(len(order), dtype=torch.long)
        back[torch.tensor(order, dtype=torch.long)] = torch.arange(len(order))
        return torch.cat(parts)[back.to(parts[0].device)]

    def _filled(self, tokens: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Token ids and attention mask (n, t) on the model's device: from there ``checkpoint``
        learns whose random numbers to keep."""
        import torch

        tokenizer = self._model.tokenizer

        def filled(rows: list[Tensor], padding: float) -> Tensor:
            return torch.nn.utils.rnn.pad_sequence(
                rows, batch_first=True, padding_value=padding, padding_side=tokenizer.padding_side
            ).to(self._model.device)

        attended = [torch.ones_like(ids) for ids in tokens]
        return filled(tokens, tokenizer.pad_token_id), filled(attended, 0)

    def _forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        import torch

        given = {"input_ids": input_ids, "attention_mask": attention_mask}
        device = self._model.device.type
        with torch.autocast(device, torch.bfloat16, enabled=self._precision == "bf16"):
            vectors = self._model.forward(given)["sentence_embedding"]
        return torch.nn.functional.normalize(vectors.float(), dim=1)
