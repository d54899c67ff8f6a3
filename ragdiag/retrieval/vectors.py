"""The embeddings cache: one folder per model, in blocks that are written whole or not at all.

A block is ``<model_hash>/<random>.npz`` with ``hashes`` (n × 64 bytes, hexadecimal content
hashes) and ``vectors`` (n × d, float32); where a passage has a vector for each of its word pieces,
``vectors`` has them one passage after the other (int8) and ``counts`` (n,) says how many. Writers
never touch each other's blocks, so any number of processes may share a cache; a passage that two of
them embedded is there twice, equal. The archive's checksums show a damaged block, which is thrown
away and computed again. Where embeddings are to be encrypted a block is ``<random>.npz.enc``; both
kinds are read wherever they lie.
"""

from __future__ import annotations

import io
import uuid
import zipfile
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ragdiag.configuration import read_configuration
from ragdiag.errors import IndexFault, KeyMissing, StoreError
from ragdiag.privacy.encryption import decrypt_bytes, encrypt_bytes, key_id_of
from ragdiag.privacy.keys import Keyring, default_keys, keyring_for, workspace_keys
from ragdiag.progress import Progress, part, report
from ragdiag.records import Passage
from ragdiag.retrieval.embed import Encoder
from ragdiag.retrieval.files import atomic_file, full_disk_named
from ragdiag.settings import Workspace

Vectors = npt.NDArray[np.float32]
Rows = npt.NDArray[Any]
"""What is kept of one passage: a vector (d,), or one for each of its word pieces (t, d)."""

BLOCK = 512
"""Passages per block: what a killed run loses at most."""

NORM_TOLERANCE = 1e-3


ENCRYPTED = ".enc"


class EmbeddingCache:
    """Vectors by model hash and content hash, in a directory.

    ``seal`` encrypts what is written (None: it is written as it is), ``keys`` decrypt.
    """

    def __init__(
        self, directory: Path, *, seal: Keyring | None = None, keys: Keyring | None = None
    ) -> None:
        self.directory = directory
        self._seal = seal
        self._keys = keys or default_keys()

    def read(self, model_hash: str, wanted: set[str]) -> dict[str, Rows]:
        """The vectors of those ``wanted`` content hashes that are here.

        Raises KeyMissing where a block is encrypted and its key is not there.
        """
        found: dict[str, Rows] = {}
        for path in self._blocks(model_hash):
            found.update(self._read_block(path, wanted - found.keys()))
        return found

    def write(self, model_hash: str, vectors: Mapping[str, Rows]) -> None:
        """Add one block. Raises StoreFull; then nothing of it is kept."""
        folder = self.directory / model_hash
        kind = ".npz" if self._seal is None else f".npz{ENCRYPTED}"
        with (
            full_disk_named(folder),
            atomic_file(folder / f"{uuid.uuid4().hex}{kind}") as temporary,
        ):
            rows = _packed(vectors)
            if self._seal is None:
                np.savez(temporary, allow_pickle=False, **rows)
            else:
                block = io.BytesIO()
                np.savez(block, allow_pickle=False, **rows)
                temporary.write_bytes(encrypt_bytes(block.getvalue(), self._seal))

    def count(self, content_hashes: Collection[str]) -> int:
        """How many vectors of these there are, of every model, doubles included."""
        wanted = set(content_hashes)
        return sum(
            len(self._read_block(path, wanted))
            for folder in self.directory.glob("*/")
            for path in self._blocks(folder.name)
        )

    def forget(self, content_hashes: Collection[str]) -> int:
        """Take vectors out, of every model; returns how many there were."""
        gone = 0
        for folder in sorted(self.directory.glob("*/")):
            for path in self._blocks(folder.name):
                block = self._read_block(path, None)
                kept = {name: block[name] for name in block.keys() - set(content_hashes)}
                if len(kept) < len(block):
                    if kept:
                        self.write(folder.name, kept)
                    path.unlink(missing_ok=True)
                    gone += len(block) - len(kept)
        return gone

    def reseal(self) -> int:
        """Write anew the blocks that are not written as this cache writes; returns how many."""
        done = 0
        key_id = None if self._seal is None else self._seal.to_encrypt().key_id
        for folder in sorted(self.directory.glob("*/")):
            for path in self._blocks(folder.name):
                if (key_id_of(path) if path.suffix == ENCRYPTED else None) == key_id:
                    continue
                block = self._read_block(path, None)
                if block:
                    self.write(folder.name, block)
                path.unlink(missing_ok=True)
                done += 1
        return done

    def _blocks(self, model_hash: str) -> list[Path]:
        folder = self.directory / model_hash
        return sorted([*folder.glob("[!.]*.npz"), *folder.glob(f"[!.]*.npz{ENCRYPTED}")])

    def _read_block(self, path: Path, wanted: set[str] | None) -> dict[str, Rows]:
        """The vectors of ``wanted``, or all of them."""
        try:
            with np.load(self._stream(path), allow_pickle=False) as block:
                hashes = [content_hash.decode() for content_hash in block["hashes"].tolist()]
                rows = [row for row, name in enumerate(hashes) if wanted is None or name in wanted]
                if not rows:
                    return {}
                vectors = _unpacked(block)
        except FileNotFoundError:
            return {}
        except KeyMissing:
            raise
        except (StoreError, zipfile.BadZipFile, ValueError, KeyError, EOFError):
            path.unlink(missing_ok=True)
            return {}
        return {hashes[row]: vectors[row] for row in rows}

    def _stream(self, path: Path) -> Path | io.BytesIO:
        if path.suffix != ENCRYPTED:
            return path
        return io.BytesIO(decrypt_bytes(path.read_bytes(), self._keys, str(path)))


