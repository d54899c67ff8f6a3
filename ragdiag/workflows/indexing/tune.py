"""Sweep index settings over a version's corpus with real questions, and keep what was measured.

Every setting's trials are saved as they are made. A sweep of the same corpus, questions and aim
that was interrupted goes on where it stopped; its times then come from two runs.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version as installed_version
from typing import Any

import numpy as np

from ragdiag.errors import IndexFault, InputError, SpecError
from ragdiag.progress import Progress, part, report
from ragdiag.records import Estimate
from ragdiag.retrieval.ann.tuning import (
    Objective,
    Task,
    Trial,
    choose,
    make_task,
    settings,
    try_setting,
    with_effort,
)
from ragdiag.retrieval.embed import load_embedder, load_question_encoder
from ragdiag.retrieval.vectors import embed_passages, open_cache
from ragdiag.settings import Workspace
from ragdiag.store.corpus import corpus_hash, load_passages, load_questions
from ragdiag.store.lake import Lake
from ragdiag.store.tunings import load_trials, save_trials, save_tuning
from ragdiag.version import AnnSpec, Spec, Version
from ragdiag.workflows.chosen_versions import refuse_others_name, save_spec, saved_line

KINDS = ("flat", "flat_sq8", "hnsw", "hnsw_sq8", "ivf_pq", "opq", "rabitq")
SEED = 0


@dataclass(frozen=True)
class Aim:
    """recall@``k`` whose lower 95 % bound must reach ``target``, at the least ``objective``."""

    k: int = 10
    target: float = 0.95
    objective: Objective = "latency"
    questions: int = 500
    kinds: Sequence[str] = KINDS


@dataclass(frozen=True)
class TunedIndex:
    """``chosen`` is None where no setting reaches the target; ``skipped`` says which kinds could
    not be built, and why."""

    version: Version
    tuning_id: str
    aim: Aim
    passages: int
    questions: int
    trials: Sequence[Trial]
    chosen: Trial | None
    skipped: Mapping[str, str]
    saved: Version | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "version": self.version.name,
            "tuning_id": self.tuning_id,
            "k": self.aim.k,
            "target": self.aim.target,
            "objective": self.aim.objective,
            "passages": self.passages,
            "questions": self.questions,
            "machine": f"{platform.machine()}, {platform.system()}",
            "chosen": None if self.chosen is None else trial_to_json(self.chosen),
            "skipped": dict(self.skipped),
            "saved": None if self.saved is None else self.saved.name,
            "trials": [trial_to_json(trial) for trial in self.trials],
        }

    def to_text(self) -> str:
        lines = [
            f"{len(self.trials)} settings over {self.passages} passages, {self.questions} "
            f"questions, recall@{self.aim.k} ≥ {self.aim.target:g}, least {self.aim.objective}",
            *(f"  left out: {kind}: {why}" for kind, why in self.skipped.items()),
        ]
        if self.chosen is None:
            best = max(self.trials, key=lambda trial: trial.recall.low)
            return "\n".join([*lines, "no setting reaches the target; the nearest:", _line(best)])
        lines += ["chosen:", _line(self.chosen)]
        if self.saved is not None:
            lines.append(saved_line(self.version, self.saved))
        return "\n".join(lines)


def tune_index(
    lake: Lake,
    workspace: Workspace,
    version: Version,
    aim: Aim,
    *,
    save_as: str | None = None,
    progress: Progress | None = None,
) -> TunedIndex:
    """Try the settings of ``aim.kinds`` for ``version``, keep every trial, and keep the choice as a
    version named ``save_as``.

    Raises SpecError for a version without embedder, InputError without questions or where nothing
    can be built, IndexFault on an empty corpus.
    """
    refuse_others_name(lake, save_as, version, "ann")
    task, tuning_id = _prepare(lake, workspace, version, aim, part(progress, 0.0, 0.4))
    trials, skipped = _sweep(lake, task, version.spec.ann, tuning_id, aim, part(progress, 0.4, 1))
    if not trials:
        raise InputError(
            f"nothing can be built ({'; '.join(skipped.values())})",
            remedy="name other kinds with --kinds",
        )
    chosen = choose(trials, aim.target, aim.objective)
    saved = None
    if chosen is not None:
        tuned: Spec = version.spec.model_copy(update={"ann": chosen.spec})
        saved = save_spec(lake, save_as, tuned)
    found = TunedIndex(
        version,
        tuning_id,
        aim,
        len(task.vectors),
        len(task.questions),
        trials,
        chosen,
        skipped,
        saved,
    )
    save_tuning(lake, tuning_id, version.version_id, found.to_json())
    return found


def trial_to_json(trial: Trial) -> dict[str, Any]:
    return {
        "ann": trial.spec.model_dump(mode="json"),
        "recall": trial.recall.to_json(),
        "confirmed": trial.confirmed.to_json(),
        "p50_ms": trial.p50_ms.to_json(),
        "p95_ms": trial.p95_ms.to_json(),
        "bytes_per_vector": trial.bytes_per_vector,
        "build_seconds": trial.build_seconds,
    }


def trial_from_json(document: Mapping[str, Any]) -> Trial:
    return Trial(
        spec=AnnSpec.model_validate(document["ann"]),
        recall=Estimate.from_json(document["recall"]),
        confirmed=Estimate.from_json(document["confirmed"]),
        p50_ms=Estimate.from_json(document["p50_ms"]),
        p95_ms=Estimate.from_json(document["p95_ms"]),
        bytes_per_vector=document["bytes_per_vector"],
        build_seconds=document["build_seconds"],
    )


def _prepare(
    lake: Lake, workspace: Workspace, version: Version, aim: Aim, progress: Progress | None
) -> tuple[Task, str]:
    """The task, and the name of what is swept: by corpus, model, questions and what decides a
    trial's numbers."""
    spec = version.spec
    if spec.embedder is None:
        raise SpecError(
            f"version {version.name} has no [embedder], so it has no vector index",
            remedy="name a version with a dense path",
        )
    if spec.ann.engine == "milvus":
        raise SpecError(
            f"version {version.name} keeps its vectors in Milvus, and the sweep measures FAISS",
            remedy='tune a version with engine = "faiss"; m and ef_construction hold for both',
        )
    passages = load_passages(lake)
    if not passages:
        raise IndexFault("the corpus is empty", remedy="run: ragdiag import corpus PATH")
    texts = sorted({question.text for question in load_questions(lake)})
    if not texts:
        raise InputError(
            "there is no question to search with",
            remedy="import some: ragdiag import gold PATH, or: ragdiag import beir DIR",
        )
    drawn = np.random.default_rng(SEED).permutation(len(texts))[: aim.questions]
    texts = [texts[at] for at in drawn]
    embedder = load_embedder(spec.embedder)
    vectors = embed_passages(passages, embedder, open_cache(workspace), part(progress, 0, 0.9))
    encoder = load_question_encoder(spec.embedder)
    questions = encoder.encode(texts, part(progress, 0.9, 1))
    task = make_task(vectors, questions, aim.k, spec.candidates.depth)
    shape = spec.ann.model_dump(mode="json", include={"refine", "code_bytes", "nlist", "reduce"})
    identity = [
        corpus_hash(passages),
        encoder.model_hash,
        texts,
        aim.k,
        task.depth,
        shape | {"dimensions": spec.ann.dimensions},
        installed_version("faiss-cpu"),
    ]
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
    return task, digest[:12]


