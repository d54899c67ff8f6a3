"""One retriever of several: the mean of the weights of runs, named by their ids, and its verdict.

It is measured and judged as a run that trained is, on questions that none of its parts has learnt.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ragdiag.errors import TrainingError
from ragdiag.progress import Progress, part
from ragdiag.retrieval.serving import require_serving
from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake
from ragdiag.store.results import find_version
from ragdiag.store.training_runs import TrainingRun, find_run
from ragdiag.training.costs import Clock
from ragdiag.training.data.examples import Pair, TrainingSet, mixed
from ragdiag.training.data.leaks import check_leaks
from ragdiag.training.data.sets import load_set, save_set
from ragdiag.training.data.similarity import (
    DUPLICATE_PASSAGE,
    DUPLICATE_QUESTION,
    NearDuplicates,
    passage_shingles,
    question_shingles,
)
from ragdiag.training.recording import recorded
from ragdiag.training.retriever.averaging import average_models
from ragdiag.training.retriever.bi_encoder import whole_model
from ragdiag.training.run_folder import RunFolder, begin_run, run_folder
from ragdiag.training.runs import Data, RunFacts, facts_of
from ragdiag.training.set_files import training_seal
from ragdiag.version import EmbedderSpec, Version
from ragdiag.workflows.tuning.requirements import require_free_name
from ragdiag.workflows.tuning.tuned_change import HeldOut
from ragdiag.workflows.tuning.tuned_release import (
    clustered,
    from_pairs,
    held_out_sets,
    load_test,
    release_tuned,
)
from ragdiag.workflows.tuning.tuned_version import build_tuned_index, reweighed, tuned_version


@dataclass(frozen=True)
class _Part:
    """A run whose model goes into the mean."""

    run_id: str
    facts: RunFacts
    folder: RunFolder
    version: Version

    @property
    def embedder(self) -> EmbedderSpec:
        embedder = self.version.spec.embedder
        assert embedder is not None
        return embedder

    def learnt(self) -> TrainingSet:
        return load_set(self.folder.root, "train")

    def asked(self, lake: Lake) -> HeldOut:
        """The questions that steered it, which it has not learnt."""
        return clustered(lake, from_pairs("dev", load_set(self.folder.root, "dev")))


def average_retrievers(
    lake: Lake,
    workspace: Workspace,
    run_ids: Sequence[str],
    save_as: str | None = None,
    progress: Progress | None = None,
) -> TrainingRun:
    """Average the models of ``run_ids`` (methods "lora" and "full") and leave the result beside the
    version that they tuned, judged; the run as the registry has it.

    Its paths are weighed by the dev questions of every part, each ranked by a part that has not
    learnt it (cross-fitting): there are more of them than of those that no part has learnt.

    Raises UnknownName, for a part without an index too; InputError where ``save_as`` is taken;
    TrainingError for fewer than two runs, one that made no version or one with other files than it
    made, and runs of another version, base or test split.
    """
    clock = Clock()
    parts = [_part(lake, workspace, run_id) for run_id in dict.fromkeys(run_ids)]
    _refuse_unlike(parts)
    first = parts[0].facts
    version = find_version(lake, first.version)
    test = str(_test(first))
    learnt = _together([one.learnt() for one in parts])
    held = {
        name: _unseen(load_set(parts[0].folder.root, name), learnt)
        for name in ("dev", "temporal", "synthetic")
    }
    sets = held_out_sets(lake, load_test(lake, test), held["temporal"], held["synthetic"])
    asked = clustered(lake, from_pairs("dev", held["dev"]))
    ids = sorted(one.run_id for one in parts)
    facts = RunFacts(
        base=first.base,
        method="average",
        version=first.version,
        split=first.split,
        options={"runs": ids, "learn": {"test": test}},
        data=Data(
            learnt.data_hash,
            len(learnt.pairs),
            by_source=Counter(pair.source for pair in learnt.pairs),
            held_out={"dev": len(asked.questions), **{s.name: len(s.questions) for s in sets}},
        ),
    )
    config = {"kind": "average", "version": version.version_id, "runs": ids}
    require_free_name(lake, workspace, config, save_as)
    folder = begin_run(lake, workspace, config)
    with recorded(lake, folder, "retriever", facts, clock) as recording:
        for name, kept in {"train": learnt, **held}.items():
            save_set(folder.root, kept, name, training_seal(workspace))
        told = recording.told(progress)
        average_models([one.embedder for one in parts], folder.model, part(told, 0.0, 0.1))
        folder.seal()
        recording.say(artefact=folder.model.name)
        called = save_as or f"{version.name}-{folder.run_id}"
        made = tuned_version(workspace, version, whole_model(folder.model), called)
        build_tuned_index(lake, workspace, version, made, part(told, 0.1, 0.6))
        heard = [(one.version, one.asked(lake)) for one in parts]
        made = reweighed(lake, workspace, made, heard)
        release_tuned(lake, workspace, recording, version, made, sets, test, part(told, 0.6, 1.0))
    return find_run(lake, folder.run_id)


def _part(lake: Lake, workspace: Workspace, run_id: str) -> _Part:
    run = find_run(lake, run_id)
    facts = facts_of(run)
    if run.kind != "retriever" or facts.candidate is None or facts.method == "query-lora":
        raise TrainingError(
            f"training run {run_id} ({run.kind}, {facts.method}) made no encoder of passages",
            remedy="name runs of tune retriever --method lora or full that made a version",
        )
    folder = run_folder(workspace, run_id)
    folder.verify()
    version = find_version(lake, facts.candidate.version_id)
    require_serving(lake, workspace, version)
    return _Part(run_id, facts, folder, version)


def _refuse_unlike(parts: Sequence[_Part]) -> None:
    if len(parts) < 2:
        raise TrainingError("one run is its own mean", remedy="name two runs or more")
    first = parts[0]
    for one in parts[1:]:
        for what, ours, its in (
            ("another version", first.facts.version, one.facts.version),
            ("another base", first.facts.base.sha256, one.facts.base.sha256),
            ("another test split", _test(first.facts), _test(one.facts)),
        ):
            if ours != its:
                raise TrainingError(
                    f"training run {one.run_id} is of {what} than {first.run_id}",
                    remedy="average runs of one version that are tested on the same questions",
                )


def _test(facts: RunFacts) -> object:
    return facts.options["learn"]["test"]


def _together(sets: Sequence[TrainingSet]) -> TrainingSet:
    """What any of them has, once: every wording of a question with the text that answers it."""
    every = mixed(sets)
    pairs: dict[tuple[str, str], Pair] = {}
    for pair in every.pairs:
        pairs.setdefault((pair.question, every.texts[pair.passage_id]), pair)
    return TrainingSet(list(pairs.values()), every.texts)


def _unseen(held: TrainingSet, learnt: TrainingSet) -> TrainingSet:
    """What of ``held`` asks nothing that was learnt or nearly so, and has no gold passage that was
    or nearly so: the parts may have split their pairs differently. A sentence of the corpus knows
    no label, so its passage may be a gold one."""
    labelled = replace(learnt, pairs=[p for p in learnt.pairs if p.source != "sentence"])
    questions = NearDuplicates(
        {pair.question: question_shingles(pair.question) for pair in learnt.pairs},
        DUPLICATE_QUESTION,
    )
    golds = {pair.passage_id for pair in labelled.pairs}
    passages = NearDuplicates(
        {name: passage_shingles(learnt.texts[name]) for name in golds}, DUPLICATE_PASSAGE
    )
    pairs = [
        pair
        for pair in held.pairs
        if pair.question_id not in learnt.positives
        and pair.passage_id not in golds
        and not any(questions.of(question_shingles(pair.question)))
        and not any(passages.of(passage_shingles(held.texts[pair.passage_id])))
    ]
    kept = replace(held, pairs=pairs)
    check_leaks(labelled, kept)
    return kept
