"""Is it the index? What the runbooks' ``ragdiag index diagnose`` measures.

Judged questions are put to the build that serves and to the one before it, path by path, and
passages are embedded again. Both samples are the same every time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ragdiag.deploy.canary import look_at_embeddings
from ragdiag.deploy.health import cannot_answer, findable_ids, open_build
from ragdiag.deploy.questions import NOISE
from ragdiag.deploy.sampling import Asked, load_owners, sample_judged, sample_positions
from ragdiag.deploy.soundness import Target, look_before_loading
from ragdiag.errors import RagdiagError
from ragdiag.metrics.ranking import score_ranking
from ragdiag.progress import Progress, part, report
from ragdiag.records import Estimate, Finding
from ragdiag.retrieval.builds import Index, build_ids
from ragdiag.retrieval.embed import load_embedder
from ragdiag.retrieval.hybrid import HybridRetriever
from ragdiag.retrieval.serving import read_publications, require_serving, standing
from ragdiag.settings import Workspace
from ragdiag.stats.bootstrap import bounded_mean
from ragdiag.stats.paired import PairedComparison, compare_paired, holm
from ragdiag.store.corpus import load_build_passages
from ragdiag.store.lake import Lake
from ragdiag.store.results import list_builds, pruned_times
from ragdiag.version import Version

QUESTIONS = 100
PASSAGES = 50
METRICS = ("recall@10", "MRR@10")
PATHS = ("lexical", "dense", "fused")

Scores = Mapping[str, Mapping[str, Sequence[float]]]
"""Path → metric → one value a question."""

Means = Mapping[str, Mapping[str, Estimate]]
"""Path → metric → mean over the questions."""


@dataclass(frozen=True)
class Opened:
    """A loaded build and what asks it."""

    index: Index
    retriever: HybridRetriever


@dataclass(frozen=True)
class IndexDiagnosis:
    """Over ``n`` judged questions: ``paths`` of this build, ``before`` of the one before, and
    ``compared``, (path, metric) → this − before. ``embeddings``: cosines and norms of passages
    embedded again."""

    version: str
    build_id: str
    previous_id: str | None
    n: int
    paths: Means
    before: Means
    compared: Mapping[tuple[str, str], PairedComparison]
    embeddings: Mapping[str, Any]
    findings: tuple[Finding, ...]

    @property
    def is_bad(self) -> bool:
        return any(finding.status == "bad" for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        return {
            "version": self.version,
            "build_id": self.build_id,
            "previous_build_id": self.previous_id,
            "n": self.n,
            "paths": _plain(self.paths),
            "previous": _plain(self.before),
            "differences": {
                path: {
                    metric: self.compared[path, metric].difference.to_json() for metric in METRICS
                }
                for path in sorted({path for path, _ in self.compared})
            },
            "embeddings": dict(self.embeddings),
            "findings": [asdict(finding) for finding in self.findings],
        }


def diagnose_index(
    lake: Lake, workspace: Workspace, version: Version, progress: Progress | None = None
) -> IndexDiagnosis:
    """Measure the build that serves ``version`` against the one before, and against its model.

    A build that cannot be loaded is a finding. Raises UnknownName where nothing serves.
    """
    target = Target(version, require_serving(lake, workspace, version))
    previous, unmeasured = _previous(lake, workspace, target)
    opened, findings = _open(lake, workspace, target)
    findings += unmeasured
    older = None
    if previous is not None:
        older, faults = _open(lake, workspace, Target(version, previous))
        bad = [one for one in faults if one.status == "bad"]
        findings += [Finding(one.what, "warn", one.remedy, "previous") for one in bad]
    asked = _askable(lake, opened, older)
    report(progress, 0.0, f"asking {len(asked)} judged questions")
    now = _measure(opened, asked, part(progress, 0.0, 0.4))
    before = _measure(older, asked, part(progress, 0.4, 0.8))
    owners = load_owners(lake, asked)
    compared = _compare(before, now, [owners[one.question_id] for one, _ in asked])
    embeddings, again = _embed_again(lake, workspace, target, opened)
    report(progress, 1.0, "diagnosed")
    return IndexDiagnosis(
        version=version.name,
        build_id=target.build_id,
        previous_id=previous,
        n=len(asked),
        paths=_means(now),
        before=_means(before),
        compared=compared,
        embeddings=embeddings,
        findings=(*findings, *again, *_unasked(asked), *_losses(compared, target, previous)),
    )


def _previous(lake: Lake, workspace: Workspace, target: Target) -> tuple[str | None, list[Finding]]:
    """The build that served before; where nothing was published, the newest but one. What was
    pruned is left out, and said where nothing else is left: no build brings it back."""
    index_key = target.version.spec.index_key
    publications = read_publications(workspace, index_key)
    if publications is None:
        ids = [one.build_id for one in list_builds(lake, index_key)]
    else:
        ids = [one.build_id for one in reversed(standing(publications))]
    # Who rolls back meanwhile takes the target itself out of the list.
    older = ids[ids.index(target.build_id) + 1 :] if target.build_id in ids else []
    older = [one for one in older if one != target.build_id]
    pruned = pruned_times(lake)
    before = next((one for one in older if one not in pruned), None)
    if before is not None or not older:
        return before, []
    what = f"build {older[0]}, the one before, was pruned: there is nothing to compare with"
    return None, [Finding(what, "warn", "nothing until another build is published", "previous")]


def _open(lake: Lake, workspace: Workspace, target: Target) -> tuple[Opened | None, list[Finding]]:
    """The loaded build, or None with a bad finding."""
    findings = look_before_loading(workspace, target)
    if cannot_answer(findings):
        return None, findings
    try:
        return Opened(*open_build(lake, workspace, target)), findings
    except RagdiagError as error:
        return None, [*findings, Finding(error.message, "bad", error.remedy, "loads")]


def _askable(lake: Lake, opened: Opened | None, older: Opened | None) -> list[Asked]:
    """Judged questions with the gold that anybody may find. What left the corpus, or is for some
    readers only by now, is no loss of the build; what the build before had and this one lacks
    is."""
    if opened is None:
        return sample_judged(lake, QUESTIONS)
    held = findable_ids(opened.index)
    if older is not None:
        held |= findable_ids(older.index) - {*opened.index.passage_ids}
    return [
        (question, {name: grade for name, grade in grades.items() if name in held})
        for question, grades in sample_judged(lake, QUESTIONS, held)
    ]


def _measure(opened: Opened | None, asked: Sequence[Asked], progress: Progress) -> Scores:
    """Every path's first ten against gold; nothing of a build that could not be opened."""
    if opened is None:
        return {}
    scores: dict[str, dict[str, list[float]]] = {}
    for number, (question, grades) in enumerate(asked, start=1):
        retrieved = opened.retriever.retrieve(question.text)
        for path in PATHS:
            hits = getattr(retrieved, path)
            if hits is not None:
                scored = score_ranking(hits[:10], grades)
                for metric in METRICS:
                    scores.setdefault(path, {}).setdefault(metric, []).append(scored[metric])
        progress(number / len(asked), f"asked {number} of {len(asked)}")
    return scores


