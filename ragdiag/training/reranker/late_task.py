"""Late interaction as the loop trains it: what a list costs, and how likely the dev lists are."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ragdiag.errors import TrainingError
from ragdiag.retrieval.embed import Embedder
from ragdiag.retrieval.late_interaction import (
    GIST,
    Codes,
    LateInteraction,
    encoded,
    encoder_spec,
)
from ragdiag.training.adapters import LoraOptions, add_lora
from ragdiag.training.processes import Processes
from ragdiag.training.reranker.late_lists import FusedList
from ragdiag.version import RerankerSpec

if TYPE_CHECKING:
    from torch import Tensor, nn

SHARPEST = 100.0
"""By which the served value is multiplied at most."""

_TRIED = np.geomspace(1.0, SHARPEST, 40)

_HARDEST, _EASY = 12, 0.3
"""Of the candidates that are shown beside the relevant ones, all but this share are among so many
that are served first; the rest are farther down."""

_STRETCH = 16
"""Passages that are encoded at once where nothing is learned of them."""

Held = Callable[[Sequence[str]], "list[Tensor]"]
"""Unit vectors (t, d) of the word pieces of the named passages."""


class LateTask:
    """Satisfies the loop's Task. Passages keep the vectors that ``scorer`` has of them; or, where
    ``shown`` says of how many candidates a list is made, they are encoded as they are learned."""

    def __init__(
        self,
        kept: Sequence[FusedList],
        dev: Sequence[FusedList],
        texts: Mapping[str, str],
        scorer: LateInteraction,
        spec: RerankerSpec,
        lora: LoraOptions,
        *,
        seed: int,
        shown: int | None = None,
    ) -> None:
        self._kept, self._dev, self._texts = kept, dev, texts
        self._scorer, self._spec, self._shown = scorer, spec, shown
        self._model = Embedder(encoder_spec(spec), str(Processes().device)).model
        self._model.requires_grad_(False)
        self._model[0].model = add_lora(self._model[0].model, lora, seed=seed)
        self._special = set(self._model.tokenizer.all_special_ids)
        self.size = len(kept)
        served = self._served(kept, self._known)  # an adapter changes nothing before it has learned
        self._sharpness = _fitted_sharpness(served, kept)
        self._order = [np.argsort(-values.numpy(), kind="stable").tolist() for values in served]
        self._model.train()

    @property
    def model(self) -> nn.Module:
        model: nn.Module = self._model
        return model

    @property
    def adapted(self) -> Any:
        """What :func:`ragdiag.training.adapters.save_adapter` writes."""
        return self._model[0].model

    def loss(self, chosen: Sequence[int]) -> Tensor:
        """Mean of weight · loss over the lists ``chosen``."""
        import torch

        whole = self._shown is None
        lists = [self._kept[at] if whole else self.drawn(at) for at in chosen]
        held = self._known if whole else self._encoded
        costs = torch.stack(
            [
                cost(self._sharpness * values, one.relevant)
                for values, one in zip(self._values(lists, held), lists, strict=True)
            ]
        )
        return (costs * costs.new_tensor([one.weight for one in lists])).mean()

    def score(self) -> float:
        """Mean logarithm of the share that the relevant passages of the dev lists get, by which an
        adapter is chosen: with some ninety lists it says what MRR@10 cannot tell from chance.
        Raises TrainingError for one that is not a number."""
        found = [
            -float(cost(self._sharpness * values, one.relevant))
            for values, one in zip(self.served(self._dev), self._dev, strict=True)
            if one.relevant
        ]
        if not all(map(math.isfinite, found)):
            raise TrainingError(
                "the model gives scores that are not numbers",
                remedy="lower the learning rate, or begin from another base",
            )
        return math.fsum(found) / len(found)

    def served(self, lists: Sequence[FusedList]) -> list[Tensor]:
        """What each of ``lists`` would be ordered by now, (n,) each."""
        held = self._known if self._shown is None else self._encoded_once(lists)
        return self._served(lists, held)

    def _served(self, lists: Sequence[FusedList], held: Held) -> list[Tensor]:
        import torch

        training, found = self._model.training, []
        self._model.eval()
        with torch.no_grad():
            for one in lists:
                found += self._values([one], held)
        self._model.train(training)
        return found

    def drawn(self, at: int) -> FusedList:
        """As many candidates as are shown of a list: relevant ones, at most half of them, and some
        that are served before or soon after them, drawn anew each time."""
        import torch

        def draw(places: Sequence[int], n: int) -> list[int]:
            return [places[one] for one in torch.randperm(len(places))[:n].tolist()]

        one, shown = self._kept[at], self._shown or 0
        relevant = draw(one.relevant, max(shown // 2, 1))
        known = set(one.relevant)
        others = [place for place in self._order[at] if place not in known]
        room = shown - len(relevant)
        hard = draw(others[:_HARDEST], room - round(room * _EASY))
        return one.only([*relevant, *hard, *draw(others[_HARDEST:], room - len(hard))])

    def _values(self, lists: Sequence[FusedList], held: Held) -> list[Tensor]:
        """What each list would be ordered by, (n,) each."""
        questions = self._pieces([one.asked.question for one in lists])
        return [
            self._value(self._interaction(*pieces, held(one.asked.candidates)), one.shares)
            for pieces, one in zip(questions, lists, strict=True)
        ]

    def _value(self, logits: Tensor, shares: Sequence[float]) -> Tensor:
        spec = self._spec
        if spec.weight == 1.0:
            return logits
        own = spec.slope * logits + spec.offset
        if spec.scale == "probability":
            own = own.sigmoid()
        return spec.weight * own + (1.0 - spec.weight) * logits.new_tensor(shares)

    def _interaction(self, ids: Sequence[int], asked: Tensor, passages: list[Tensor]) -> Tensor:
        """As :meth:`LateInteraction.logits`, with a gradient."""
        import torch

        weights = torch.from_numpy(self._scorer.weights(ids)).to(asked.device)
        cosines = asked @ torch.cat(passages).T
        found = [
            weights @ (own.amax(dim=1) - GIST * own.mean(dim=1))
            if own.shape[1] and len(ids)
            else asked.sum() * 0.0
            for own in cosines.split([len(one) for one in passages], dim=1)
        ]
        return torch.stack(found)

    def _known(self, names: Sequence[str]) -> list[Tensor]:
        """Of passages as they are before anything is learned of them."""
        return self._read(self._scorer.codes_of([self._texts[name] for name in names], 1))

    def _encoded(self, names: Sequence[str]) -> list[Tensor]:
        """With a gradient."""
        return [vectors for _, vectors in self._pieces([self._texts[name] for name in names])]

    def _encoded_once(self, lists: Sequence[FusedList]) -> Held:
        """Every candidate of ``lists``, encoded once and kept as it would be served."""
        import torch

        training, codes = self._model.training, dict[str, Codes]()
        names = sorted({name for one in lists for name in one.asked.candidates})
        self._model.eval()
        with torch.no_grad():
            for start in range(0, len(names), _STRETCH):
                some = names[start : start + _STRETCH]
                found = (encoded(one.cpu().numpy()) for one in self._encoded(some))
                codes.update(zip(some, found, strict=True))
        self._model.train(training)
        return lambda names: self._read([codes[name] for name in names])

    def _read(self, codes: Sequence[Codes]) -> list[Tensor]:
        import torch

        device = self._model.device
        return [
            torch.nn.functional.normalize(torch.from_numpy(one).to(device).float(), dim=1)
            for one in codes
        ]

    def _pieces(self, texts: Sequence[str]) -> list[tuple[list[int], Tensor]]:
        """Ids and unit vectors (t, d) of each text's word pieces, special ones left out."""
        import torch

        tokenizer = self._model.tokenizer
        given = tokenizer(
            list(texts),
            truncation=True,
            max_length=int(self._model.max_seq_length),
            padding=True,
            return_tensors="pt",
        ).to(self._model.device)
        vectors = self._model.forward(dict(given))["token_embeddings"].float()
        found = []
        for ids, own in zip(given["input_ids"].tolist(), vectors, strict=True):
            kept = [at for at, piece in enumerate(ids) if piece not in self._special]
            unit = torch.nn.functional.normalize(own[kept], dim=1)
            found.append(([ids[at] for at in kept], unit))
        return found


def cost(values: Tensor, relevant: Sequence[int]) -> Tensor:
    """−ln of the share that a softmax of ``values`` gives to the relevant ones."""
    import torch

    return torch.logsumexp(values, 0) - torch.logsumexp(values[list(relevant)], 0)


def _fitted_sharpness(served: Sequence[Tensor], lists: Sequence[FusedList]) -> float:
    """Under which the relevant passages of the lists are likeliest."""
    costs = [
        sum(
            one.weight * float(cost(tried * own, one.relevant))
            for own, one in zip(served, lists, strict=True)
        )
        for tried in _TRIED
    ]
    return float(_TRIED[int(np.argmin(costs))])
