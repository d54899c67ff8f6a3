"""A version: everything that decides an answer, as one validated spec, named by its hash.

A spec is TOML; every table but the generator may be left out. At least one of ``[embedder]``
(the dense path) and ``[lexical]`` must be there::

    [embedder]
    model = "all-MiniLM-L6-v2"      # packaged weights, or a sentence-transformers folder
    # adapter = "path/to/lora"      # a PEFT adapter, merged on load; in the workspace or not
    # question_adapter = "path"     # merged for questions alone, over the same index
    # questions = "path/to/export"  # the same model as `ragdiag model export` writes it, faster
    [ann]
    kind = "hnsw"                   # or flat, flat_sq8, hnsw_sq8, ivf_pq, opq, rabitq, auto
    # engine = "milvus"             # the vectors are held by Milvus (docs/retrieval.md)
    # uri = "http://localhost:19530"  # or a file of the embedded engine, in the workspace
    # shard_by = "topic"            # or "time": an index for each
    [lexical]
    engine = "bm25s"                # or "rank_bm25", the slow reference
    [candidates]
    depth = 100                     # per path
    mode = "union"                  # or "prefilter": only BM25's candidates, scored exactly
    [fusion]
    kind = "convex"                 # or "rrf"
    alpha = 0.5                     # weight of the dense score
    normalisation = "bounds"        # or "minmax", per query
    # [reranker]                    # a cross-encoder over the head of the fused list
    # model = "path/to/folder"      # saved by sentence-transformers
    # [degradation]                 # the lexical path answers alone where the dense one is late
    # dense_ms = 150
    # [cache]                       # answers kept for who asks the same again, in ragdiag serve
    # kind = "exact"                # or "semantic"
    [context]
    k = 5
    max_tokens = 1500
    [generator]
    kind = "extractive"             # or "openai", "transformers", "reader"
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from ragdiag.ann_spec import SEARCH_TIME, SpecTable
from ragdiag.ann_spec import AnnKind as AnnKind
from ragdiag.ann_spec import AnnSpec as AnnSpec
from ragdiag.ann_spec import Refiner as Refiner
from ragdiag.errors import SpecError
from ragdiag.generator_spec import PACKAGED_MODEL as PACKAGED_MODEL
from ragdiag.generator_spec import ExtractiveSpec as ExtractiveSpec
from ragdiag.generator_spec import GeneratorSpec as GeneratorSpec
from ragdiag.generator_spec import OpenAISpec as OpenAISpec
from ragdiag.generator_spec import ReaderSpec as ReaderSpec
from ragdiag.generator_spec import TransformersSpec as TransformersSpec
from ragdiag.model_folders import PortableSpec


class EmbedderSpec(SpecTable):
    """``max_tokens`` beyond the model's own limit is refused when the model is loaded; ``title``
    puts a passage's title before its text, as BEIR does. ``questions`` names an export of the same
    model that encodes questions faster, ``question_adapter`` one that was trained for questions
    with the passages' vectors frozen: with either the index stays as it is."""

    model: str = PACKAGED_MODEL
    adapter: str | None = None
    question_adapter: str | None = None
    questions: str | None = None
    max_tokens: int | None = Field(default=None, ge=8, le=8192)
    title: bool = True


Stemmer = Literal[
    "none",
    "danish",
    "dutch",
    "english",
    "finnish",
    "french",
    "german",
    "hungarian",
    "italian",
    "norwegian",
    "portuguese",
    "romanian",
    "russian",
    "spanish",
    "swedish",
    "turkish",
]


class LexicalSpec(SpecTable):
    """BM25 (Robertson & Zaragoza 2009): ``k1`` saturates term counts, ``b`` normalises length. With
    ``stemmer`` (Snowball's of that language) words count by their stems."""

    engine: Literal["bm25s", "rank_bm25"] = "bm25s"
    k1: float = Field(default=1.5, gt=0, le=10)
    b: float = Field(default=0.75, ge=0, le=1)
    stopwords: Literal["en", "none"] = "en"
    stemmer: Stemmer = "none"
    title: bool = True


