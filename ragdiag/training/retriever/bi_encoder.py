"""Fine-tuning a retriever's encoder on pairs of question and passage.

``query-lora`` trains an adapter for questions alone: passages keep the vectors of the base, which
are computed once, so a pair costs one short text and the index stays as it is. ``lora`` trains an
adapter for both sides, ``full`` every weight; after either the index must be built again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ragdiag.errors import TrainingError
from ragdiag.progress import Progress, part
from ragdiag.retrieval.adapters import AdapterManifest, base_hash
from ragdiag.retrieval.embed import Embedder
from ragdiag.retrieval.models import model_path
from ragdiag.training.adapters import add_lora, check_gradients, save_adapter, without_gradient
from ragdiag.training.claims import claim
from ragdiag.training.data.examples import Pair, TrainingSet
from ragdiag.training.files import replace_folder
from ragdiag.training.loop import Trained, train
from ragdiag.training.processes import Processes
from ragdiag.training.quantisation import prepare_quantised, quantisation
from ragdiag.training.retriever.batches import Layout
from ragdiag.training.retriever.bi_encoder_options import BiEncoderOptions as BiEncoderOptions
from ragdiag.training.retriever.bi_encoder_options import Method, check_options, choose_pairs
from ragdiag.training.retriever.contrastive import BiEncoderTask, Costs, Dev, FrozenVectors, Vectors
from ragdiag.training.retriever.dev import DevSet as DevSet
from ragdiag.training.retriever.encoding import Encoding

ADAPTER, MODEL = "adapter", "model"

Embedded = Mapping[str, npt.NDArray[np.float32]]
"""Text → its unit vector (d,) by the base, as an index build left it."""


@dataclass(frozen=True)
class TunedBiEncoder:
    """``embedder`` is what to change in a version's [embedder] to serve it; ``parameters`` were
    trained. Scores of ``trained`` are nDCG@10 on the dev questions."""

    folder: Path
    method: Method
    embedder: Mapping[str, str | None]
    base: str
    base_sha256: str
    data_hash: str
    parameters: int
    trained: Trained


def train_bi_encoder(
    data: TrainingSet,
    dev: DevSet,
    options: BiEncoderOptions,
    folder: Path,
    progress: Progress | None = None,
    known: Embedded | None = None,
) -> TunedBiEncoder:
    """Train, and leave an adapter (or the whole model) in ``folder``, which is the run's own: a run
    that was killed goes on there. Texts that are ``known`` are not embedded again where passages
    are frozen.

    With several processes each draws its negatives from its own share of a batch. Raises
    TrainingError (data, options, a loss gone wrong), ModelError (the base), StoreFull.
    """
    check_options(options)
    pairs = choose_pairs(data, options)
    begun = {"data": data.data_hash, "dev": dev.data_hash, "options": asdict(options)}
    claim(folder, begun)
    task = make_task(pairs, data, dev, options, part(progress, 0, 0.2), known)
    parameters = _probe(task, options)
    trained = train(task, options.looped, folder, part(progress, 0.2, 1))
    saved = folder / (MODEL if options.method == "full" else ADAPTER)
    manifest = AdapterManifest(
        base=Path(options.base).name,
        base_sha256=base_hash(options.base, options.base_adapter),
        method=options.method,
        data_hash=data.data_hash,
        side="questions" if options.method == "query-lora" else "both",
        options=asdict(options),
    )
    if Processes().is_first:
        _save(task.model, saved, manifest)
    return TunedBiEncoder(
        folder=saved,
        method=options.method,
        embedder=_serving(saved, options),
        base=manifest.base,
        base_sha256=manifest.base_sha256,
        data_hash=data.data_hash,
        parameters=parameters,
        trained=trained,
    )


def make_task(
    pairs: Sequence[Pair],
    data: TrainingSet,
    dev: DevSet,
    options: BiEncoderOptions,
    progress: Progress | None = None,
    known: Embedded | None = None,
) -> BiEncoderTask:
    """The base on this process's device, ready for the loop; frozen passages are embedded here."""
    ids = dev.passages(options.searched, options.looped.seed)
    searched = [dev.texts[name] for name in ids]
    frozen = options.method == "query-lora" and options.loss == "info_nce"
    layout = Layout(pairs, data, options.negatives, searched if frozen else ())
    bare = layout.without_negatives()
    if options.loss != "info_nce" and bare:
        raise TrainingError(
            f"{bare} of {len(pairs)} pairs have no negatives, which {options.loss} needs",
            remedy="mine negatives for them, or use loss info_nce",
        )
    embedder = Embedder(options.embedder, str(Processes().device))
    if options.method == "query-lora":
        passages, found = _frozen(embedder, layout.passages, searched, known or {}, progress)
        model = _trainable(embedder.model, options)
    else:
        model = _trainable(embedder.model, options)
        passages, found = (
            Encoding(model, layout.passages, options.precision),
            Encoding(model, searched),
        )
    asked = Encoding(model, [dev.questions[name] for name in dev.asked()])
    return BiEncoderTask(
        model,
        layout,
        size=len(pairs),
        passages=passages,
        dev=Dev(dev, ids, asked, found),
        costs=Costs(options.loss, options.scale, options.margin, options.cached, options.precision),
    )


