"""The demo's pipelines: a version over a build, with one part broken where the week says so."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ragdiag.demo.chance import stable_fraction
from ragdiag.demo.schedule import CUT_TOKENS, SLOW_MS, SLOW_SHARE, FaultKind
from ragdiag.pipeline import Pipeline, open_pipeline
from ragdiag.progress import Progress
from ragdiag.retrieval.builds import build_ids, load_index
from ragdiag.retrieval.embed import Encoder, load_embedder
from ragdiag.retrieval.hybrid import HybridRetriever
from ragdiag.retrieval.lexical import Lexical
from ragdiag.retrieval.packing import Packer
from ragdiag.retrieval.text import load_tokenizer
from ragdiag.settings import Workspace
from ragdiag.store.corpus import load_build_passages
from ragdiag.store.lake import Lake
from ragdiag.version import Version

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True)
class SlowLexical:
    """A lexical path that waits before some of its searches: the same scores, later.

    Which searches wait depends on the question and ``week``, so that a question is not always slow.
    """

    lexical: Lexical
    week: int

    def scores(self, question: str) -> npt.NDArray[np.float32]:
        if stable_fraction(question, "slow", str(self.week)) < SLOW_SHARE:
            time.sleep(SLOW_MS / 1000)
        return self.lexical.scores(question)

    def upper_bound(self, question: str) -> float:
        return self.lexical.upper_bound(question)

    def save(self, directory: Path) -> None:
        self.lexical.save(directory)


@dataclass(frozen=True)
class FirstWordEncoder:
    """An embedder whose caller cuts every text after its first word."""

    encoder: Encoder

    @property
    def model_hash(self) -> str:
        return self.encoder.model_hash

    @property
    def dimension(self) -> int:
        return self.encoder.dimension

    @property
    def title(self) -> bool:
        return self.encoder.title

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        return self.encoder.encode([text.split(maxsplit=1)[0] for text in texts], progress)


def open_serving(
    lake: Lake,
    workspace: Workspace,
    version: Version,
    build_id: str,
    *,
    fault: FaultKind | None,
    week: int,
) -> Pipeline:
    """``version`` over ``build_id``, warm, with the part that ``fault`` breaks exchanged.

    topic_shift and stale_index break no part: they change what is asked, and which build serves.
    """
    pipeline = open_pipeline(lake, workspace, version, build_id)
    if fault == "slow_lexical":
        index = load_index(workspace, build_id, version.spec)
        if index.lexical is not None:
            index = replace(index, lexical=SlowLexical(index.lexical, week))
        pipeline = pipeline.with_parts(retriever=HybridRetriever(index, version.spec))
    if fault == "blind_dense" and version.spec.embedder is not None:
        index = load_index(workspace, build_id, version.spec)
        encoder = FirstWordEncoder(load_embedder(version.spec.embedder))
        pipeline = pipeline.with_parts(retriever=HybridRetriever(index, version.spec, encoder))
    if fault == "cut_context":
        passages = load_build_passages(lake, build_ids(workspace, build_id))
        spec = version.spec.context.model_copy(update={"max_tokens": CUT_TOKENS})
        packer = Packer({p.passage_id: p for p in passages}, spec, load_tokenizer())
        pipeline = pipeline.with_parts(packer=packer)
    pipeline.ask("What is this warm-up question for?")
    return pipeline
