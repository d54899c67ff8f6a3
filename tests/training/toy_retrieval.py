"""Questions whose words say nothing of their passages, so that only training can pair them."""

from __future__ import annotations

from ragdiag.training.adapters import LoraOptions
from ragdiag.training.data.examples import Pair, TrainingSet
from ragdiag.training.loop import LoopOptions
from ragdiag.training.retriever.bi_encoder import BiEncoderOptions, DevSet

ASKED = ["mask", "bread", "virus", "paris", "music", "rocket", "garden", "river", "salt", "moon"]
TOLD = ["yeast", "orbit", "flood", "tower", "spread", "cloth", "violin", "fuel", "seed", "tide"]

TEXTS = {f"p{at}": f"{word} is told of here" for at, word in enumerate(TOLD)}
PAIRS = [
    Pair(f"q{at}", f"what of {word}?", f"p{at}", negatives=(f"p{(at + 3) % 10}",))
    for at, word in enumerate(ASKED)
]
DATA = TrainingSet(PAIRS, TEXTS)
DEV = DevSet(
    questions={pair.question_id: pair.question for pair in PAIRS},
    judgments={pair.question_id: {pair.passage_id: 1} for pair in PAIRS},
    texts=TEXTS,
)
LOOP = LoopOptions(epochs=12, batch=5, learning_rate=0.05, patience=50)


def toy_options(base: str, **changes: object) -> BiEncoderOptions:
    """The base's weights are random and small: its attention decides little before α is large."""
    lora = LoraOptions(rank=4, alpha=512)
    return BiEncoderOptions(**{"base": base, "lora": lora, "loop": LOOP, **changes})  # type: ignore[arg-type]