def _frozen(
    embedder: Embedder,
    texts: list[str],
    searched: list[str],
    known: Embedded,
    progress: Progress | None,
) -> tuple[Vectors, Vectors]:
    """The vectors that the index holds too; a text that is in both lists is embedded once."""
    import torch

    every = {text: at for at, text in enumerate(dict.fromkeys([*texts, *searched]))}
    new = [text for text in every if text not in known]
    fresh = dict(zip(new, embedder.encode(new, progress), strict=True)) if new else {}
    rows = np.stack([known[text] if text in known else fresh[text] for text in every])
    vectors = torch.from_numpy(rows).to(Processes().device)
    one, other = (FrozenVectors(vectors[[every[t] for t in own]]) for own in (texts, searched))
    return one, other


def _trainable(model: Any, options: BiEncoderOptions) -> Any:
    """``model`` (of sentence-transformers) with what is to be trained, and nothing else, requiring
    a gradient."""
    if options.method == "full":
        return model.requires_grad_(True)
    if options.bits is not None:
        model = _quantised(options)
    model.requires_grad_(False)
    model[0].model = add_lora(model[0].model, options.lora, seed=options.looped.seed)
    return model


def _quantised(options: BiEncoderOptions) -> Any:
    from sentence_transformers import SentenceTransformer

    assert options.bits is not None
    model = SentenceTransformer(
        str(model_path(options.base)),
        device=str(Processes().device),
        local_files_only=True,
        model_kwargs={"quantization_config": quantisation(options.bits)},
    )
    model[0].model = prepare_quantised(model[0].model)
    model.max_seq_length = options.max_tokens or model.max_seq_length
    return model


def _probe(task: BiEncoderTask, options: BiEncoderOptions) -> int:
    """One backward pass, to see that what is trained takes part; how many parameters that are."""
    task.loss(range(min(2, task.size))).backward()
    if options.method == "full":
        idle = set(without_gradient(task.model))  # such as BERT's pooler, which nothing reads
        for name, weight in task.model.named_parameters():
            weight.requires_grad_(weight.requires_grad and name not in idle)
    else:
        check_gradients(task.model)
    task.model.zero_grad()
    return sum(p.numel() for p in task.model.parameters() if p.requires_grad)


def _save(model: Any, folder: Path, manifest: AdapterManifest) -> None:
    if manifest.method != "full":
        save_adapter(model[0].model, folder, manifest)
        return
    replace_folder(folder, lambda draft: model.save_pretrained(str(draft), create_model_card=False))


def whole_model(saved: Path) -> dict[str, str | None]:
    """What to change in a version's [embedder] to serve the model in ``saved`` and nothing else."""
    return {"model": str(saved), "adapter": None, "question_adapter": None, "questions": None}


def _serving(saved: Path, options: BiEncoderOptions) -> dict[str, str | None]:
    """An export of the model as it was (``questions``) does not fit any longer."""
    if options.method == "full":
        return whole_model(saved)
    key = "question_adapter" if options.method == "query-lora" else "adapter"
    return {key: str(saved), "questions": None}
