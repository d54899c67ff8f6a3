"""Fine-tune how questions are read for late interaction; passages keep the vectors that they have.

An example is a question with the first stage's list for it. The loss is the negative logarithm of
the share that a softmax over the list gives to the relevant passages (ListNet's top one; Cao et al.
2007), of what the list is served by: late interaction, calibrated and mixed with the fused score as
the version says (:mod:`ragdiag.retrieval.rerank`). The adapter so learns what the first stage does
not know. How sharp the softmax is follows from the lists themselves, before the first step.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ragdiag.errors import TrainingError
from ragdiag.progress import Progress
from ragdiag.retrieval.adapters import AdapterManifest, base_hash
from ragdiag.retrieval.embed import Embedder
from ragdiag.retrieval.late_interaction import GIST, LateInteraction, encoder_spec
from ragdiag.training.adapters import LoraOptions, add_lora, check_task, save_adapter
from ragdiag.training.claims import claim
from ragdiag.training.loop import LoopOptions, Trained, train
from ragdiag.training.processes import Processes
from ragdiag.training.reranker.dev import RerankDev, RerankQuestion
from ragdiag.training.reranker.examples import PAIRS_NEEDED, refuse_shared
from ragdiag.version import RerankerSpec

if TYPE_CHECKING:
    from torch import Tensor, nn

ADAPTER = "adapter"
METHOD = "query-lora"

LORA = LoraOptions(16, 32.0, 0.1)
LOOP = LoopOptions(epochs=3, batch=16, learning_rate=3e-4)
"""What helped on lists of questions that had no part in it (docs/retrieval.md)."""

SHARPEST = 100.0
"""By which the served value is multiplied at most."""

_TRIED = np.geomspace(1.0, SHARPEST, 40)


@dataclass(frozen=True, slots=True)
class FusedList:
    """The first stage's list for a question: its candidates, and their fused scores as shares of
    the list's span, in [0, 1]. ``weight`` is how much its loss counts."""

    asked: RerankQuestion
    shares: tuple[float, ...]
    weight: float = 1.0

    @property
    def relevant(self) -> list[int]:
        """Places of the relevant candidates."""
        grades = self.asked.grades
        return [at for at, name in enumerate(self.asked.candidates) if grades.get(name, 0) > 0]


@dataclass(frozen=True)
class LateQuestionOptions:
    """``reranker`` is how late interaction is served."""

    reranker: RerankerSpec
    lora: LoraOptions = LORA
    loop: LoopOptions = LOOP

    def to_json(self) -> dict[str, Any]:
        return {
            "reranker": self.reranker.model_dump(mode="json"),
            "lora": asdict(self.lora),
            "loop": asdict(self.loop),
        }


@dataclass(frozen=True)
class TunedQuestions:
    """``adapter`` is what ``[reranker] question_adapter`` names. ``examples`` were learned from;
    of the ``left_out`` lists no order is better than another. Scores of ``trained`` are mean log
    likelihoods of the dev lists."""

    adapter: Path
    examples: int
    left_out: int
    trained: Trained


def train_late_questions(
    lists: Sequence[FusedList],
    dev: Sequence[FusedList],
    texts: Mapping[str, str],
    scorer: LateInteraction,
    options: LateQuestionOptions,
    folder: Path,
    progress: Progress | None = None,
) -> TunedQuestions:
    """Train an adapter in ``folder``, or go on there after a kill, and keep what was best on
    ``dev``. ``texts`` has every candidate, ``scorer`` its word pieces.

    Raises TrainingError: fewer than PAIRS_NEEDED lists with something to learn, a dev question
    among them, a folder of another run, or as :func:`train`. Raises ModelError for the encoder.
    """
    measured = RerankDev([one.asked for one in dev], texts)
    measured.refuse_unusable()
    kept = [one for one in lists if 0 < len(one.relevant) < len(one.asked.candidates)]
    if len(kept) < PAIRS_NEEDED:
        raise TrainingError(
            f"{len(kept)} of {len(lists)} questions have a relevant passage among their candidates "
            f"and another, {PAIRS_NEEDED} are needed",
            remedy="judge more questions, or let the reranker read deeper",
        )
    refuse_shared([one.asked for one in kept], measured)
    learnt, asked = (lists_hash(one, texts) for one in (kept, dev))
    claim(folder, {"data": learnt, "dev": asked, "options": options.to_json()})
    task = LateQuestionsTask(kept, dev, texts, scorer, options)
    check_task(task)
    trained = train(task, options.loop, folder, progress)
    spec = options.reranker
    manifest = AdapterManifest(
        base=Path(spec.model).name,
        base_sha256=base_hash(spec.model, spec.adapter),
        method=METHOD,
        data_hash=learnt,
        side="questions",
        options=options.to_json(),
    )
    if Processes().is_first:
        save_adapter(task.adapted, folder / ADAPTER, manifest)
    return TunedQuestions(folder / ADAPTER, len(kept), len(lists) - len(kept), trained)


