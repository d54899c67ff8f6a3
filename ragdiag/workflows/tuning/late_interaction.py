"""A version's late interaction, with an adapter that reads better, judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from ragdiag.errors import SpecError
from ragdiag.pipeline import serving_parts
from ragdiag.progress import Progress, part
from ragdiag.records import Passage, Question
from ragdiag.retrieval.adapters import base_hash
from ragdiag.retrieval.hybrid import HybridRetriever
from ragdiag.retrieval.late_interaction import encode_for_reranking, load_late_interaction
from ragdiag.retrieval.models import transformer_folder
from ragdiag.retrieval.vectors import open_cache, passage_text
from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake
from ragdiag.store.training_runs import TrainingRun, find_run
from ragdiag.training.adapters import LoraOptions, check_targets
from ragdiag.training.costs import Clock
from ragdiag.training.data.assemble import Assembled
from ragdiag.training.data.examples import TrainingSet
from ragdiag.training.recording import recorded
from ragdiag.training.reranker.late_interaction import (
    LOOPS,
    LateOptions,
    Method,
    TunedLate,
    begun_from,
    train_late_interaction,
)
from ragdiag.training.reranker.late_lists import FusedList, lists_hash
from ragdiag.training.run_folder import shared_run
from ragdiag.training.runs import Base, Gated, RunFacts
from ragdiag.training.set_files import training_seal
from ragdiag.version import RerankerSpec, Version
from ragdiag.workflows.tuning.candidate_lists import fused_lists
from ragdiag.workflows.tuning.data import LearnFrom, keep_data
from ragdiag.workflows.tuning.requirements import (
    check_rate,
    refuse_taken_name,
    require_apart,
    require_free_name,
)
from ragdiag.workflows.tuning.retriever import NO_STEP_HELPED
from ragdiag.workflows.tuning.run_facts import data_facts
from ragdiag.workflows.tuning.tuned_change import HeldOut
from ragdiag.workflows.tuning.tuned_release import (
    held_out_sets,
    load_test,
    release_tuned,
)


@dataclass(frozen=True)
class LateInteractionTuning:
    """How a version's late interaction is tuned; ``epochs``, ``learning_rate`` and ``lora`` as
    usual unless given. What it learns from are lists, so hard negatives are not mined."""

    learn: LearnFrom = field(default_factory=lambda: LearnFrom(hard=0))
    method: Method = "query-lora"
    epochs: int | None = None
    learning_rate: float | None = None
    lora: LoraOptions | None = None
    save_as: str | None = None

    def __post_init__(self) -> None:
        check_rate(self.learning_rate)

    def options(self, reranker: RerankerSpec) -> LateOptions:
        """For the late interaction of a version; each run begins from its encoder."""
        usual = LOOPS[self.method]
        loop = replace(
            usual,
            epochs=self.epochs or usual.epochs,
            learning_rate=self.learning_rate or usual.learning_rate,
            seed=self.learn.seed,
        )
        begun = LateOptions(begun_from(reranker, self.method), self.method, loop=loop)
        return replace(begun, lora=self.lora or begun.lora)


def tune_late_interaction(
    lake: Lake,
    workspace: Workspace,
    version: Version,
    tuning: LateInteractionTuning,
    progress: Progress | None = None,
) -> TrainingRun | None:
    """Train an adapter for ``version``'s late interaction and leave the version that has it,
    judged: weight, depth and index stay as they are.

    Resumes and returns as :func:`ragdiag.workflows.tuning.retriever.tune_retriever`. Raises
    SpecError for a version without late interaction, TrainingError, ModelError, InputError where
    split and test are one or ``save_as`` is taken, UnknownName.
    """
    reranker = _late_interaction(version)
    clock, seal = Clock(), training_seal(workspace)
    plan = _plan(lake, workspace, version, reranker, tuning, part(progress, 0.0, 0.3))
    require_free_name(lake, workspace, plan.config, tuning.save_as)
    folder, is_first = shared_run(lake, workspace, plan.config)
    if not is_first:
        plan.train(workspace, folder.root)
        return None
    with recorded(lake, folder, "reranker", plan.facts, clock) as recording:
        keep_data(plan.assembled, folder.root, seal)
        told = recording.told(progress)
        tuned = plan.train(workspace, folder.root, part(told, 0.3, 0.8))
        folder.seal()
        artefact = str(tuned.adapter.relative_to(folder.root))
        recording.say(trained=tuned.trained, artefact=artefact)
        if tuned.trained.best_step == 0:
            recording.say(gate=Gated("inconclusive", (NO_STEP_HELPED,)))
        else:
            name = tuning.save_as or f"{version.name}-{folder.run_id}"
            encode_for_reranking(plan.read, tuned.reranker, workspace, part(told, 0.8, 0.85))
            spec = version.spec.with_tables(workspace.root, reranker=tuned.reranker)
            made = Version(name, spec)
            rest = part(told, 0.85, 1.0)
            test = tuning.learn.test
            release_tuned(lake, workspace, recording, version, made, plan.sets, test, rest)
    return find_run(lake, folder.run_id)


def _late_interaction(version: Version) -> RerankerSpec:
    found = version.spec.reranker
    if found is None or found.kind != "late_interaction":
        raise SpecError(
            f"version {version.name} has no late interaction, so there is nothing to tune",
            remedy='add [reranker] kind = "late_interaction" to its spec, build its index and '
            "weigh it: ragdiag reranker tune",
        )
    if not found.weight:
        raise SpecError(
            f"the late interaction of version {version.name} has no say in the order (weight = 0)",
            remedy="weigh it: ragdiag reranker tune",
        )
    return found


@dataclass(frozen=True)
class _Plan:
    """Everything that is settled before the first step; ``asked`` are the dev questions."""

    version: Version
    reranker: RerankerSpec
    tuning: LateInteractionTuning
    assembled: Assembled
    passages: Mapping[str, Passage]
    lists: Sequence[FusedList]
    dev: Sequence[FusedList]
    sets: Sequence[HeldOut]

    def train(
        self, workspace: Workspace, folder: Path, progress: Progress | None = None
    ) -> TunedLate:
        options = self.tuning.options(self.reranker)
        encode_for_reranking(self.read, options.reranker, workspace, part(progress, 0.0, 0.3))
        scorer = load_late_interaction(self.read, options.reranker, open_cache(workspace))
        rest = part(progress, 0.3, 1.0)
        return train_late_interaction(
            self.lists, self.dev, self.texts, scorer, options, folder, rest
        )

    @property
    def read(self) -> list[Passage]:
        """What late interaction reads."""
        return list(self.passages.values())

    @cached_property
    def texts(self) -> dict[str, str]:
        """Passage → what the reranker reads of it."""
        return {name: passage_text(one, title=True) for name, one in self.passages.items()}

    @property
    def base(self) -> Base:
        spec = self.tuning.options(self.reranker).reranker
        return Base(Path(spec.model).name, base_hash(spec.model, spec.adapter))

    @property
    def config(self) -> dict[str, Any]:
        """What tells one run from another."""
        return {
            "kind": "late_interaction",
            "version": self.version.version_id,
            "tuning": asdict(replace(self.tuning, save_as=None, learn=self.tuning.learn.shaping)),
            "base": self.base.sha256,
            "data": lists_hash(self.lists, self.texts),
            "dev": lists_hash(self.dev, self.texts),
        }

    @property
    def facts(self) -> RunFacts:
        loop = self.tuning.options(self.reranker).loop
        return RunFacts(
            base=self.base,
            method=self.tuning.method,
            version=self.version.name,
            split=self.tuning.learn.learnt_split,
            options={**asdict(self.tuning), "loop": asdict(loop)},
            data=data_facts(self.assembled, len(self.dev), self.sets),
        )


def _plan(
    lake: Lake,
    workspace: Workspace,
    version: Version,
    reranker: RerankerSpec,
    tuning: LateInteractionTuning,
    progress: Progress | None,
) -> _Plan:
    require_apart(tuning.learn.split, tuning.learn.test)
    refuse_taken_name(lake, tuning.save_as)
    tested = load_test(lake, tuning.learn.test)
    check_targets(transformer_folder(reranker.model), tuning.options(reranker).lora)
    index, passages = serving_parts(lake, workspace, version)
    first_stage = version.spec.model_copy(update={"reranker": None})
    retriever = HybridRetriever(index, first_stage)
    assembled = tuning.learn.assembled(
        lake, retriever, title=True, progress=part(progress, 0.0, 0.4)
    )
    lists, dev = (
        _lists(retriever, one, passages, reranker.depth, part(progress, start, start + 0.3))
        for one, start in ((assembled.train, 0.4), (assembled.dev, 0.7))
    )
    return _Plan(
        version,
        reranker,
        tuning,
        assembled,
        passages,
        lists,
        dev,
        held_out_sets(lake, tested, assembled.temporal, assembled.synthetic),
    )


def _lists(
    retriever: HybridRetriever,
    data: TrainingSet,
    passages: Mapping[str, Passage],
    depth: int,
    progress: Progress | None,
) -> list[FusedList]:
    """Of every wording of the questions of ``data``; one weighs as its heaviest pair."""
    weights: dict[tuple[str, str], float] = {}
    for pair in data.pairs:
        key = pair.question_id, pair.question
        weights[key] = max(pair.weight, weights.get(key, 0.0))
    grades = {name: dict.fromkeys(golds, 1) for name, golds in data.positives.items()}
    questions = [Question(name, text) for name, text in weights]
    found = fused_lists(retriever, questions, grades, passages, depth, progress)
    return [
        replace(one, weight=weight) for one, weight in zip(found, weights.values(), strict=True)
    ]
