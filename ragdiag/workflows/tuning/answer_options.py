"""How a model that answers is tuned, and from which examples of a version's own contexts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from ragdiag.pipeline import serving_parts
from ragdiag.progress import Progress
from ragdiag.records import ContextPassage
from ragdiag.retrieval.hybrid import HybridRetriever
from ragdiag.retrieval.packing import Packer
from ragdiag.retrieval.rerank import open_reranker
from ragdiag.retrieval.text import load_tokenizer
from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake
from ragdiag.store.training_runs import RunKind
from ragdiag.training.adapters import ANSWERING, LoraOptions
from ragdiag.training.answers.causal import CausalOptions, train_generator
from ragdiag.training.answers.examples import (
    AnswerData,
    AnswerOptions,
    AnswerParts,
    Retrieve,
    gather_answers,
)
from ragdiag.training.answers.located import Refused
from ragdiag.training.answers.reader import ReaderOptions, train_reader
from ragdiag.training.loop import LoopOptions, Trained
from ragdiag.training.quantisation import Bits, quantisation, require_adapter
from ragdiag.version import ReaderSpec, TransformersSpec, Version
from ragdiag.workflows.tuning.answer_release import AnswerMetric
from ragdiag.workflows.tuning.requirements import check_rate

Method = Literal["full", "lora"]


@dataclass(frozen=True)
class LearnAnswers:
    """Learnt from the questions of ``split``, tested on those of ``test``, judged by ``metric``.
    ``declines``: the share that a generator learns to decline as well, its gold passages left out
    (a reader learns that of every question)."""

    split: str = "train"
    test: str = "test"
    declines: float = 0.25
    metric: AnswerMetric = "correct"
    seed: int = 0

    @property
    def options(self) -> AnswerOptions:
        return AnswerOptions(self.split, self.declines, seed=self.seed)


@dataclass(frozen=True)
class Learned:
    """``generator`` serves what was trained."""

    trained: Trained
    generator: ReaderSpec | TransformersSpec
    refused: tuple[Refused, ...]


@dataclass(frozen=True)
class ReaderTuning:
    """An encoder, or an earlier reader, in the folder ``base`` learns to mark answers; ``epochs``
    and ``learning_rate`` as suits the method, unless given."""

    base: str
    learn: LearnAnswers = field(default_factory=LearnAnswers)
    method: Method = "full"
    max_tokens: int = 384
    epochs: int | None = None
    learning_rate: float | None = None
    batch: int = 16
    lora: LoraOptions = ANSWERING
    save_as: str | None = None

    def __post_init__(self) -> None:
        check_rate(self.learning_rate)

    @property
    def kind(self) -> RunKind:
        return "reader"

    def check(self) -> None:
        """A reader trains anywhere."""

    @property
    def answers(self) -> AnswerOptions:
        """The trainer itself asks every question over passages without its answer."""
        return replace(self.learn.options, declines=0.0)

    @property
    def loop(self) -> LoopOptions:
        rate = self.learning_rate or {"full": 3e-5, "lora": 3e-4}[self.method]
        return LoopOptions(self.epochs or 3, self.batch, learning_rate=rate, seed=self.learn.seed)

    def train(self, parts: AnswerParts, folder: Path, progress: Progress | None = None) -> Learned:
        options = ReaderOptions(self.method, self.lora, self.max_tokens)
        found = train_reader(
            self.base, parts.train, parts.dev, options, self.loop, folder, progress
        )
        return Learned(found.trained, found.spec, found.refused)


@dataclass(frozen=True)
class GeneratorTuning:
    """A causal language model in the folder ``base`` learns to answer with citations; ``epochs``
    and ``learning_rate`` as suits the method, unless given."""

    base: str
    learn: LearnAnswers = field(default_factory=LearnAnswers)
    method: Method = "lora"
    max_tokens: int = 2048
    max_output_tokens: int = 100
    epochs: int | None = None
    learning_rate: float | None = None
    batch: int = 16
    micro: int = 2
    bits: Bits | None = None
    lora: LoraOptions = ANSWERING
    save_as: str | None = None

    def __post_init__(self) -> None:
        check_rate(self.learning_rate)

    @property
    def kind(self) -> RunKind:
        return "generator"

    @property
    def answers(self) -> AnswerOptions:
        return self.learn.options

    def check(self) -> None:
        """Raises TrainingError where this machine cannot train so."""
        if self.bits is not None:
            require_adapter(self.method)
            quantisation(self.bits)

    @property
    def loop(self) -> LoopOptions:
        rate = self.learning_rate or {"full": 1e-5, "lora": 2e-4}[self.method]
        return LoopOptions(
            self.epochs or 2, self.batch, self.micro, learning_rate=rate, seed=self.learn.seed
        )

    def train(self, parts: AnswerParts, folder: Path, progress: Progress | None = None) -> Learned:
        options = CausalOptions(
            self.method,
            self.lora,
            self.max_tokens,
            self.max_output_tokens,
            declines=False,
            bits=self.bits,
        )
        found = train_generator(
            self.base, parts.train, parts.dev, options, self.loop, folder, progress
        )
        return Learned(found.trained, found.spec, found.refused)


def version_answers(
    lake: Lake,
    workspace: Workspace,
    version: Version,
    options: AnswerOptions,
    progress: Progress | None = None,
) -> AnswerData:
    """The examples of a split over what ``version`` packs. Raises TrainingError, and what opening
    its index raises."""
    return gather_answers(lake, _packing(lake, workspace, version), options, progress)


def _packing(lake: Lake, workspace: Workspace, version: Version) -> Retrieve:
    """As the pipeline makes a context, without its generator."""
    spec = version.spec
    index, passages = serving_parts(lake, workspace, version)
    retriever = HybridRetriever(index, spec)
    reranker = None if spec.reranker is None else open_reranker(passages, spec.reranker, workspace)
    packer = Packer(passages, spec.context, load_tokenizer())

    def retrieve(question: str) -> Sequence[ContextPassage]:
        hits = retriever.retrieve(question).fused
        return packer.pack(hits if reranker is None else reranker.rerank(question, hits))

    return retrieve