def _sweep(
    lake: Lake,
    task: Task,
    spec: AnnSpec,
    tuning_id: str,
    aim: Aim,
    progress: Progress | None,
) -> tuple[list[Trial], dict[str, str]]:
    known = [trial_from_json(document) for document in load_trials(lake, tuning_id)]
    trials: list[Trial] = []
    skipped: dict[str, str] = {}
    planned = settings(spec, aim.kinds)
    for number, setting in enumerate(planned, start=1):
        done = [
            # Shards and memory change no trial's numbers, and are the version's own.
            replace(trial, spec=with_effort(setting, trial.spec))
            for trial in known
            if _same_build(trial.spec, setting)
        ]
        if not done and setting.kind not in skipped:
            try:
                done = try_setting(task, setting)
            except IndexFault as fault:
                skipped[setting.kind] = fault.message
            else:
                save_trials(lake, tuning_id, [trial_to_json(trial) for trial in done])
        trials += done
        report(progress, number / len(planned), f"tried {number} of {len(planned)} indexes")
    return trials, skipped


def _same_build(one: AnnSpec, other: AnnSpec) -> bool:
    shaping = ("kind", "m", "ef_construction")
    return all(getattr(one, name) == getattr(other, name) for name in shaping)


def describe_setting(spec: AnnSpec) -> str:
    """A setting in words.

    >>> describe_setting(AnnSpec(kind="hnsw", m=16, ef_construction=100, ef_search=64))
    'hnsw m 16, ef_construction 100, ef_search 64'
    """
    if spec.kind == "flat":
        return "flat"
    if spec.kind in ("hnsw", "hnsw_sq8"):
        own = f"m {spec.m}, ef_construction {spec.ef_construction}, ef_search {spec.ef_search}"
    else:
        own = f"nprobe {spec.nprobe}, refine {spec.refine} × {spec.refine_factor}"
    return f"{spec.kind} {own}"


def _line(trial: Trial) -> str:
    recall, confirmed = trial.recall, trial.confirmed
    return (
        f"  {describe_setting(trial.spec)}: recall {recall.value:.3f} "
        f"({recall.low:.3f}–{recall.high:.3f}), on the other questions {confirmed.value:.3f} "
        f"({confirmed.low:.3f}–{confirmed.high:.3f}), p95 {trial.p95_ms.value:.2f} ms, "
        f"{trial.bytes_per_vector:.0f} bytes a vector, built in {trial.build_seconds:.1f} s"
    )
