"""What the words and the rows of an index take on disk."""

from __future__ import annotations

import tempfile
from pathlib import Path

from milvus_lite.server_manager import server_manager_instance

from ragdiag.retrieval.ann.index import Vectors
from ragdiag.retrieval.lexical import Lexical
from ragdiag.retrieval.milvus.connection import Connection
from ragdiag.retrieval.milvus.filling import fill_collection
from ragdiag.version import AnnSpec


def stored_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def on_disk(lexical: Lexical, vectors: Vectors, spec: AnnSpec) -> tuple[int, int]:
    """Bytes of the words' index, and of the same vectors as rows of the embedded Milvus, which
    keeps them beside its index."""
    with tempfile.TemporaryDirectory() as folder:
        words, rows = Path(folder) / "words", Path(folder) / "vectors.db"
        lexical.save(words)
        made = AnnSpec(engine="milvus", uri=rows.name, kind=spec.kind)
        connection = Connection(str(rows), made)
        connection.create()
        fill_collection(connection, "bench", vectors, made)
        server_manager_instance.release_all()
        return stored_bytes(words), stored_bytes(rows)
