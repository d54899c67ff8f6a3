"""The embeddings cache: one folder per model, in blocks that are written whole or not at all.

A block is ``<model_hash>/<random>.npz`` with ``hashes`` (n × 64 bytes, hexadecimal content
hashes) and ``vectors`` (n × d, float32). Writers never touch each other's blocks, so any number of
processes may share a cache; a passage that two of them embedded is there twice, equal. The
archive's checksums show a damaged block, which is thrown away and computed again.
"""

from __future__ import annotations

import uuid
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ragdiag.errors import IndexFault
from ragdiag.progress import Progress, part, report
from ragdiag.records import Passage
from ragdiag.retrieval.embed import Encoder
from ragdiag.retrieval.files import atomic_file, full_disk_named

Vectors = npt.NDArray[np.float32]

BLOCK = 512
"""Passages per block: what a killed run loses at most."""

NORM_TOLERANCE = 1e-3


class EmbeddingCache:
    """Vectors by model hash and content hash, in a directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def read(self, model_hash: str, wanted: set[str]) -> dict[str, Vectors]:
        """The vectors (each (d,)) of those ``wanted`` content hashes that are here."""
        found: dict[str, Vectors] = {}
        for path in sorted((self.directory / model_hash).glob("[!.]*.npz")):
            found.update(_read_block(path, wanted - found.keys()))
        return found

    def write(self, model_hash: str, vectors: Mapping[str, Vectors]) -> None:
        """Add one block. Raises StoreFull; then nothing of it is kept."""
        folder = self.directory / model_hash
        with (
            full_disk_named(folder),
            atomic_file(folder / f"{uuid.uuid4().hex}.npz") as temporary,
        ):
            hashes = np.array([content_hash.encode() for content_hash in vectors], dtype="S64")
            np.savez(temporary, hashes=hashes, vectors=np.stack(list(vectors.values())))


def embed_passages(
    passages: Sequence[Passage],
    embedder: Encoder,
    cache: EmbeddingCache,
    progress: Progress | None = None,
) -> Vectors:
    """Unit vectors of ``passages``, float32 (n, d), computing only what the cache lacks.

    Blocks are written as they are done: a run that was killed goes on where it stopped.
    Raises IndexFault naming the first passage whose vector is not finite or not of norm 1.
    """
    by_hash = {passage.content_hash: passage for passage in passages}
    known = cache.read(embedder.model_hash, set(by_hash))
    missing = sorted(
        (passage for content_hash, passage in by_hash.items() if content_hash not in known),
        key=lambda passage: len(passage.text),
        reverse=True,
    )
    if not missing:
        report(progress, 1.0, f"{len(passages)} passages were embedded before")
    for start in range(0, len(missing), BLOCK):
        block = missing[start : start + BLOCK]
        stretch = part(progress, start / len(missing), (start + len(block)) / len(missing))
        message = f"embedding passages {start + 1}–{start + len(block)} of {len(missing)}"
        vectors = embedder.encode(
            [passage_text(passage, title=embedder.title) for passage in block],
            _saying(message, stretch),
        )
        refuse_bad_vectors(vectors, [passage.passage_id for passage in block])
        fresh = {passage.content_hash: vectors[i] for i, passage in enumerate(block)}
        cache.write(embedder.model_hash, fresh)
        known.update(fresh)
    return np.stack([known[passage.content_hash] for passage in passages])


def passage_text(passage: Passage, *, title: bool) -> str:
    """What of a passage is embedded or indexed: its text, below its title if asked."""
    return f"{passage.title}\n{passage.text}" if title and passage.title else passage.text


def refuse_bad_vectors(vectors: Vectors, passage_ids: Sequence[str]) -> None:
    """Raise IndexFault naming the first passage whose vector is not finite or not of norm 1.

    FAISS itself would take either without a word.
    """
    norms = np.linalg.norm(vectors, axis=1)
    bad = np.flatnonzero(~(np.abs(norms - 1.0) <= NORM_TOLERANCE))  # NaN compares false
    if bad.size:
        worst = int(bad[0])
        raise IndexFault(
            f"the vector of passage {passage_ids[worst]} has norm {norms[worst]:g}, not 1 "
            f"({bad.size} such of {len(passage_ids)})",
            remedy="check the model and its adapter for NaN weights; nothing was written",
        )


def _saying(message: str, progress: Progress) -> Progress:
    """``progress`` with this message whatever the caller says."""
    return lambda fraction, _: progress(fraction, message)


def _read_block(path: Path, wanted: set[str]) -> dict[str, Vectors]:
    try:
        with np.load(path, allow_pickle=False) as block:
            hashes = [content_hash.decode() for content_hash in block["hashes"].tolist()]
            rows = [row for row, content_hash in enumerate(hashes) if content_hash in wanted]
            if not rows:
                return {}
            vectors = block["vectors"]
    except FileNotFoundError:
        return {}
    except (zipfile.BadZipFile, ValueError, KeyError, EOFError):
        path.unlink(missing_ok=True)
        return {}
    return {hashes[row]: vectors[row] for row in rows}
