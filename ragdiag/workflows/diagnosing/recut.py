"""The corpus of a build cut into passages of another size, for settings that are tried on it.

Documents are put together again from their passages, in order, and cut by the importer's own rule.
What is built of them lies in a folder of its own that goes when the trial ends.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import groupby
from time import perf_counter

from ragdiag.diagnosis.tried_settings import (
    CHUNKS_MEND,
    LONGEST_CHUNK,
    SHORTEST_CHUNK,
    Setting,
    cut_anew,
)
from ragdiag.errors import InputError
from ragdiag.records import Passage
from ragdiag.retrieval.builds import build_index, load_index
from ragdiag.retrieval.holding import Hold
from ragdiag.retrieval.text import chunk_document, load_tokenizer
from ragdiag.settings import Workspace
from ragdiag.version import Spec
from ragdiag.workflows.diagnosing.trials import EMBEDDED, WORDS_ALONE
from ragdiag.workflows.diagnosing.what_if import WhatIf


@dataclass(frozen=True, slots=True)
class Recut:
    """``what_if`` tries settings over the passages that were cut anew; ``note`` tells of them."""

    what_if: WhatIf
    note: str


def sizes_to_try(spec: Spec, passages: Sequence[Passage], most: int | None = None) -> list[Setting]:
    """Passages of half and of twice the size that nearly all of them keep within (their 95th
    percentile), with as many of them in the prompt as hold as much text.

    ``most`` is how many ``passages`` are cut anew unasked, by default WORDS_ALONE or EMBEDDED.
    Raises InputError with the reason where no size is tried.
    """
    if most is None:
        most = WORDS_ALONE if spec.embedder is None else EMBEDDED
    _require_own_vectors(spec)
    if len(passages) > most:
        raise InputError(
            f"{len(passages):,} passages are more than {most:,}, up to which they are cut and "
            "indexed again unasked",
            remedy="name a size: --set chunk_tokens=N",
        )
    tokens = load_tokenizer()
    lengths = sorted(tokens.count(one.text) for one in passages)
    size = lengths[int(0.95 * (len(lengths) - 1))]
    found = []
    for one in (size // 2, 2 * size):
        if SHORTEST_CHUNK <= one <= LONGEST_CHUNK and _differs(passages, recut(passages, one)):
            k = min(max(round(spec.context.k * size / one), 1), 200)
            context = spec.context.model_copy(update={"k": k})
            found.append(
                Setting(
                    f"passages of {size} → {one} tokens, {k} of them in the prompt",
                    spec.model_copy(update={"context": context}),
                    CHUNKS_MEND,
                    f"{cut_anew(one)}; [context] k = {k}",
                    one,
                )
            )
    if not found:
        raise InputError(
            f"of passages of up to {size} tokens neither half nor twice the size makes others: a "
            "document is one passage of one sentence",
            remedy="import longer documents",
        )
    return found


@contextmanager
def recut_what_if(what_if: WhatIf, spec: Spec, workspace: Workspace, size: int) -> Iterator[Recut]:
    """Index the passages of ``what_if`` cut at ``size`` tokens, for as long as the block lasts.

    Raises InputError where they come out as they are, or Milvus holds the vectors; what building an
    index raises.
    """
    _require_own_vectors(spec)
    passages = recut(what_if.passages, size)
    if not _differs(what_if.passages, passages):
        raise InputError(
            f"cut at {size} tokens the passages are those there are", remedy="name another size"
        )
    with _folder_aside(workspace) as aside:
        started = perf_counter()
        build = build_index(passages, spec, aside)
        seconds = perf_counter() - started
        yield Recut(
            what_if.over(load_index(aside, build.build_id, spec), passages),
            f"{len(passages):,} passages in place of {len(what_if.passages):,}, indexed in "
            f"{seconds:.0f} s",
        )


def recut(passages: Sequence[Passage], size: int) -> list[Passage]:
    """The documents that ``passages`` make up, cut at ``size`` tokens; passages come by document
    and by place in it.

    Neighbours are joined only where title and metadata are the same: nothing reaches whom it was
    not for. Between two passages a line end stands for the white space that cutting left out.
    """
    tokens = load_tokenizer()
    found: list[Passage] = []
    for document, whole in groupby(passages, lambda one: one.document_id):
        pieces: list[Passage] = []
        for (title, metadata), same in groupby(whole, lambda one: (one.title, one.metadata)):
            text = "\n".join(one.text for one in same)
            cut = chunk_document(document, text, title, size, tokens)
            pieces += [replace(one, metadata=metadata) for one in cut]
        found += [
            replace(one, passage_id=f"{document}#{position}", position=position)
            for position, one in enumerate(pieces)
        ]
    return found


@contextmanager
def _folder_aside(workspace: Workspace) -> Iterator[Workspace]:
    """Named as an unfinished build is, so that ``index prune`` clears away what a kill left."""
    folder = workspace.indexes / f".{uuid.uuid4().hex[:12]}.{uuid.uuid4().hex}"
    folder.mkdir(parents=True)
    hold = Hold(folder)
    try:
        yield Workspace(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        del hold


def _differs(before: Sequence[Passage], after: Sequence[Passage]) -> bool:
    return [one.text for one in before] != [one.text for one in after]


def _require_own_vectors(spec: Spec) -> None:
    if spec.embedder is not None and spec.ann.engine == "milvus":
        raise InputError(
            "Milvus holds the vectors, and no collection is made there for a trial",
            remedy='try a version with engine = "faiss"',
        )