class CandidateSpec(SpecTable):
    """``depth`` per path. ``union`` fuses what either path finds; ``prefilter`` scores BM25's
    candidates exactly and searches no vectors."""

    depth: int = Field(default=100, ge=1, le=10_000)
    mode: Literal["union", "prefilter"] = "union"


class FusionSpec(SpecTable):
    """``k`` belongs to RRF; ``alpha``, the weight of the dense score, and ``normalisation`` to
    convex."""

    kind: Literal["rrf", "convex"] = "rrf"
    k: int = Field(default=60, ge=1, le=10_000)
    alpha: float = Field(default=0.5, ge=0, le=1)
    normalisation: Literal["bounds", "minmax"] = "bounds"


class RerankerSpec(SpecTable):
    """A cross-encoder over the first ``depth`` fused hits, ``batch`` at a time; or the late
    interaction of an encoder's word pieces, whose ``model`` and adapters are as in [embedder].

    ``patience`` batches in a row that bring nothing into the first ``top`` end it early. Over
    ``budget_ms`` the fused list is used: the reranker is skipped, or finishes ``later``, for the
    next who asks the same. ``slope`` and ``offset`` turn a logit into a probability. Below 1,
    ``weight`` is the share in the order of that probability, or of its log-odds, as ``scale`` says;
    the rest is the fused score's.
    """

    kind: Literal["cross_encoder", "late_interaction"] = "cross_encoder"
    model: str
    adapter: str | None = None
    question_adapter: str | None = None
    max_tokens: int | None = Field(default=None, ge=8, le=8192)
    depth: int = Field(default=50, ge=1, le=1000)
    batch: int = Field(default=16, ge=1, le=256)
    top: int = Field(default=10, ge=1, le=1000)
    patience: int | None = Field(default=None, ge=1, le=100)
    budget_ms: float | None = Field(default=None, gt=0, le=600_000)
    late: Literal["skip", "later"] = "skip"
    slope: float = Field(default=1.0, gt=0, le=1000)
    offset: float = Field(default=0.0, ge=-1000, le=1000)
    weight: float = Field(default=1.0, ge=0, le=1)
    scale: Literal["probability", "log_odds"] = "probability"

    @model_validator(mode="after")
    def _adapts_an_encoder(self) -> Self:
        if self.kind == "cross_encoder" and (self.adapter or self.question_adapter):
            raise ValueError('adapters are for kind = "late_interaction"; merge it into the model')
        return self


class DegradationSpec(SpecTable):
    """How an answer goes on without a stage that is late or fails; left out, a failure is one.

    ``dense_ms`` is for embedding and vector search together; without one there is no deadline.
    After ``failures`` in a row the stage is left alone for ``retry_s`` seconds. A generator that
    fails leaves the passages as they were packed.
    """

    dense_ms: float | None = Field(default=None, gt=0, le=60_000)
    failures: int = Field(default=5, ge=1, le=1000)
    retry_s: float = Field(default=30.0, gt=0, le=3600)


class CacheSpec(SpecTable):
    """Answers that ``ragdiag serve`` keeps for ``ttl_s`` seconds, the ``size`` used last.

    ``exact`` finds the same question, whatever its case and spacing. ``semantic`` also one whose
    vector has a cosine of ``similarity`` or more, with the same numbers and negations and, where
    ``strict``, the same words in the same order but for articles, auxiliaries and plurals.
    """

    kind: Literal["exact", "semantic"] = "exact"
    ttl_s: float = Field(default=3600.0, gt=0, le=2_592_000)
    size: int = Field(default=1000, ge=1, le=100_000)
    similarity: float = Field(default=0.97, ge=0.5, le=1)
    strict: bool = True