def lists_hash(lists: Sequence[FusedList], texts: Mapping[str, str]) -> str:
    """SHA-256 over questions, candidates and their texts, shares, relevance and weights."""
    digest = hashlib.sha256()
    for one in lists:
        own = [one.asked.question_id, one.asked.question, one.asked.candidates]
        digest.update(json.dumps([*own, one.shares, one.relevant, one.weight]).encode())
    for name in sorted({name for one in lists for name in one.asked.candidates}):
        digest.update(json.dumps([name, texts[name]]).encode())
    return digest.hexdigest()


class LateQuestionsTask:
    """One question's candidates are scored at a time, as they are when it is served."""

    def __init__(
        self,
        kept: Sequence[FusedList],
        dev: Sequence[FusedList],
        texts: Mapping[str, str],
        scorer: LateInteraction,
        options: LateQuestionOptions,
    ) -> None:
        self._kept, self._dev, self._texts = kept, dev, texts
        self._scorer, self._spec = scorer, options.reranker
        untuned = options.reranker.model_copy(update={"question_adapter": None})
        self._model = Embedder(encoder_spec(untuned)).model
        self._model.to(Processes().device)
        self._model.requires_grad_(False)
        self._model[0].model = add_lora(self._model[0].model, options.lora, seed=options.loop.seed)
        self._special = set(self._model.tokenizer.all_special_ids)
        self.size = len(kept)
        self._sharpness = self._fitted_sharpness()
        self._model.train()

    @property
    def model(self) -> nn.Module:
        model: nn.Module = self._model
        return model

    @property
    def adapted(self) -> Any:
        """What :func:`save_adapter` writes."""
        return self._model[0].model

    def loss(self, chosen: Sequence[int]) -> Tensor:
        """Mean of weight · loss over the lists ``chosen``."""
        import torch

        lists = [self._kept[at] for at in chosen]
        costs = torch.stack(
            [
                _cost(self._sharpness * values, one.relevant)
                for values, one in zip(self._values(lists), lists, strict=True)
            ]
        )
        return (costs * costs.new_tensor([one.weight for one in lists])).mean()

    def score(self) -> float:
        """Mean logarithm of the share that the relevant passages of the dev lists get, by which an
        adapter is chosen: with some ninety lists it says what MRR@10 cannot tell from chance.
        Raises TrainingError for one that is not a number."""
        found = [
            -float(_cost(self._sharpness * values, one.relevant))
            for values, one in zip(self.served(self._dev), self._dev, strict=True)
            if one.relevant
        ]
        if not all(map(math.isfinite, found)):
            raise TrainingError(
                "the model gives scores that are not numbers", remedy="lower the learning rate"
            )
        return math.fsum(found) / len(found)

    def served(self, lists: Sequence[FusedList]) -> list[Tensor]:
        """What each of ``lists`` would be ordered by now, (n,) each."""
        import torch

        training, found = self._model.training, []
        self._model.eval()
        with torch.no_grad():
            for one in lists:
                found += self._values([one])
        self._model.train(training)
        return found

    def _fitted_sharpness(self) -> float:
        """Under which the relevant passages of the training lists are likeliest."""
        values = self.served(self._kept)
        costs = [
            sum(
                one.weight * float(_cost(tried * own, one.relevant))
                for own, one in zip(values, self._kept, strict=True)
            )
            for tried in _TRIED
        ]
        return float(_TRIED[int(np.argmin(costs))])

    def _values(self, lists: Sequence[FusedList]) -> list[Tensor]:
        """What each list would be ordered by, (n,) each."""
        questions = self._pieces([one.asked.question for one in lists])
        return [
            self._value(self._interaction(*pieces, one.asked.candidates), one.shares)
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

    def _interaction(self, ids: Sequence[int], vectors: Tensor, names: Sequence[str]) -> Tensor:
        """As :meth:`LateInteraction.logits`, with a gradient."""
        import torch

        codes = self._scorer.codes_of([self._texts[name] for name in names], 1)
        held = torch.from_numpy(np.concatenate(codes)).to(vectors.device).float()
        cosines = vectors @ held.T / torch.linalg.vector_norm(held, dim=1)
        weights = torch.from_numpy(self._scorer.weights(ids)).to(vectors.device)
        found = [
            weights @ (own.amax(dim=1) - GIST * own.mean(dim=1))
            if own.shape[1] and len(ids)
            else vectors.sum() * 0.0
            for own in cosines.split([len(one) for one in codes], dim=1)
        ]
        return torch.stack(found)

    def _pieces(self, questions: Sequence[str]) -> list[tuple[list[int], Tensor]]:
        """Ids and unit vectors (q, d) of each question's word pieces, special ones left out."""
        import torch

        tokenizer = self._model.tokenizer
        given = tokenizer(
            list(questions),
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


def _cost(values: Tensor, relevant: Sequence[int]) -> Tensor:
    import torch

    return torch.logsumexp(values, 0) - torch.logsumexp(values[list(relevant)], 0)
