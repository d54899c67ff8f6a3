"""A reader's answer: the best span of the passages, word for word, or none."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from threading import Lock

from ragdiag.generation.loading import load_model, load_tokenizer, model_folder
from ragdiag.generation.spans import SpanModel, read_settings
from ragdiag.generator_spec import Device
from ragdiag.records import Answer, ContextPassage
from ragdiag.retrieval.models import Signature, signature_of
from ragdiag.version import ReaderSpec

_load_lock = Lock()


class ReaderGenerator:
    """One model; ``name`` says its folder."""

    def __init__(self, spec: ReaderSpec, span_model: SpanModel) -> None:
        self._spec, self._spans = spec, span_model
        chosen = span_model.settings.threshold
        self._threshold = chosen if spec.threshold is None else spec.threshold

    @property
    def name(self) -> str:
        return f"reader:{Path(self._spec.model).name}"

    def answer(self, question: str, context: Sequence[ContextPassage]) -> Answer:
        """The span of ``context`` with the largest margin over no answer, citing its passage.

        The status is ``no_answer`` where that margin is below the threshold, or no passage has a
        word. Raises ModelError for a model that gives no numbers.
        """
        span = self._spans.best(question, context, self._spec.max_answer_tokens)
        if span is None or span.margin < self._threshold:
            return Answer(text="", status="no_answer", model=self.name)
        passage = context[span.passage]
        return Answer(
            text=passage.text[span.start : span.end],
            citations=(passage.passage_id,),
            model=self.name,
        )


def load_reader(spec: ReaderSpec) -> ReaderGenerator:
    """The reader of ``spec``, loaded once per process. Raises ModelError: no such model or device,
    one that was not trained to mark answers."""
    with _load_lock:
        folder = model_folder(spec.model)
        return ReaderGenerator(spec, _loaded(folder, spec.device, signature_of(folder)))


@lru_cache(maxsize=2)
def _loaded(folder: Path, device: Device, signature: Signature) -> SpanModel:
    """``signature`` is part of the key so that a model retrained in place is loaded again."""
    tokenizer = load_tokenizer(folder)
    model = load_model(folder, "QuestionAnswering", device=device)
    return SpanModel(model, tokenizer, read_settings(folder))
