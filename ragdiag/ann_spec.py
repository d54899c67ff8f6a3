"""The table ``[ann]`` of a spec: which vector index, where it is held, and how it is searched."""

from __future__ import annotations

from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator

SEARCH_TIME = {"ef_search", "nprobe", "refine_factor", "search_shards", "token_env", "timeout_s"}
"""Settings that change no index."""

AnnKind = Literal[
    "auto", "flat", "flat_sq8", "hnsw", "hnsw_sq8", "ivf_flat", "ivf_pq", "opq", "rabitq"
]
MILVUS_KINDS = ("auto", "flat", "hnsw", "hnsw_sq8", "ivf_flat")
Refiner = Literal["flat", "fp16", "sq8", "sq6", "sq4"]


class SpecTable(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AnnSpec(SpecTable):
    """The vector index. ``auto`` chooses the kind by the number of passages and ``memory_mb``.

    ``m``, ``ef_construction`` and ``ef_search`` belong to HNSW; ``nlist`` (default 4·√n),
    ``nprobe``, ``refine`` and ``refine_factor`` (candidates rescored for one result) to ivf_pq, opq
    and rabitq, the first two to ivf_flat as well; ``code_bytes`` to ivf_pq and opq. ``reduce``
    keeps ``dimensions`` of each vector: the principal ones, or the first ones of a model trained
    for it (Matryoshka).

    Milvus is found at ``uri``, a server's or a path that ends with .db, relative to the workspace;
    its token is read from the variable named by ``token_env``, never from the spec. ``timeout_s``
    ends every question to it.

    ``shard_by`` makes an index of each topic, or of each ``shard_period`` of time, and
    ``search_shards`` of them are searched, the nearest first; left out, all are.
    """

    engine: Literal["faiss", "milvus"] = "faiss"
    uri: str | None = None
    token_env: str = "MILVUS_TOKEN"
    timeout_s: float = Field(default=10.0, gt=0, le=600)
    kind: AnnKind = "flat"
    m: int = Field(default=32, ge=4, le=128)
    ef_construction: int = Field(default=200, ge=8, le=2000)
    ef_search: int = Field(default=64, ge=1, le=4000)
    nlist: int | None = Field(default=None, ge=1, le=1_000_000)
    nprobe: int = Field(default=16, ge=1, le=100_000)
    code_bytes: int = Field(default=48, ge=1, le=1024)
    refine: Refiner = "sq8"
    refine_factor: int = Field(default=4, ge=1, le=100)
    memory_mb: int = Field(default=4096, ge=1)
    reduce: Literal["none", "pca", "truncate"] = "none"
    dimensions: int | None = Field(default=None, ge=2, le=100_000)
    shard_by: Literal["none", "topic", "time"] = "none"
    shard_period: Literal["month", "quarter", "year"] = "year"
    search_shards: int | None = Field(default=None, ge=1, le=1000)

    @model_validator(mode="after")
    def _dimensions_where_reduced(self) -> Self:
        if (self.reduce == "none") != (self.dimensions is None):
            raise ValueError("reduce and dimensions belong together")
        return self

    @model_validator(mode="after")
    def _engine_can(self) -> Self:
        if (self.engine == "milvus") != (self.uri is not None):
            raise ValueError('uri belongs to engine = "milvus", which needs one')
        if (self.kind == "ivf_flat") > (self.engine == "milvus"):
            raise ValueError('kind = "ivf_flat" needs engine = "milvus"; FAISS has ivf_pq')
        if self.engine == "milvus" and self.kind not in MILVUS_KINDS:
            raise ValueError(f'kind with engine = "milvus" is one of {", ".join(MILVUS_KINDS)}')
        if self.uri is not None:
            _check_uri(self.uri)
        if self.search_shards is not None and self.shard_by == "none":
            raise ValueError("search_shards needs shard_by")
        return self


def _check_uri(uri: str) -> None:
    """Raise ValueError unless it is a server's address without credentials, or a path to a .db."""
    parts = urlsplit(uri)
    if parts.scheme in ("http", "https"):
        if not parts.hostname or "@" in parts.netloc:
            raise ValueError("uri is http(s)://HOST:PORT; the token comes from token_env")
    elif "://" in uri or not uri.endswith(".db"):
        raise ValueError("uri is http(s)://HOST:PORT, or a path that ends with .db")
