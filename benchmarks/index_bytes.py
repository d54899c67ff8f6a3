"""What an index takes on disk, and the same vectors in the embedded Milvus."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from milvus_lite.server_manager import server_manager_instance

from ragdiag.retrieval.ann.index import Vectors
from ragdiag.retrieval.lexical import Lexical
from ragdiag.retrieval.milvus.connection import Connection
from ragdiag.retrieval.milvus.filling import fill_collection
from ragdiag.retrieval.milvus.index import MilvusIndex
from ragdiag.version import AnnSpec


@dataclass(frozen=True)
class Filled:
    """A collection whose index is finished; ``folder`` holds all that it takes on disk."""

    index: MilvusIndex
    folder: Path
    seconds: float

    def bytes(self) -> int:
        """Once Milvus has let go of it: what is not written yet has no size."""
        server_manager_instance.release_all()
        return stored_bytes(self.folder)


def stored_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def words_bytes(lexical: Lexical) -> int:
    with tempfile.TemporaryDirectory() as folder:
        lexical.save(Path(folder) / "words")
        return stored_bytes(Path(folder))


@contextmanager
def embedded_milvus(vectors: Vectors, spec: AnnSpec) -> Iterator[Filled]:
    """The same vectors, in an index of the same kind."""
    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder) / "vectors.db"
        made = AnnSpec(engine="milvus", uri=rows.name, kind=spec.kind, timeout_s=600)
        connection = Connection(str(rows), made)
        connection.create()
        started = time.perf_counter()
        facts = fill_collection(connection, "bench", vectors, made)
        seconds = time.perf_counter() - started
        index = MilvusIndex(connection, facts, made, *vectors.shape)
        index.open()
        yield Filled(index, Path(folder), seconds)
