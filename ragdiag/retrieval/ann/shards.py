"""Passages in groups, by topic or by time, and which groups a question is taken to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from ragdiag.ann_spec import AnnSpec
from ragdiag.errors import IndexFault
from ragdiag.records import PassageMetadata
from ragdiag.retrieval.ann.index import Mask, Vectors
from ragdiag.retrieval.ann.kinds import REBUILD

MOST = 64
"""Groups that are worth an index of their own; the smallest of more share one."""

OTHERS = "(others)"


@dataclass(frozen=True)
class Shards:
    """``of`` (n,) is the shard of each position; ``centroids`` (s, d) are unit vectors."""

    labels: tuple[str, ...]
    of: npt.NDArray[np.int16]
    centroids: Vectors

    @cached_property
    def sizes(self) -> npt.NDArray[np.int64]:
        """Passages by shard."""
        return np.bincount(self.of, minlength=len(self.labels))

    def positions(self) -> list[npt.NDArray[np.int64]]:
        """Those of each shard, ascending."""
        return [np.flatnonzero(self.of == shard) for shard in range(len(self.labels))]

    def route(
        self, vector: Vectors, most: int | None, enough: int, allowed: Mask | None = None
    ) -> list[int]:
        """The ``most`` shards nearest to ``vector`` (d,) that hold something ``allowed`` (n,), and
        more while they hold fewer than ``enough`` between them; None are all."""
        held = self.sizes
        if allowed is not None:
            held = np.bincount(self.of[allowed], minlength=len(self.labels))
        nearest = np.argsort(-(self.centroids @ vector), kind="stable").tolist()
        chosen: list[int] = []
        found = 0
        for shard in nearest:
            if most is not None and len(chosen) >= most and found >= enough:
                break
            if held[shard]:
                chosen.append(shard)
                found += int(held[shard])
        return chosen

    def save(self, path: Path) -> None:
        np.savez(path, labels=np.array(self.labels), of=self.of, centroids=self.centroids)


def make_shards(known: Sequence[PassageMetadata], vectors: Vectors, spec: AnnSpec) -> Shards | None:
    """The shards that ``spec`` asks for, of ``vectors`` (n, d); None for none."""
    if spec.shard_by == "none":
        return None
    given = [_label(one, spec) for one in known]
    counts = Counter(given)
    kept = {label for label, _ in counts.most_common(MOST if len(counts) <= MOST else MOST - 1)}
    placed = [label if label in kept else OTHERS for label in given]
    labels = tuple(sorted(set(placed)))
    numbers = {label: number for number, label in enumerate(labels)}
    of = np.array([numbers[label] for label in placed], dtype=np.int16)
    means = [vectors[of == shard].mean(axis=0) for shard in range(len(labels))]
    centroids = np.array([mean / (np.linalg.norm(mean) or 1.0) for mean in means], dtype=np.float32)
    return Shards(labels, of, centroids)


def load_shards(path: Path) -> Shards:
    """What ``save`` wrote. Raises IndexFault where it cannot be read."""
    try:
        with np.load(path, allow_pickle=False) as kept:
            return Shards(tuple(kept["labels"].tolist()), kept["of"], kept["centroids"])
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        raise IndexFault(f"cannot read {path}", remedy=REBUILD) from None


def _label(metadata: PassageMetadata, spec: AnnSpec) -> str:
    """A passage of which it is not known has the label ""."""
    if spec.shard_by == "topic":
        return metadata.topic
    at = metadata.published_at
    if at is None:
        return ""
    if spec.shard_period == "year":
        return f"{at.year:04}"
    if spec.shard_period == "quarter":
        return f"{at.year:04}-Q{(at.month + 2) // 3}"
    return f"{at.year:04}-{at.month:02}"
