"""A cross-encoder of one's own for a version: trained, weighed, measured, judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from ragdiag.pipeline import serving_index
from ragdiag.progress import Progress, part
from ragdiag.retrieval.hybrid import HybridRetriever
from ragdiag.retrieval.models import folder_sha256
from ragdiag.retrieval.rerank_tuning import LABELS_NEEDED, choose_reranking, depths_up_to
from ragdiag.retrieval.vectors import passage_text
from ragdiag.settings import Workspace
from ragdiag.store.corpus import load_passages
from ragdiag.store.lake import Lake
from ragdiag.store.training_runs import TrainingRun, find_run
from ragdiag.training.costs import Clock
from ragdiag.training.data.assemble import Assembled
from ragdiag.training.recording import recorded
from ragdiag.training.reranker.cross_encoder import (
    CrossEncoderOptions,
    TunedCrossEncoder,
    train_cross_encoder,
)
from ragdiag.training.reranker.cross_encoder_model import base_folder
from ragdiag.training.reranker.dev import RerankDev
from ragdiag.training.reranker.losses import DISTILLED, LossName
from ragdiag.training.reranker.teacher import Teacher
from ragdiag.training.run_folder import shared_run
from ragdiag.training.runs import Base, Gated, RunFacts
from ragdiag.training.set_files import training_seal
from ragdiag.version import PACKAGED_MODEL, RerankerSpec, Version
from ragdiag.workflows.tuning.candidate_lists import fused_lists
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
    from_pairs,
    held_out_sets,
    load_test,
    release_tuned,
)
from ragdiag.workflows.weighing.reranker_evidence import score_questions
from ragdiag.workflows.weighing.weigh_reranker import with_setting

NOT_WORTH_IT = "no depth and weight of it is better on the dev questions than no reranker"


@dataclass(frozen=True)
class RerankerTuning:
    """How a reranker is trained for a version, reading the first ``depth`` fused hits.

    ``base`` is an encoder or an earlier reranker; ``layers`` of it, or all. A ``teacher``, the
    folder of a larger cross-encoder, is what the losses ``margin_mse`` and ``kl`` learn from, and
    tells unjudged golds from negatives. ``epochs`` and ``learning_rate`` as usual unless given.
    """

    learn: LearnFrom = field(default_factory=lambda: LearnFrom(hard=7))
    method: Literal["full", "lora"] = "full"
    loss: LossName = "listwise"
    base: str = PACKAGED_MODEL
    layers: int | None = None
    teacher: str | None = None
    max_tokens: int = 256
    depth: int = 50
    epochs: int | None = None
    learning_rate: float | None = None
    save_as: str | None = None

    def __post_init__(self) -> None:
        check_rate(self.learning_rate)

    @property
    def options(self) -> CrossEncoderOptions:
        usual = CrossEncoderOptions()
        rate = self.learning_rate or (1e-3 if self.method == "lora" else usual.loop.learning_rate)
        loop = replace(
            usual.loop,
            epochs=self.epochs or usual.loop.epochs,
            learning_rate=rate,
            seed=self.learn.seed,
        )
        return replace(
            usual,
            base=self.base,
            loss=self.loss,
            method=self.method,
            negatives=self.learn.hard,
            max_tokens=self.max_tokens,
            layers=self.layers,
            loop=loop,
        )


def tune_reranker(
    lake: Lake,
    workspace: Workspace,
    version: Version,
    tuning: RerankerTuning,
    progress: Progress | None = None,
) -> TrainingRun | None:
    """Train a reranker over what ``version`` retrieves and leave the version that has it, judged.

    Resumes and returns as :func:`ragdiag.workflows.tuning.retriever.tune_retriever`. Weight and
    depth are chosen on the dev questions where there are enough. Raises TrainingError, ModelError,
    InputError where split and test are one or ``save_as`` is taken, UnknownName.
    """
    clock, seal = Clock(), training_seal(workspace)
    plan = _plan(lake, workspace, version, tuning, part(progress, 0.0, 0.15))
    require_free_name(lake, workspace, plan.config, tuning.save_as)
    folder, is_first = shared_run(lake, workspace, plan.config)
    if not is_first:
        plan.train(folder.root)
        return None
    with recorded(lake, folder, "reranker", plan.facts, clock) as recording:
        keep_data(plan.assembled, folder.root, seal)
        told = recording.told(progress)
        tuned = plan.train(folder.root, part(told, 0.15, 0.6))
        folder.seal()
        recording.say(trained=tuned.trained, artefact=str(tuned.model.relative_to(folder.root)))
        name = tuning.save_as or f"{version.name}-{folder.run_id}"
        made = _weighed(lake, workspace, plan, tuned, name, part(told, 0.6, 0.7))
        if made is None:
            recording.say(gate=Gated("inconclusive", (NOT_WORTH_IT,)))
        else:
            test, rest = tuning.learn.test, part(told, 0.7, 1.0)
            release_tuned(lake, workspace, recording, version, made, plan.sets, test, rest)
    return find_run(lake, folder.run_id)


@dataclass(frozen=True)
class _Plan:
    """Everything that is settled before the first step; ``asked`` are the dev questions."""

    version: Version
    tuning: RerankerTuning
    assembled: Assembled
    asked: HeldOut
    dev: RerankDev
    sets: Sequence[HeldOut]

    def train(self, folder: Path, progress: Progress | None = None) -> TunedCrossEncoder:
        train = self.assembled.train
        return train_cross_encoder(train, self.dev, self.tuning.options, folder, progress)

    @property
    def base(self) -> Base:
        base = self.tuning.base
        return Base(Path(base).name, folder_sha256(base_folder(base)))

    @property
    def config(self) -> dict[str, Any]:
        return {
            "kind": "reranker",
            "version": self.version.version_id,
            "tuning": asdict(replace(self.tuning, save_as=None, learn=self.tuning.learn.shaping)),
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
            options={**asdict(self.tuning), "loop": asdict(self.tuning.options.loop)},
            data=data_facts(self.assembled, len(self.dev.questions), self.sets),
        )


def _plan(
    lake: Lake,
    workspace: Workspace,
    version: Version,
    tuning: RerankerTuning,
    progress: Progress | None,
) -> _Plan:
    require_apart(tuning.learn.split, tuning.learn.test)
    require_teacher(tuning.loss, tuning.teacher)
    refuse_taken_name(lake, tuning.save_as)
    tested = load_test(lake, tuning.learn.test)
    base_folder(tuning.base)
    spec = version.spec.model_copy(update={"reranker": None})
    retriever = HybridRetriever(serving_index(lake, workspace, version), spec)
    teacher = None
    if tuning.teacher is not None:
        teacher = Teacher(tuning.teacher, workspace.embeddings, max_tokens=tuning.max_tokens)
    assembled = tuning.learn.assembled(
        lake, retriever, title=True, teacher=teacher, progress=part(progress, 0.0, 0.4)
    )
    if teacher is not None and tuning.loss in DISTILLED:
        taught = teacher.teach(assembled.train, part(progress, 0.4, 0.8))
        assembled = replace(assembled, train=taught)
    asked = from_pairs("dev", assembled.dev)
    texts = {one.passage_id: passage_text(one, title=True) for one in load_passages(lake)}
    lists = fused_lists(
        retriever, asked.questions, asked.judgments, texts, tuning.depth, part(progress, 0.8, 1.0)
    )
    found = [one.asked for one in lists]
    return _Plan(
        version,
        tuning,
        assembled,
        asked,
        RerankDev(found, {name: texts[name] for one in found for name in one.candidates}),
        held_out_sets(lake, tested, assembled.temporal, assembled.synthetic),
    )


def _weighed(
    lake: Lake,
    workspace: Workspace,
    plan: _Plan,
    tuned: TunedCrossEncoder,
    name: str,
    progress: Progress | None,
) -> Version | None:
    """The version with the reranker at the weight and depth that the dev questions bear out; None
    where none of them does."""
    tuning = plan.tuning
    reranker = RerankerSpec(
        model=str(tuned.model), max_tokens=tuning.max_tokens, depth=tuning.depth
    )
    made = Version(name, plan.version.spec.with_tables(workspace.root, reranker=reranker))
    if len(plan.asked.questions) < LABELS_NEEDED:
        before, after = tuned.first_stage["MRR@10"], tuned.reranked["MRR@10"]
        return made if after > before else None
    asked = plan.asked
    evidence = score_questions(lake, workspace, made, asked.questions, asked.judgments, progress)
    setting = choose_reranking(evidence, depths_up_to(tuning.depth)).setting
    return Version(name, with_setting(made.spec, setting)) if setting.depth else None
