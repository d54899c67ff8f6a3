"""The version that comes of a tuned embedder: its spec, its index, and the weight of its paths."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from ragdiag.errors import TrainingError
from ragdiag.pipeline import serving_index, serving_passages
from ragdiag.progress import Progress
from ragdiag.retrieval.builds import build_ids
from ragdiag.retrieval.fusion_tuning import LABELS_NEEDED, Evidence, adjust_alpha
from ragdiag.retrieval.hybrid import HybridRetriever
from ragdiag.retrieval.serving import require_serving
from ragdiag.settings import Workspace
from ragdiag.store.corpus import removed_passages
from ragdiag.store.lake import Lake
from ragdiag.version import Version
from ragdiag.workflows.indexing.build import build_version_index
from ragdiag.workflows.tuning.tuned_change import HeldOut


def tuned_version(
    workspace: Workspace, version: Version, embedder: Mapping[str, str | None], name: str
) -> Version:
    """``version`` with what came of training in its ``[embedder]``."""
    assert version.spec.embedder is not None
    changed = version.spec.embedder.model_copy(update=dict(embedder))
    return Version(name, version.spec.with_tables(workspace.root, embedder=changed))


def build_tuned_index(
    lake: Lake,
    workspace: Workspace,
    version: Version,
    tuned: Version,
    progress: Progress | None = None,
) -> None:
    """The index of ``tuned``, which comes of ``version``: over the passages that serve ``version``,
    whatever has come into the corpus since, so that they differ by tuning alone. Where one index
    serves both, what serves goes on: which build that is, is for whoever runs ``version`` to say.
    """
    if tuned.spec.index_key != version.spec.index_key:
        served = serving_passages(lake, workspace, version)
        gone = removed_passages(lake, list(served))
        kept = [one for name, one in served.items() if name not in gone]
        build_version_index(lake, workspace, tuned, progress, passages=kept)


@contextmanager
def same_passages(
    lake: Lake, workspace: Workspace, version: Version, tuned: Version
) -> Iterator[None]:
    """Measure both while this lasts. Raises TrainingError where the builds that serve them hold
    other passages, or others begin to serve: what is measured would not be tuning alone."""
    other = TrainingError(
        f"another index has begun to serve {version.name} or {tuned.name}, so that they cannot be "
        "compared",
        remedy="start the same command again: it goes on",
    )
    began = _serving(lake, workspace, version, tuned)
    ours, theirs = (_contents(lake, workspace, build) for build in began)
    if ours != theirs:
        raise other
    yield
    if _serving(lake, workspace, version, tuned) != began:
        raise other


def _serving(lake: Lake, workspace: Workspace, *versions: Version) -> list[str]:
    return [require_serving(lake, workspace, one) for one in versions]


def _contents(lake: Lake, workspace: Workspace, build_id: str) -> dict[str, str]:
    """Passage → content hash, of those that can be found."""
    held = dict(build_ids(workspace, build_id))
    gone = removed_passages(lake, list(held))
    return {name: content for name, content in held.items() if name not in gone}


def reweighed(
    lake: Lake, workspace: Workspace, tuned: Version, asked: Sequence[tuple[Version, HeldOut]]
) -> Version:
    """``tuned`` with the weight of the paths moved as far as questions show that a version was not
    trained on, each ranked by that version: those that it was trained on it ranks better than any
    new one. The weight stays where they are too few together."""
    spec = tuned.spec
    if spec.lexical is None or spec.fusion.kind != "convex":
        return tuned
    evidence, owners = list[Evidence](), list[str]()
    for version, held in asked:
        retriever = HybridRetriever(serving_index(lake, workspace, version), version.spec)
        evidence += [
            retriever.evidence(one.text, set(held.judgments[one.question_id]))
            for one in held.questions
        ]
        owners += held.owners(held.questions)
    if len({one.question_id for _, held in asked for one in held.questions}) < LABELS_NEEDED:
        return tuned
    alpha = round(adjust_alpha(evidence, spec.fusion.alpha, owners), 2)
    fusion = spec.fusion.model_copy(update={"alpha": alpha})
    return Version(tuned.name, spec.model_copy(update={"fusion": fusion}))