def _compare(
    before: Scores, now: Scores, owners: Sequence[str]
) -> dict[tuple[str, str], PairedComparison]:
    """(path, metric) → this build against the one before, question by question; those that share
    an owner, the document of their gold, belong together."""
    return {
        (path, metric): compare_paired(before[path][metric], values, clusters=owners)
        for path, of_path in now.items()
        if path in before
        for metric, values in of_path.items()
    }


def _unasked(asked: Sequence[Asked]) -> list[Finding]:
    if asked:
        return []
    remedy = "import judged questions: ragdiag import gold PATH"
    return [Finding("there is no judged question to ask", "warn", remedy, "questions")]


def _losses(
    compared: Mapping[tuple[str, str], PairedComparison], target: Target, previous: str | None
) -> list[Finding]:
    """Worse than before beyond chance: t by documents, Holm over every path and metric, 5 %."""
    corrected = holm([one.p for one in compared.values()])
    found = [
        Finding(
            f"{metric} of the {path} path is {one.difference.value:+.3f} against build {previous} "
            f"(p = {p:.4f} after Holm over {len(compared)})",
            "bad",
            f"go back: ragdiag index rollback {target.version.name}",
            "questions",
        )
        for ((path, metric), one), p in zip(compared.items(), corrected, strict=True)
        if p < NOISE and one.difference.value < 0
    ]
    if found or not compared:
        return found
    what = f"no path finds less gold than in build {previous}, beyond chance"
    return [Finding(what, "good", name="questions")]


def _embed_again(
    lake: Lake, workspace: Workspace, target: Target, opened: Opened | None
) -> tuple[dict[str, Any], list[Finding]]:
    spec = target.version.spec.embedder
    if opened is None or opened.index.ann is None or spec is None:
        return {}, []
    pairs = build_ids(workspace, target.build_id)
    places = sample_positions(len(pairs), PASSAGES)
    passages = load_build_passages(lake, [pairs[at] for at in places])
    encoder = load_embedder(spec)
    found, measured = look_at_embeddings(opened.index, encoder, places, passages, target)
    return {**measured, "model_hash": encoder.model_hash}, [found]


def _means(scores: Scores) -> Means:
    return {
        path: {metric: bounded_mean(values, 0, 1) for metric, values in of_path.items()}
        for path, of_path in scores.items()
    }


def _plain(means: Means) -> dict[str, dict[str, Any]]:
    return {
        path: {metric: value.to_json() for metric, value in of_path.items()}
        for path, of_path in means.items()
    }
