"""Training of a reader: a model that marks the answer's span in a passage, or that there is none.

Every window of a passage is one example. Where the answer stands in it whole, its first and last
token are the labels; elsewhere the mark in front of the question is, which stands for no answer
(Devlin et al. 2019, §4.3). The loss is the mean of the two cross-entropies, in nats. The dev score
is the mean token F1 at the threshold that is best there, passages without an answer included.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ragdiag.errors import TrainingError
from ragdiag.generation.loading import load_model, load_tokenizer, memory_faults, model_folder
from ragdiag.generation.spans import SETTINGS, ReaderSettings, Span, SpanModel, Window
from ragdiag.metrics.answers import token_f1
from ragdiag.progress import Progress
from ragdiag.training.adapters import ANSWERING, LoraOptions, add_lora, check_task, heads_of
from ragdiag.training.answers.located import (
    AnswerExample,
    Refused,
    find_places,
    holds_answer,
    usable_examples,
    with_declines,
)
from ragdiag.training.files import replace_folder
from ragdiag.training.loop import LoopOptions, Trained, train
from ragdiag.training.processes import Processes
from ragdiag.version import ReaderSpec

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class ReaderOptions:
    """``lora`` trains an adapter and the head, and merges them at the end. ``max_tokens`` and
    ``stride`` are those of :class:`ReaderSettings`; no answer is longer than
    ``max_answer_tokens``."""

    method: Literal["lora", "full"] = "full"
    lora: LoraOptions = ANSWERING
    max_tokens: int = 384
    stride: int = 128
    max_answer_tokens: int = 30


@dataclass(frozen=True)
class TrainedReader:
    """``spec`` serves what was trained; ``threshold`` is the one that was best on dev, ``token_f1``
    the mean there."""

    trained: Trained
    spec: ReaderSpec
    threshold: float
    token_f1: float
    refused: tuple[Refused, ...]


@dataclass(frozen=True, slots=True)
class _Labelled:
    window: Window
    start: int
    end: int


class ReaderTask:
    """A span model, its labelled windows and its dev examples (loop.Task)."""

    def __init__(
        self,
        span_model: SpanModel,
        labelled: Sequence[_Labelled],
        dev: Sequence[AnswerExample],
        longest: int,
    ) -> None:
        self.model: Any = span_model.model
        self.threshold = 0.0
        self._spans, self._labelled, self._dev = span_model, labelled, dev
        self._longest = longest

    @property
    def size(self) -> int:
        return len(self._labelled)

    def loss(self, chosen: Sequence[int]) -> Tensor:
        import torch

        self.model.train()
        batch = [self._labelled[at] for at in chosen]
        start, end = self._spans.logits([one.window for one in batch])
        place = self.model.device
        first = torch.tensor([one.start for one in batch], device=place)
        last = torch.tensor([one.end for one in batch], device=place)
        cost = torch.nn.functional.cross_entropy
        return (cost(start.float(), first) + cost(end.float(), last)) / 2

    def score(self) -> float:
        """Mean token F1 on dev at the best threshold, which is kept."""
        self.model.eval()
        spans = [self._spans.best(one.question, one.context, self._longest) for one in self._dev]
        self.threshold, quality = best_threshold(
            [(one, span) for one, span in zip(self._dev, spans, strict=True)]
        )
        return quality


def best_threshold(read: Sequence[tuple[AnswerExample, Span | None]]) -> tuple[float, float]:
    """The margin from which to answer, and the mean token F1 of doing so.

    Between two margins it lies in the middle; of equally good ones the widest gap is taken, so that
    noise in a margin changes no decision. To decline is worth 1 where there is no answer.
    """
    declined = [float(not one.answers) for one, _ in read]
    marked = [
        (span.margin, _f1(one, span) - declined[at])
        for at, (one, span) in enumerate(read)
        if span is not None
    ]
    marked.sort(key=lambda pair: -pair[0])
    margins = [margin for margin, _ in marked]
    edges = [margins[0] + 2.0, *margins, margins[-1] - 2.0] if margins else [1.0, -1.0]
    gained, best = 0.0, (0.0, edges[0] - edges[1], (edges[0] + edges[1]) / 2)
    for at, (_, gain) in enumerate(marked, start=1):
        gained += gain
        gap = edges[at] - edges[at + 1]
        best = max(best, (round(gained, 9), gap, (edges[at] + edges[at + 1]) / 2))
    return best[2], (sum(declined) + best[0]) / len(read)


def label_windows(
    span_model: SpanModel, examples: Sequence[AnswerExample], longest: int
) -> list[_Labelled]:
    """Every window of every example, labelled. Passages that hold the answer and are not gold are
    left out: nobody knows what is right there. So are windows that cut an answer, and those of an
    answer of more than ``longest`` tokens, and what was there before.

    Raises TrainingError where no answer is left."""
    found = []
    seen = set()
    for one in examples:
        places = {place.passage: place for place in find_places(one)}
        for window in span_model.windows(one.question, one.context):
            tokens_read = tuple(window.encoded["input_ids"])
            if tokens_read in seen:
                continue
            seen.add(tokens_read)
            place = places.get(window.passage)
            if place is None:
                if not holds_answer(one, one.context[window.passage]):
                    found.append(_Labelled(window, 0, 0))
                continue
            tokens = [
                at
                for at, span in enumerate(window.spans)
                if span is not None and span[0] < place.end and span[1] > place.start
            ]
            if not tokens:
                found.append(_Labelled(window, 0, 0))
            elif _is_whole(window, tokens, place.start, place.end) and len(tokens) <= longest:
                found.append(_Labelled(window, tokens[0], tokens[-1]))
    if not any(one.start for one in found):
        raise TrainingError(
            f"no answer has at most {longest} tokens in one window",
            remedy="raise max_answer_tokens or max_tokens",
        )
    return found


def train_reader(
    base: str,
    examples: Sequence[AnswerExample],
    dev: Sequence[AnswerExample],
    options: ReaderOptions,
    loop: LoopOptions,
    folder: Path,
    progress: Progress | None = None,
) -> TrainedReader:
    """Train the encoder, or the reader, in the folder ``base``; what was learned is kept in
    ``folder``/model, whole.

    Each question is also read over passages without its answer. Raises TrainingError where fewer
    than ten examples can be used or loss is not a number, ModelError where there is no such model.
    A run that was killed goes on from ``folder``.
    """
    import torch

    held, refused = usable_examples(examples, "training")
    judged, refused_dev = usable_examples(dev, "dev")
    torch.manual_seed(loop.seed)
    span_model = _prepare(base, options, loop.seed)
    labelled = label_windows(span_model, with_declines(held), options.max_answer_tokens)
    task = ReaderTask(span_model, labelled, with_declines(judged), options.max_answer_tokens)
    with memory_faults(TrainingError, "to train on", "lower micro or max_tokens"):
        if options.method == "lora":
            check_task(task)
        trained = train(task, loop, folder, progress)
    quality = task.score()
    _keep(span_model, task.threshold, folder / "model")
    return TrainedReader(
        trained=trained,
        spec=ReaderSpec(
            kind="reader", model=str(folder / "model"), max_answer_tokens=options.max_answer_tokens
        ),
        threshold=task.threshold,
        token_f1=quality,
        refused=(*refused, *refused_dev),
    )


def _prepare(base: str, options: ReaderOptions, seed: int) -> SpanModel:
    folder = model_folder(base)
    model = load_model(folder, "QuestionAnswering", dtype="float32", headless=True)
    if options.method == "lora":
        heads = heads_of(model)
        model = add_lora(model, options.lora, seed=seed, task="QUESTION_ANS", modules_to_save=heads)
    settings = ReaderSettings(max_tokens=options.max_tokens, stride=options.stride)
    return SpanModel(model.to(Processes().device), load_tokenizer(folder), settings)


def _keep(span_model: SpanModel, threshold: float, place: Path) -> None:
    """Write the whole model (the first process does), its adapter merged."""
    settings = asdict(replace(span_model.settings, threshold=threshold))

    def write(draft: Path) -> None:
        model = span_model.model
        merged = model.merge_and_unload() if hasattr(model, "merge_and_unload") else model
        merged.save_pretrained(str(draft))
        span_model.tokenizer.save_pretrained(str(draft))
        (draft / SETTINGS).write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")

    if Processes().is_first:
        replace_folder(place, write)


def _is_whole(window: Window, tokens: Sequence[int], start: int, end: int) -> bool:
    first, last = window.spans[tokens[0]], window.spans[tokens[-1]]
    return first is not None and last is not None and first[0] <= start and last[1] >= end


def _f1(example: AnswerExample, span: Span) -> float:
    if not example.answers:
        return 0.0
    return token_f1(example.context[span.passage].text[span.start : span.end], example.answers)