def _packed(vectors: Mapping[str, Rows]) -> dict[str, Rows]:
    rows = list(vectors.values())
    hashes = np.array([content_hash.encode() for content_hash in vectors], dtype="S64")
    if rows[0].ndim == 1:
        return {"hashes": hashes, "vectors": np.stack(rows)}
    counts = np.array([len(row) for row in rows])
    return {"hashes": hashes, "vectors": np.concatenate(rows), "counts": counts}


def _unpacked(block: Mapping[str, Rows]) -> Sequence[Rows]:
    vectors = block["vectors"]
    if "counts" not in block:
        return list(vectors)
    return np.split(vectors, np.cumsum(block["counts"])[:-1])


def open_cache(workspace: Workspace) -> EmbeddingCache:
    """The cache of ``workspace``, encrypted where its configuration says so.

    Raises KeyMissing where it says so and there is no key.
    """
    seal = keyring_for(read_configuration(workspace).privacy, "embeddings")
    return EmbeddingCache(workspace.embeddings, seal=seal, keys=workspace_keys(workspace))


def embed_passages(
    passages: Sequence[Passage],
    embedder: Encoder,
    cache: EmbeddingCache,
    progress: Progress | None = None,
) -> Vectors:
    """Unit vectors of ``passages``, float32 (n, d), computing only what the cache lacks.

    Raises IndexFault naming the first passage whose vector is not finite or not of norm 1.
    """

    def encode(texts: Sequence[str], ids: Sequence[str], progress: Progress) -> list[Rows]:
        vectors = embedder.encode(texts, progress)
        refuse_bad_vectors(vectors, ids)
        return list(vectors)

    known = encode_missing(
        passages, embedder.model_hash, encode, cache, title=embedder.title, progress=progress
    )
    return np.stack([known[passage.content_hash] for passage in passages])


def encode_missing(
    passages: Sequence[Passage],
    model_hash: str,
    encode: Callable[[Sequence[str], Sequence[str], Progress], Sequence[Rows]],
    cache: EmbeddingCache,
    *,
    title: bool = True,
    progress: Progress | None = None,
) -> dict[str, Rows]:
    """What ``cache`` keeps of ``passages`` by content hash, after ``encode`` has made what it
    lacked, from texts and passage ids, the longest first. Blocks are written as they are done: a
    run that was killed goes on where it stopped."""
    by_hash = {passage.content_hash: passage for passage in passages}
    known = cache.read(model_hash, set(by_hash))
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
        texts = [passage_text(passage, title=title) for passage in block]
        rows = encode(texts, [one.passage_id for one in block], _saying(message, stretch))
        fresh = {passage.content_hash: rows[i] for i, passage in enumerate(block)}
        cache.write(model_hash, fresh)
        known.update(fresh)
    return known


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
