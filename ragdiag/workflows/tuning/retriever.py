"""From failures to a better retriever: data, training, index, held-out questions, gate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ragdiag.errors import InputError, SpecError
from ragdiag.pipeline import serving_index
from ragdiag.progress import Progress, part
from ragdiag.records import Passage
from ragdiag.retrieval.adapters import base_hash
from ragdiag.retrieval.hybrid import HybridRetriever
from ragdiag.retrieval.models import is_export, model_identity, model_path, transformer_folder
from ragdiag.retrieval.vectors import open_cache, passage_text
from ragdiag.settings import Workspace
from ragdiag.store.corpus import load_passages
from ragdiag.store.lake import Lake
from ragdiag.store.training_runs import TrainingRun, find_run
from ragdiag.training.adapters import LoraOptions, check_targets
from ragdiag.training.costs import Clock
from ragdiag.training.data.assemble import Assembled
from ragdiag.training.quantisation import Bits
from ragdiag.training.recording import recorded
from ragdiag.training.reranker.losses import DISTILLED
from ragdiag.training.reranker.teacher import Teacher
from ragdiag.training.retriever.bi_encoder import DevSet, Embedded, TunedBiEncoder, train_bi_encoder
from ragdiag.training.retriever.bi_encoder_options import (
    LOOPS,
    BiEncoderOptions,
    Method,
    check_options,
)
from ragdiag.training.retriever.contrastive import Loss
from ragdiag.training.retriever.encoding import Precision
from ragdiag.training.run_folder import shared_run
from ragdiag.training.runs import Base, Gated, RunFacts
from ragdiag.training.set_files import training_seal
from ragdiag.version import EmbedderSpec, Version
from ragdiag.workflows.tuning.data import LearnFrom, keep_data
from ragdiag.workflows.tuning.requirements import (
    check_rate,
    refuse_taken_name,
    require_apart,
    require_free_name,
    require_teacher,
)
from ragdiag.workflows.tuning.run_facts import data_facts
from ragdiag.workflows.tuning.tuned_change import HeldOut
from ragdiag.workflows.tuning.tuned_release import (
    clustered,
    from_pairs,
    held_out_sets,
    load_test,
    release_tuned,
)
from ragdiag.workflows.tuning.tuned_version import build_tuned_index, reweighed, tuned_version

NO_STEP_HELPED = "no step made the model better on the dev questions than it came"


@dataclass(frozen=True)
class RetrieverTuning:
    """How a version's embedder is tuned; ``epochs`` and ``learning_rate`` are those that suit the
    method, unless given. A ``teacher``, the folder of a cross-encoder, is what the losses
    ``margin_mse`` and ``kl`` learn from, and tells unjudged golds from negatives. The rest as
    :class:`BiEncoderOptions` has it."""

    learn: LearnFrom = field(default_factory=LearnFrom)
    method: Method = "query-lora"
    loss: Loss = "info_nce"
    teacher: str | None = None
    epochs: int | None = None
    learning_rate: float | None = None
    batch: int = 32
    precision: Precision = "fp32"
    cached: int | None = None
    bits: Bits | None = None
    scale: float = 20.0
    margin: float = 0.2
    lora: LoraOptions = field(default_factory=LoraOptions)
    save_as: str | None = None

    def __post_init__(self) -> None:
        check_rate(self.learning_rate)

    def options(self, embedder: EmbedderSpec) -> BiEncoderOptions:
        usual = LOOPS[self.method]
        loop = replace(
            usual,
            epochs=self.epochs or usual.epochs,
            learning_rate=self.learning_rate or usual.learning_rate,
            batch=self.batch,
            seed=self.learn.seed,
        )
        return BiEncoderOptions(
            method=self.method,
            base=embedder.model,
            base_adapter=embedder.adapter,
            max_tokens=embedder.max_tokens,
            lora=self.lora,
            loss=self.loss,
            negatives=self.learn.hard,
            precision=self.precision,
            cached=self.cached,
            bits=self.bits,
            scale=self.scale,
            margin=self.margin,
            loop=loop,
        )


def tune_retriever(
    lake: Lake,
    workspace: Workspace,
    version: Version,
    tuning: RetrieverTuning,
    progress: Progress | None = None,
) -> TrainingRun | None:
    """Tune the embedder of ``version`` and leave the result beside it, judged; the run as the
    registry has it. The same call goes on with a run that was ended before it was done: of one that
    was trained already the result is read again from its checkpoint.

    Of several processes that train together all but the first return None. Raises SpecError where
    the version has no embedder, InputError where split and test are one, ``save_as`` is taken or
    the loss needs negatives that some pairs would not have, UnknownName for a split without
    questions, TrainingError.
    """
    clock, embedder = Clock(), version.spec.embedder
    if embedder is None:
        raise SpecError(
            f"version {version.name} has no embedder, so there is nothing to tune",
            remedy="add [embedder] to its spec",
        )
    check_options(tuning.options(embedder))
    seal = training_seal(workspace)
    plan = plan_retriever(lake, workspace, version, embedder, tuning, part(progress, 0.0, 0.1))
    require_free_name(lake, workspace, plan.config, tuning.save_as)
    folder, is_first = shared_run(lake, workspace, plan.config)
    if not is_first:
        plan.train(folder.root)
        return None
    with recorded(lake, folder, "retriever", plan.facts, clock) as recording:
        keep_data(plan.assembled, folder.root, seal)
        told = recording.told(progress)
        tuned = plan.train(folder.root, part(told, 0.1, 0.7))
        folder.seal()
        artefact = tuned.folder.relative_to(folder.root)
        recording.say(trained=tuned.trained, artefact=str(artefact))
        if tuned.trained.best_step == 0:
            recording.say(gate=Gated("inconclusive", (NO_STEP_HELPED,)))
        else:
            name = tuning.save_as or f"{version.name}-{folder.run_id}"
            made = tuned_version(workspace, version, tuned.embedder, name)
            build_tuned_index(lake, workspace, version, made, part(told, 0.7, 0.8))
            made, test = reweighed(lake, workspace, made, [(made, plan.asked)]), tuning.learn.test
            rest = part(told, 0.8, 1.0)
            release_tuned(lake, workspace, recording, version, made, plan.sets, test, rest)
    return find_run(lake, folder.run_id)


@dataclass(frozen=True)
class RetrieverPlan:
    """Everything that is settled before the first step; ``asked`` are the dev questions."""

    version: Version
    tuning: RetrieverTuning
    options: BiEncoderOptions
    assembled: Assembled
    asked: HeldOut
    dev: DevSet
    sets: Sequence[HeldOut]
    known: Embedded

    def train(self, folder: Path, progress: Progress | None = None) -> TunedBiEncoder:
        data = self.assembled.train
        return train_bi_encoder(data, self.dev, self.options, folder, progress, self.known)

    @property
    def base(self) -> Base:
        model = self.options.base
        return Base(Path(model).name, base_hash(model, self.options.base_adapter))

    @property
    def config(self) -> dict[str, Any]:
        """What tells one run from another; the name that the result is saved under does not."""
        asked = asdict(replace(self.tuning, save_as=None, learn=self.tuning.learn.shaping))
        return {
            "kind": "retriever",
            "version": self.version.version_id,
            "tuning": asked,
            "base": self.base.sha256,
            "data": self.assembled.train.data_hash,
            "dev": self.dev.data_hash,
        }

    @property
    def facts(self) -> RunFacts:
        return RunFacts(
            base=self.base,
            method=self.tuning.method,
            version=self.version.name,
            split=self.tuning.learn.learnt_split,
            options={**asdict(self.tuning), "loop": asdict(self.options.looped)},
            data=data_facts(self.assembled, len(self.dev.questions), self.sets),
        )


def plan_retriever(
    lake: Lake,
    workspace: Workspace,
    version: Version,
    embedder: EmbedderSpec,
    tuning: RetrieverTuning,
    progress: Progress | None = None,
) -> RetrieverPlan:
    """Gather the data and lay down what is measured. Raises as :func:`tune_retriever`."""
    require_apart(tuning.learn.split, tuning.learn.test)
    require_teacher(tuning.loss, tuning.teacher)
    _require_negatives(tuning)
    refuse_taken_name(lake, tuning.save_as)
    tested, options = load_test(lake, tuning.learn.test), tuning.options(embedder)
    check_options(options)
    if options.method != "full" and not is_export(model_path(options.base)):
        check_targets(transformer_folder(options.base), options.lora)
    retriever = HybridRetriever(serving_index(lake, workspace, version), version.spec)
    teacher = None if tuning.teacher is None else Teacher(tuning.teacher, workspace.embeddings)
    assembled = tuning.learn.assembled(
        lake, retriever, title=embedder.title, teacher=teacher, progress=part(progress, 0.0, 0.5)
    )
    if teacher is not None and tuning.loss in DISTILLED:
        taught = teacher.teach(assembled.train, part(progress, 0.5, 1.0))
        assembled = replace(assembled, train=taught)
    passages = load_passages(lake)
    texts = {one.passage_id: passage_text(one, title=embedder.title) for one in passages}
    asked = clustered(lake, from_pairs("dev", assembled.dev))
    return RetrieverPlan(
        version,
        tuning,
        options,
        assembled,
        asked,
        DevSet({q.question_id: q.text for q in asked.questions}, asked.judgments, texts),
        held_out_sets(lake, tested, assembled.temporal, assembled.synthetic),
        _embedded(workspace, embedder, passages),
    )


def _require_negatives(tuning: RetrieverTuning) -> None:
    """Raises InputError where some pairs would have no negatives and the loss needs them."""
    if tuning.loss == "info_nce" or (tuning.learn.hard and tuning.learn.mix is None):
        return
    bare = "general pairs have" if tuning.learn.hard else "with --negatives 0 pairs have"
    raise InputError(
        f"{bare} no negatives, which the loss {tuning.loss} needs",
        remedy=f"leave {'--mix' if tuning.learn.hard else '--negatives'} out, or use info_nce",
    )


def _embedded(
    workspace: Workspace, embedder: EmbedderSpec, passages: Sequence[Passage]
) -> dict[str, npt.NDArray[np.float32]]:
    """What the cache has of the passages' vectors: with them training begins minutes earlier."""
    wanted = {one.content_hash for one in passages}
    vectors = open_cache(workspace).read(model_identity(embedder), wanted)
    return {
        passage_text(one, title=embedder.title): vectors[one.content_hash]
        for one in passages
        if one.content_hash in vectors
    }
