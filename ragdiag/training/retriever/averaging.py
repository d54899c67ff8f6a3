"""The mean of the weights of several fine-tuned encoders: a "model soup" (Wortsman et al. 2022).

Models that were fine-tuned from the same weights, by other methods, options or seeds, lie near
enough to each other for the mean of their weights to be a model too, often a better one on new
questions than each of them; it takes no more time to serve than one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ragdiag.errors import TrainingError
from ragdiag.progress import Progress, report
from ragdiag.retrieval.embed import Embedder
from ragdiag.training.files import replace_folder
from ragdiag.version import EmbedderSpec


def average_models(
    specs: Sequence[EmbedderSpec], folder: Path, progress: Progress | None = None
) -> None:
    """Leave in ``folder`` the mean of the weights that ``specs`` embed passages with, an adapter
    merged into its base first; tokeniser, pooling and the rest are those of the first.

    Raises TrainingError where their weights differ in name or shape, ModelError, StoreFull.
    """
    report(progress, 0.0, f"reading {specs[0].model}")
    first = Embedder(specs[0].model_copy(update={"question_adapter": None})).model
    total = {name: tensor.double() for name, tensor in first.state_dict().items()}
    for place, spec in enumerate(specs[1:], start=1):
        report(progress, place / len(specs), f"adding {spec.adapter or spec.model}")
        other = Embedder(spec.model_copy(update={"question_adapter": None})).model.state_dict()
        if {name: t.shape for name, t in total.items()} != {n: t.shape for n, t in other.items()}:
            raise TrainingError(
                f"{spec.model} has other weights than {specs[0].model}",
                remedy="average what was fine-tuned from one model",
            )
        for name, tensor in other.items():
            total[name] += tensor
    first.load_state_dict({name: tensor / len(specs) for name, tensor in total.items()})
    replace_folder(folder, lambda draft: first.save_pretrained(str(draft), create_model_card=False))
    report(progress, 1.0, f"the mean of {len(specs)} models")