class ContextSpec(SpecTable):
    k: int = Field(default=5, ge=1, le=200)
    max_tokens: int = Field(default=1500, ge=16, le=1_000_000)


class Spec(PortableSpec):
    embedder: EmbedderSpec | None = None
    ann: AnnSpec = AnnSpec()
    lexical: LexicalSpec | None = None
    candidates: CandidateSpec = CandidateSpec()
    fusion: FusionSpec = FusionSpec()
    reranker: RerankerSpec | None = None
    degradation: DegradationSpec | None = None
    cache: CacheSpec | None = None
    context: ContextSpec = ContextSpec()
    generator: GeneratorSpec

    @model_validator(mode="after")
    def _has_a_path(self) -> Self:
        if self.embedder is None and self.lexical is None:
            raise ValueError("has neither [embedder] nor [lexical], so nothing can be retrieved")
        if self.candidates.mode == "prefilter" and (self.embedder is None or self.lexical is None):
            raise ValueError('mode = "prefilter" needs both [embedder] and [lexical]')
        if self.cache is not None and self.cache.kind == "semantic" and self.embedder is None:
            raise ValueError('[cache] kind = "semantic" needs [embedder]')
        minmax = self.fusion.kind == "convex" and self.fusion.normalisation == "minmax"
        if minmax and self.embedder is not None and self.ann.engine == "milvus":
            raise ValueError(
                'normalisation = "minmax" asks for the range over every vector, which Milvus does '
                'not tell; use "bounds"'
            )
        return self

    @property
    def index_key(self) -> str:
        """Hash of what shapes an index: versions that differ elsewhere share a build."""
        shape = self.as_written.model_dump(
            include={"embedder", "lexical"},
            exclude={"embedder": {"questions", "question_adapter"}},
            exclude_defaults=True,
        )
        if self.embedder is not None:
            shape["ann"] = self.ann.model_dump(exclude=SEARCH_TIME, exclude_defaults=True)
        return _digest(shape)


@dataclass(frozen=True)
class Version:
    """A named spec. Two versions with one spec are one version, whatever they are called.

    The id hashes what differs from the defaults, so that a setting added later leaves the ids of
    earlier versions alone. A version read from a workspace keeps the id it was saved under, since
    requests name it, even where a default has moved since.
    """

    name: str
    spec: Spec
    version_id: str = field(init=False)

    def __post_init__(self) -> None:
        own = _digest(self.spec.as_written.model_dump(exclude_defaults=True))
        object.__setattr__(self, "version_id", own)

    @classmethod
    def saved(cls, name: str, spec: Spec, version_id: str) -> Self:
        version = cls(name, spec)
        object.__setattr__(version, "version_id", version_id)
        return version

    def answered_by(self, other: Version, root: Path) -> Version:
        """The same with the generator of ``other``, in the workspace at ``root``; its id is that of
        such a spec."""
        return Version(self.name, self.spec.with_tables(root, generator=other.spec.generator))


@dataclass(frozen=True, slots=True)
class LoggedVersion:
    """A version that requests name and no spec describes: another service answered them, so
    nothing here can answer in its place."""

    version_id: str
    spec: None = None

    @property
    def name(self) -> str:
        return self.version_id


def parse_spec(text: str, *, source: str) -> Spec:
    """Validate a spec's TOML; ``source`` names it in errors. Raises SpecError."""
    try:
        return Spec.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise SpecError(f"{source} is not TOML ({error})", remedy="mend that line") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        what = first["msg"].removeprefix("Value error, ")
        raise SpecError(
            f"{source}: {where + ': ' if where else ''}{what}",
            remedy="see docs/versions.md",
        ) from None


def read_spec(path: Path) -> Spec:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"cannot read {path} ({error})", remedy="name a TOML file") from None
    return parse_spec(text, source=str(path))


def _digest(shape: Any) -> str:
    return hashlib.sha256(json.dumps(shape, sort_keys=True).encode()).hexdigest()[:12]
