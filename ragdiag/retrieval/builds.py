"""Immutable index builds on disk: a finished directory appears whole, or not at all.

    indexes/<build_id>/
        manifest.json      what it is made of, SHA-256 and size of every other file
        ids.parquet        passages and their metadata; row number = position in the indexes
        vectors.faiss      with an embedder; in shards: vectors/NN.faiss and shards.npz
        reduction.vt       where [ann] keeps fewer dimensions
        lexical/           with BM25

``build_id`` hashes settings, content and the model's bytes, so one thing is built once. Passages
are ordered by descending id: ties by position are then ties by descending id, trec_eval's rule.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import uuid
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version as installed_version
from itertools import pairwise
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from ragdiag.errors import IndexFault, IndexUnreachable
from ragdiag.progress import Progress, part, report
from ragdiag.records import IndexBuild, Passage, PassageMetadata
from ragdiag.retrieval.ann.index import Mask, VectorIndex
from ragdiag.retrieval.ann.reduction import Reduction, fit_reduction, load_reduction
from ragdiag.retrieval.contract import embedder_contract
from ragdiag.retrieval.embed import load_embedder
from ragdiag.retrieval.files import full_disk_named
from ragdiag.retrieval.filters import Metadata, PassageFilter, both
from ragdiag.retrieval.holding import Hold
from ragdiag.retrieval.ids import IDS, read_ids, read_metadata, write_ids
from ragdiag.retrieval.lexical import Lexical, build_lexical, has_marks, load_lexical
from ragdiag.retrieval.manifest import MANIFEST, REBUILD, inventory, verified_manifest
from ragdiag.retrieval.models import model_identity
from ragdiag.retrieval.vector_index import (
    check_vectors,
    open_vectors,
    publishing,
    write_vectors,
)
from ragdiag.retrieval.vectors import embed_passages, open_cache, passage_text
from ragdiag.settings import Workspace
from ragdiag.store.corpus import corpus_hash
from ragdiag.store.disk import sync
from ragdiag.version import Spec

_LEXICAL = "lexical"
_REDUCTION = "reduction.vt"


@dataclass(frozen=True)
class Index:
    """A loaded build; ``passage_ids[i]`` is the passage at position i of each path. ``alive`` (n,)
    is false where a passage has left the corpus since: no path finds it any more. While ``hold``
    lives, the build is not pruned."""

    build_id: str
    passage_ids: tuple[str, ...]
    lexical: Lexical | None = field(default=None, repr=False)
    ann: VectorIndex | None = field(default=None, repr=False)
    reduction: Reduction | None = field(default=None, repr=False)
    alive: Mask | None = field(default=None, repr=False)
    metadata: Metadata | None = field(default=None, repr=False)
    hold: Hold | None = field(default=None, repr=False, compare=False)

    def findable(self, only: PassageFilter) -> Mask | None:
        """Who is in the corpus still and let through by ``only``, (n,); None where all are."""
        return both(self.alive, None if self.metadata is None else self.metadata.mask(only))

    def unrestricted(self) -> Index:
        """The same build, which hides no passage from anybody: to measure it, not to answer."""
        return replace(self, metadata=None)

    def known_as(self, metadata: Sequence[PassageMetadata]) -> Index:
        """The same build, but with these ``metadata`` by position."""
        return replace(self, metadata=Metadata(metadata))

    def without(self, passage_ids: Collection[str]) -> Index:
        """The same build with these passages buried, and no others."""
        gone = set(passage_ids)
        if not gone:
            return replace(self, alive=None)
        return replace(self, alive=np.array([one not in gone for one in self.passage_ids]))


def build_index(
    passages: Sequence[Passage],
    spec: Spec,
    workspace: Workspace,
    progress: Progress | None = None,
) -> IndexBuild:
    """Build what ``spec`` needs over ``passages``, or return the build that is there already.

    A damaged build of the same id is replaced. Raises IndexFault: no passages, an id twice, no
    words, a bad vector; IndexUnreachable; ModelError; StoreFull. None of them leaves a build
    behind.
    """
    ordered = _ordered(passages)
    corpus = corpus_hash(ordered)
    model_hash = "" if spec.embedder is None else model_identity(spec.embedder)
    build_id = _digest([spec.index_key, corpus, model_hash, *_word_settings(spec, ordered)])[:12]
    final = workspace.indexes / build_id
    if final.exists():
        try:
            manifest = verified_manifest(final)
            check_vectors(final, manifest, spec, workspace)
            report(progress, 1.0, f"index {build_id} was built before")
            return _record(manifest)
        except IndexUnreachable:  # it may be sound: nobody can say
            raise
        except IndexFault:
            shutil.rmtree(final, ignore_errors=True)
    identity = {"build_id": build_id, "index_key": spec.index_key, "corpus_hash": corpus}
    with full_disk_named(workspace.indexes):
        workspace.indexes.mkdir(parents=True, exist_ok=True)
        working = workspace.indexes / f".{build_id}.{uuid.uuid4().hex}"
        working.mkdir()
        hold = Hold(working)
        try:
            with publishing(spec, workspace):
                _write_parts(working, ordered, spec, workspace, identity, progress)
                _publish(working, final)
        finally:
            shutil.rmtree(working, ignore_errors=True)
            del hold
    report(progress, 1.0, f"index {build_id} is built")
    # of several processes that built the same, one has published its own
    return _record(json.loads((final / MANIFEST).read_text(encoding="utf-8")))


def load_index(workspace: Workspace, build_id: str, spec: Spec) -> Index:
    """Load a build after checking every file against the manifest.

    Raises IndexFault naming what is missing, changed, or built for another spec or model.
    """
    folder = workspace.indexes / build_id
    hold = None
    with suppress(FileNotFoundError):  # said by the manifest
        hold = Hold(folder)
    manifest = verified_manifest(folder)
    made_for = (manifest["index_key"], manifest["lexical"])
    if made_for != (spec.index_key, _lexical_settings(spec)):
        raise IndexFault(f"index build {build_id} was made for another spec", remedy=REBUILD)
    ids = tuple(passage_id for passage_id, _ in build_ids(workspace, build_id))
    metadata = Metadata(read_metadata(folder / IDS))
    lexical = None if spec.lexical is None else load_lexical(folder / _LEXICAL, spec.lexical)
    ann = reduction = None
    if spec.embedder is not None:
        dense = manifest["dense"]
        if dense["model_hash"] != model_identity(spec.embedder):
            raise IndexFault(
                f"the model {spec.embedder.model} has changed since index build {build_id}",
                remedy=REBUILD,
            )
        ann = open_vectors(folder, dense, spec, workspace, len(ids))
        if spec.ann.reduce != "none":
            reduction = load_reduction(folder / _REDUCTION)
    return Index(build_id, ids, lexical, ann, reduction, metadata=metadata, hold=hold)


def build_ids(workspace: Workspace, build_id: str) -> list[tuple[str, str]]:
    """(passage_id, content_hash) of every passage in a build, by position. Loads no model."""
    return read_ids(workspace.indexes / build_id / IDS)


def _ordered(passages: Sequence[Passage]) -> list[Passage]:
    if not passages:
        raise IndexFault(
            "there is nothing to index: the corpus is empty",
            remedy="run: ragdiag import corpus PATH, or: ragdiag import beir DIR",
        )
    ordered = sorted(passages, key=lambda passage: passage.passage_id, reverse=True)
    for one, next_one in pairwise(ordered):
        if one.passage_id == next_one.passage_id:
            raise IndexFault(
                f"passage {one.passage_id} is given twice",
                remedy="give every passage its own id and import again",
            )
    return ordered


def _write_parts(
    folder: Path,
    passages: Sequence[Passage],
    spec: Spec,
    workspace: Workspace,
    identity: Mapping[str, str],
    progress: Progress | None,
) -> None:
    started = perf_counter()
    dense = _write_dense(folder, passages, spec, workspace, identity["build_id"], progress)
    if spec.lexical is not None:
        report(progress, 0.95, f"indexing the words of {len(passages)} passages")
        texts = [passage_text(passage, title=spec.lexical.title) for passage in passages]
        build_lexical(texts, spec.lexical).save(folder / _LEXICAL)
    write_ids(folder / IDS, passages)
    manifest = {
        "format": 1,
        **identity,
        "passages": len(passages),
        "dense": dense,
        "lexical": _lexical_settings(spec),
        "libraries": {name: installed_version(name) for name in ("faiss-cpu", "bm25s", "numpy")},
        "files": inventory(folder),
        "seconds": round(perf_counter() - started, 3),
        "built_at": datetime.now(UTC).isoformat(),
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")


def _write_dense(
    folder: Path,
    passages: Sequence[Passage],
    spec: Spec,
    workspace: Workspace,
    build_id: str,
    progress: Progress | None,
) -> dict[str, Any] | None:
    """The vector index and what the manifest says of it; None without an embedder."""
    if spec.embedder is None:
        return None
    embedder = load_embedder(spec.embedder)
    cache = open_cache(workspace)
    vectors = embed_passages(passages, embedder, cache, part(progress, 0.0, 0.9))
    report(progress, 0.9, f"indexing {len(passages)} vectors")
    reduction = fit_reduction(vectors, spec.ann)
    if reduction is not None:
        vectors = reduction.apply(vectors)
        reduction.save(folder / _REDUCTION)
    return {
        "model": spec.embedder.model,
        "model_hash": embedder.model_hash,
        "contract": embedder_contract(spec.embedder),
        "embedded": embedder.dimension,
        **write_vectors(
            folder, vectors, passages, spec.ann, workspace, build_id, part(progress, 0.9, 0.95)
        ),
    }


def _word_settings(spec: Spec, passages: Sequence[Passage]) -> list[str]:
    """What decides the words of a build, and that they have marks where some do: a build from
    before those were counted is another one."""
    settings = [json.dumps(_lexical_settings(spec), sort_keys=True)]
    lexical = spec.lexical
    if lexical is None:
        return settings
    texts = (passage_text(one, title=lexical.title) for one in passages)
    return [*settings, "marks"] if any(map(has_marks, texts)) else settings


def _lexical_settings(spec: Spec) -> dict[str, Any] | None:
    """Every BM25 setting by its value: an index key leaves out those at their defaults. Stemming,
    which came later, only where there is any: earlier builds keep their ids."""
    if spec.lexical is None:
        return None
    later = {"stemmer"} if spec.lexical.stemmer == "none" else set()
    return spec.lexical.model_dump(mode="json", exclude=later)


def _publish(working: Path, final: Path) -> None:
    """Sync and rename; where another process was first, its build stays: they are the same."""
    for path in [*working.rglob("*"), working]:
        sync(path)
    try:
        working.rename(final)
    except OSError:
        if not (final / MANIFEST).is_file():
            raise
    sync(final.parent)


def _record(manifest: Mapping[str, Any]) -> IndexBuild:
    dense = manifest["dense"] or {}
    return IndexBuild(
        build_id=manifest["build_id"],
        index_key=manifest["index_key"],
        corpus_hash=manifest["corpus_hash"],
        passages=manifest["passages"],
        dimension=dense.get("dimension"),
        ann_kind=dense.get("kind"),
        bytes=sum(facts["bytes"] for facts in manifest["files"].values()),
        seconds=manifest["seconds"],
        built_at=datetime.fromisoformat(manifest["built_at"]),
        manifest=dict(manifest),
    )


def _digest(parts: Sequence[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
