"""A reader or a generator of one's own for a version: trained, measured, judged."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ragdiag.generation.loading import model_folder
from ragdiag.progress import Progress, part
from ragdiag.retrieval.models import weights_hash
from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake
from ragdiag.store.training_runs import TrainingRun, find_run
from ragdiag.training.answers.examples import AnswerParts, split_answers
from ragdiag.training.answers.located import AnswerExample, Refused
from ragdiag.training.costs import Clock
from ragdiag.training.recording import recorded
from ragdiag.training.run_folder import shared_run
from ragdiag.training.runs import Base, Data, Gated, RunFacts
from ragdiag.training.set_files import training_seal
from ragdiag.version import Version
from ragdiag.workflows.tuning.answer_holdout import made_questions, unasked_reason
from ragdiag.workflows.tuning.answer_options import (
    GeneratorTuning,
    Learned,
    ReaderTuning,
    version_answers,
)
from ragdiag.workflows.tuning.answer_release import release_generator, require_test_answers
from ragdiag.workflows.tuning.requirements import (
    refuse_taken_name,
    require_apart,
    require_free_name,
)
from ragdiag.workflows.tuning.retriever import NO_STEP_HELPED

Tuning = ReaderTuning | GeneratorTuning


def tune_answers(
    lake: Lake,
    workspace: Workspace,
    version: Version,
    tuning: Tuning,
    progress: Progress | None = None,
) -> TrainingRun | None:
    """Train the model on what ``version`` packs for the questions of a split, and leave the version
    that has it as its generator beside the old one, judged.

    Resumes and returns as :func:`ragdiag.workflows.tuning.retriever.tune_retriever`. Raises
    TrainingError, ModelError, InputError where split and test are one or ``save_as`` is taken,
    UnknownName for a test split without gold answers.
    """
    tuning.check()
    clock, seal = Clock(), training_seal(workspace)
    plan = _plan(lake, workspace, version, tuning, part(progress, 0.0, 0.15))
    require_free_name(lake, workspace, plan.config, tuning.save_as)
    folder, is_first = shared_run(lake, workspace, plan.config)
    if not is_first:
        plan.train(folder.root)
        return None
    with recorded(lake, folder, tuning.kind, plan.facts, clock) as recording:
        plan.parts.save(folder.root, seal)
        told = recording.told(progress)
        learned = plan.train(folder.root, part(told, 0.15, 0.6))
        folder.seal()
        made = folder.adapter if folder.adapter.is_dir() else folder.model
        refused = (*plan.refused, *learned.refused)
        recording.say(trained=learned.trained, artefact=made.name, data=plan.data_without(refused))
        if learned.trained.best_step == 0:
            recording.say(gate=Gated("inconclusive", (NO_STEP_HELPED,)))
        else:
            name = tuning.save_as or f"{version.name}-{folder.run_id}"
            spec = version.spec.with_tables(workspace.root, generator=learned.generator)
            tuned, learn, rest = Version(name, spec), tuning.learn, part(told, 0.6, 1.0)
            release_generator(
                lake,
                workspace,
                recording,
                version,
                tuned,
                learn.test,
                learn.metric,
                plan.variants,
                rest,
            )
    return find_run(lake, folder.run_id)


@dataclass(frozen=True)
class _Plan:
    """Everything that is settled before the first step; ``tested`` counts the test questions."""

    version: Version
    tuning: Tuning
    parts: AnswerParts
    refused: tuple[Refused, ...]
    tested: int

    def train(self, folder: Path, progress: Progress | None = None) -> Learned:
        return self.tuning.train(self.parts, folder, progress)

    @property
    def variants(self) -> list[AnswerExample]:
        """What the dev questions are asked as besides; none where that would be paid for."""
        if unasked_reason(self.version) is not None:
            return []
        return made_questions(self.parts.dev, self.tuning.learn.seed)

    @property
    def base(self) -> Base:
        return Base(Path(self.tuning.base).name, weights_hash(self.tuning.base))

    @property
    def config(self) -> dict[str, Any]:
        return {
            "kind": self.tuning.kind,
            "version": self.version.version_id,
            "tuning": asdict(replace(self.tuning, save_as=None)),
            "base": self.base.sha256,
            "data": self.parts.data_hash,
        }

    @property
    def facts(self) -> RunFacts:
        return RunFacts(
            base=self.base,
            method=self.tuning.method,
            version=self.version.name,
            split=self.tuning.learn.split,
            options={**asdict(self.tuning), "loop": asdict(self.tuning.loop)},
            data=self.data_without(self.refused),
        )

    def data_without(self, refused: tuple[Refused, ...]) -> Data:
        train = self.parts.train
        return Data(
            self.parts.data_hash,
            len(train),
            by_source=Counter("answered" if one.answers else "declined" for one in train),
            held_out={
                "dev": len(self.parts.dev),
                "test": self.tested,
                "synthetic": len(self.variants),
            },
            refused=Counter(one.reason for one in refused),
        )


def _plan(
    lake: Lake,
    workspace: Workspace,
    version: Version,
    tuning: Tuning,
    progress: Progress | None,
) -> _Plan:
    require_apart(tuning.learn.split, tuning.learn.test)
    tested = require_test_answers(lake, tuning.learn.test)
    refuse_taken_name(lake, tuning.save_as)
    # As a version names it, from whichever folder that is opened.
    tuning = replace(tuning, base=str(model_folder(tuning.base).resolve()))
    data = version_answers(lake, workspace, version, tuning.answers, progress)
    parts = split_answers(data, tuning.answers)
    return _Plan(version, tuning, parts, data.refused, tested)
