"""Is an index build fit to serve? Every look at it, in order, until one forbids the next.

| finding | looks at | needs |
|---|---|---|
| manifest | the SHA-256 of every file | |
| libraries | what wrote the files and what reads them | |
| freshness | passages missing, changed and removed since | |
| contract | the model's files, as hashed at the build | |
| loads | both indexes and the model in memory | the model |
| vectors, words | sampled passages find themselves | the model |
| neighbours | approximate against exact search | the model |
| embeddings | sampled passages embedded again | the model |
| questions | judged questions find their gold | the model |
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ragdiag.deploy.canary import (
    NEIGHBOUR_SAMPLE,
    as_kept,
    look_at_embeddings,
    look_at_neighbours,
    look_for_vectors,
    look_for_words,
)
from ragdiag.deploy.freshness import look_at_freshness
from ragdiag.deploy.questions import ask_judged, look_at_questions
from ragdiag.deploy.sampling import Asked, load_owners, sample_judged, sample_positions
from ragdiag.deploy.soundness import (
    Manifest,
    Measured,
    Target,
    look_at_contract,
    look_at_libraries,
    look_at_manifest,
)
from ragdiag.errors import RagdiagError
from ragdiag.records import Finding, IndexCheck
from ragdiag.retrieval.ann.ladder import EXACT_BELOW
from ragdiag.retrieval.builds import Index, build_ids, load_index
from ragdiag.retrieval.embed import load_embedder, load_question_encoder
from ragdiag.retrieval.filters import STRANGER
from ragdiag.retrieval.hybrid import HybridRetriever
from ragdiag.retrieval.serving import serving_build_id
from ragdiag.settings import Workspace
from ragdiag.store.corpus import load_build_passages, removed_passages
from ragdiag.store.index_checks import load_checks
from ragdiag.store.lake import Lake
from ragdiag.version import Version

QUESTIONS = 100
AGAIN = 8
"""Passages embedded again in a check; ``index diagnose`` takes more."""

WORD_SAMPLE = 50
CANNOT_ANSWER = frozenset({"manifest", "contract", "loads"})
"""Where one of these is bad, the build cannot answer any question."""

Pairs = Sequence[tuple[str, str]]


def check_build(
    lake: Lake,
    workspace: Workspace,
    version: Version,
    build_id: str,
    *,
    by: str,
    with_model: bool = True,
) -> IndexCheck:
    """Look at a build as ``version`` uses it; nothing is written.

    What is wrong with the build is a finding, never an exception. Without the model: a few seconds
    a gigabyte, and no import of torch.
    """
    target = Target(version, build_id)
    finding, manifest = look_at_manifest(workspace, target)
    looks: list[Measured] = [(finding, {})]
    if manifest is not None:
        pairs = build_ids(workspace, build_id)
        looks += _without_loading(lake, target, manifest, pairs)
        if with_model and not cannot_answer(found for found, _ in looks):
            looks += _loaded(lake, workspace, target, pairs)
    return IndexCheck(
        build_id=build_id,
        index_key=version.spec.index_key,
        version_id=version.version_id,
        checked_at=datetime.now(UTC),
        by=by,
        findings=tuple(found for found, _ in looks),
        details={found.name: measured for found, measured in looks if measured},
    )


def cannot_answer(findings: Iterable[Finding]) -> bool:
    """Whether a build with these findings cannot answer any question."""
    return any(one.status == "bad" and one.name in CANNOT_ANSWER for one in findings)


def _without_loading(
    lake: Lake, target: Target, manifest: Manifest, pairs: Pairs
) -> Iterator[Measured]:
    yield look_at_libraries(manifest, target), {}
    yield look_at_freshness(lake, target, pairs)
    contract = look_at_contract(manifest, target)
    if contract is not None:
        yield contract, {}


def _loaded(lake: Lake, workspace: Workspace, target: Target, pairs: Pairs) -> Iterator[Measured]:
    try:
        index, retriever = open_build(lake, workspace, target)
    except RagdiagError as error:
        yield Finding(error.message, "bad", error.remedy, "loads"), {}
        return
    yield Finding(f"{target} loads", "good", name="loads"), {}
    try:
        asked = sample_judged(lake, QUESTIONS, findable_ids(index))
        yield from _words(lake, target, index, pairs)
        yield from _vectors(lake, target, index, pairs, asked)
        found = ask_judged(retriever, asked)
        before = _found_before(lake, workspace, target)
        yield look_at_questions(found, before, load_owners(lake, asked), target)
    except RagdiagError as error:  # the questions come last: none was asked
        what = f"{target} could not be asked: {error.message}"
        yield Finding(what, "bad", error.remedy, "questions"), {}


def open_build(lake: Lake, workspace: Workspace, target: Target) -> tuple[Index, HybridRetriever]:
    """A build as it would serve, but that no path is left out for being late: a busy machine is
    not the index's fault. Raises IndexFault, ModelError."""
    spec = target.version.spec.model_copy(update={"degradation": None})
    index = load_index(workspace, target.build_id, spec)
    index = index.without(removed_passages(lake, index.passage_ids))
    return index, HybridRetriever(index, spec)


def findable_ids(index: Index) -> set[str]:
    """The passages of a build that are in the corpus still, and are everybody's."""
    findable = index.findable(STRANGER)
    if findable is None:
        return set(index.passage_ids)
    return {one for one, there in zip(index.passage_ids, findable, strict=True) if there}


def _words(lake: Lake, target: Target, index: Index, pairs: Pairs) -> Iterator[Measured]:
    spec = target.version.spec.lexical
    if index.lexical is not None and spec is not None:
        places = sample_positions(len(pairs), WORD_SAMPLE)
        passages = load_build_passages(lake, [pairs[at] for at in places])
        yield look_for_words(index.lexical, spec, places, passages, target)


def _vectors(
    lake: Lake, target: Target, index: Index, pairs: Pairs, asked: Sequence[Asked]
) -> Iterator[Measured]:
    spec = target.version.spec.embedder
    if index.ann is None or spec is None:
        return
    yield look_for_vectors(index.ann, target)
    if asked:
        texts = [question.text for question, _ in asked[:NEIGHBOUR_SAMPLE]]
        queries = as_kept(load_question_encoder(spec).encode(texts), index.reduction)
    else:
        places = sample_positions(index.ann.size, NEIGHBOUR_SAMPLE, seed=1)
        queries = index.ann.vectors(places)
    # every vector of a Milvus would come here for each query
    if target.version.spec.ann.engine == "faiss" or index.ann.size <= EXACT_BELOW:
        yield look_at_neighbours(index.ann, queries, target)
    places = sample_positions(len(pairs), AGAIN)
    passages = load_build_passages(lake, [pairs[at] for at in places])
    yield look_at_embeddings(index, load_embedder(spec), places, passages, target)


def _found_before(lake: Lake, workspace: Workspace, target: Target) -> Mapping[str, int] | None:
    """What the judged questions find in the build that serves; of that build itself, what they
    found when it was first asked. Never what a build found that does not serve: a bad one would
    pass the second time."""
    version = target.version
    serving = serving_build_id(lake, workspace, version.spec.index_key)
    found = [] if serving is None else _asked(lake, serving, version)
    if not found:
        return None
    return found[0] if serving == target.build_id else found[-1]


def _asked(lake: Lake, build_id: str, version: Version) -> list[dict[str, int]]:
    checks = load_checks(lake, build_id, version.version_id)
    found: list[dict[str, Any]] = [one.details.get("questions", {}).get("found") for one in checks]
    return [one for one in found if one]
