"""One vector index of several: each shard's own, searched where the question is taken to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ragdiag.ann_spec import AnnSpec
from ragdiag.retrieval.ann.index import (
    Ann,
    Effort,
    Mask,
    Positions,
    Scores,
    Vectors,
    build_ann,
    load_ann,
)
from ragdiag.retrieval.ann.kinds import least_vectors
from ragdiag.retrieval.ann.shards import Shards


class ShardedIndex:
    """A :class:`VectorIndex` over FAISS indexes. Positions are those of the whole; scores do not
    depend on the shard, so that searching all of flat shards is searching one flat index."""

    def __init__(self, shards: Shards, parts: Sequence[Ann], spec: AnnSpec) -> None:
        self._shards, self._parts, self._spec = shards, parts, spec
        self._positions = shards.positions()
        self._local = np.empty(len(shards.of), dtype=np.int64)
        for positions in self._positions:
            self._local[positions] = np.arange(len(positions))
        self.size, self.dimension = len(shards.of), parts[0].dimension

    @property
    def kinds(self) -> list[str]:
        return [part.kind for part in self._parts]

    def search(
        self,
        vector: Vectors,
        depth: int,
        *,
        effort: Effort | None = None,
        allowed: Mask | None = None,
    ) -> tuple[Positions, Scores]:
        """As :class:`VectorIndex` has it, over the shards that are nearest to ``vector``."""
        effort = effort or Effort.of(self._spec)
        found_positions = [np.empty(0, np.int64)]
        found_scores = [np.empty(0, np.float32)]
        for shard in self._shards.route(vector, effort.shards, depth, allowed):
            positions = self._positions[shard]
            local, scores = self._parts[shard].search(
                vector,
                depth,
                effort=effort,
                allowed=None if allowed is None else allowed[positions],
            )
            found_positions.append(positions[local])
            found_scores.append(scores)
        positions, scores = np.concatenate(found_positions), np.concatenate(found_scores)
        best = np.lexsort((positions, -scores))[:depth]
        return positions[best], scores[best]

    def scores(self, vector: Vectors, positions: Positions) -> Scores:
        scores = np.empty(len(positions), dtype=np.float32)
        for shard, here, local in self._by_shard(positions):
            scores[here] = self._parts[shard].scores(vector, local)
        return scores

    def vectors(self, positions: Positions) -> Vectors:
        vectors = np.empty((len(positions), self.dimension), dtype=np.float32)
        for shard, here, local in self._by_shard(positions):
            vectors[here] = self._parts[shard].vectors(local)
        return vectors

    def score_range(self, vector: Vectors) -> tuple[float, float]:
        lows, highs = zip(*(part.score_range(vector) for part in self._parts), strict=True)
        return min(lows), max(highs)

    def save(self, folder: Path) -> None:
        folder.mkdir()
        for number, part in enumerate(self._parts):
            part.save(_file(folder, number))

    def _by_shard(self, positions: Positions) -> Iterator[tuple[int, Mask, Positions]]:
        """Each shard that holds some of ``positions``, which they are, and where in the shard."""
        of = self._shards.of[positions]
        for shard in np.unique(of).tolist():
            here = of == shard
            yield shard, here, self._local[positions[here]]


def build_sharded(vectors: Vectors, shards: Shards, spec: AnnSpec) -> ShardedIndex:
    """Index unit ``vectors`` (n, d) in ``shards``. A shard that is too small for the spec's kind to
    learn from is flat."""
    parts = []
    for positions in shards.positions():
        small = len(positions) < least_vectors(spec.kind)
        own = spec.model_copy(update={"kind": "flat"}) if small else spec
        parts.append(build_ann(vectors[positions], own))
    return ShardedIndex(shards, parts, spec)


def load_sharded(
    folder: Path, shards: Shards, kinds: Sequence[str], spec: AnnSpec, dimension: int
) -> ShardedIndex:
    """What ``save`` wrote, ``kinds`` by shard. Raises IndexFault as :func:`load_ann`."""
    parts = [
        load_ann(
            _file(folder, number),
            spec.model_copy(update={"kind": kind}),
            len(positions),
            dimension,
        )
        for number, (kind, positions) in enumerate(zip(kinds, shards.positions(), strict=True))
    ]
    return ShardedIndex(shards, parts, spec)


def _file(folder: Path, number: int) -> Path:
    return folder / f"{number:02}.faiss"
