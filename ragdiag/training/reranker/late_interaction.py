"""Fine-tune how late interaction reads questions, or questions and passages.

An example is a question with the first stage's list for it. The loss is the negative logarithm of
the share that a softmax over the list gives to the relevant passages (ListNet's top one; Cao et al.
2007), of what the list is served by: late interaction, calibrated and mixed with the fused score as
the version says (:mod:`ragdiag.retrieval.rerank`). The adapter so learns what the first stage does
not know. How sharp the softmax is follows from the lists themselves, before the first step.

``query-lora`` learns from whole lists, since passages keep the vectors that they have. ``lora``
reads passages anew as well, and each time a few of a list: the relevant ones and those that stand
in their way. Its word pieces must be encoded again before it serves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from ragdiag.errors import TrainingError
from ragdiag.progress import Progress
from ragdiag.retrieval.adapters import AdapterManifest, base_hash
from ragdiag.retrieval.late_interaction import LateInteraction
from ragdiag.training.adapters import LoraOptions, check_task, save_adapter
from ragdiag.training.claims import claim
from ragdiag.training.loop import LoopOptions, Trained, train
from ragdiag.training.processes import Processes
from ragdiag.training.reranker.dev import RerankDev
from ragdiag.training.reranker.examples import PAIRS_NEEDED, refuse_shared
from ragdiag.training.reranker.late_lists import FusedList, lists_hash
from ragdiag.training.reranker.late_task import LateTask
from ragdiag.version import RerankerSpec

ADAPTER = "adapter"

Method = Literal["query-lora", "lora"]

LORA = LoraOptions(16, 32.0, 0.1)
LOOPS: Mapping[Method, LoopOptions] = {
    "query-lora": LoopOptions(epochs=3, batch=16, learning_rate=3e-4),
    "lora": LoopOptions(epochs=2, batch=16, learning_rate=5e-4, micro=1),
}
"""What helped on lists of questions that had no part in it (docs/retrieval.md)."""


@dataclass(frozen=True)
class LateOptions:
    """``reranker`` is how late interaction is served, with the encoder that is begun from.
    ``shown`` candidates of a list are learned from at a time, where passages are learned."""

    reranker: RerankerSpec
    method: Method = "query-lora"
    lora: LoraOptions = LORA
    loop: LoopOptions = LOOPS["query-lora"]
    shown: int = 8

    def to_json(self) -> dict[str, Any]:
        return {
            "reranker": self.reranker.model_dump(mode="json"),
            "method": self.method,
            "lora": asdict(self.lora),
            "loop": asdict(self.loop),
            "shown": self.shown,
        }


@dataclass(frozen=True)
class TunedLate:
    """``adapter`` is what ``reranker``, how it is served now, names. ``examples`` were learned
    from; of the ``left_out`` lists no order is better than another. Scores of ``trained`` are mean
    log likelihoods of the dev lists."""

    adapter: Path
    reranker: RerankerSpec
    examples: int
    left_out: int
    trained: Trained


def begun_from(reranker: RerankerSpec, method: Method) -> RerankerSpec:
    """An earlier adapter of what is learned is not learned on: each run begins from the encoder."""
    dropped = {"question_adapter": None, **({"adapter": None} if method == "lora" else {})}
    return reranker.model_copy(update=dropped)


def train_late_interaction(
    lists: Sequence[FusedList],
    dev: Sequence[FusedList],
    texts: Mapping[str, str],
    scorer: LateInteraction,
    options: LateOptions,
    folder: Path,
    progress: Progress | None = None,
) -> TunedLate:
    """Train an adapter in ``folder``, or go on there after a kill, and keep what was best on
    ``dev``. ``texts`` has every candidate, ``scorer`` its word pieces before anything is learned.

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
    spec, both = options.reranker, options.method == "lora"
    task = LateTask(
        kept,
        dev,
        texts,
        scorer,
        spec,
        options.lora,
        seed=options.loop.seed,
        shown=options.shown if both else None,
    )
    check_task(task)
    trained = train(task, options.loop, folder, progress)
    manifest = AdapterManifest(
        base=Path(spec.model).name,
        base_sha256=base_hash(spec.model, spec.adapter),
        method=options.method,
        data_hash=learnt,
        side="both" if both else "questions",
        options=options.to_json(),
    )
    made = folder / ADAPTER
    if Processes().is_first:
        save_adapter(task.adapted, made, manifest)
    served = spec.model_copy(update={"adapter" if both else "question_adapter": str(made)})
    return TunedLate(made, served, len(kept), len(lists) - len(kept), trained)
