"""What a version's index takes and gives: bytes on disk, memory, search time, questions a second.

Kept with the machine it was measured on; times on another machine, or beside other work, are other
times.
"""

from __future__ import annotations

import os
import platform
import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ragdiag.errors import InputError
from ragdiag.metrics.latency import quantile_estimate
from ragdiag.progress import Progress, report
from ragdiag.records import Estimate
from ragdiag.retrieval.builds import load_index
from ragdiag.retrieval.hybrid import HybridRetriever
from ragdiag.retrieval.manifest import verified_manifest
from ragdiag.retrieval.serving import require_serving, serving_faults
from ragdiag.settings import Workspace
from ragdiag.store.corpus import load_questions
from ragdiag.store.lake import Lake
from ragdiag.store.measurements import save_measurement
from ragdiag.version import Version

SEED = 0


@dataclass(frozen=True)
class IndexMeasurement:
    """Bytes are those of the build's files; ``memory_mb`` is what loading index and encoder added
    to the process, before any question; times are of retrieval alone, one question at a time."""

    version: Version
    build_id: str
    passages: int
    vector_bytes: int
    lexical_bytes: int
    memory_mb: float
    p50_ms: Estimate
    p95_ms: Estimate
    questions_per_second: float
    questions: int

    def to_json(self) -> dict[str, Any]:
        return {
            "version": self.version.name,
            "build_id": self.build_id,
            "passages": self.passages,
            "vector_bytes": self.vector_bytes,
            "lexical_bytes": self.lexical_bytes,
            "memory_mb": self.memory_mb,
            "p50_ms": self.p50_ms.to_json(),
            "p95_ms": self.p95_ms.to_json(),
            "questions_per_second": self.questions_per_second,
            "questions": self.questions,
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        }

    def to_text(self) -> str:
        each = (self.vector_bytes + self.lexical_bytes) / self.passages
        return (
            f"build {self.build_id}, {self.passages} passages: vectors "
            f"{self.vector_bytes / 1e6:.1f} MB, words {self.lexical_bytes / 1e6:.1f} MB "
            f"({each:.0f} bytes a passage), {self.memory_mb:.0f} MB of memory\n"
            f"retrieval p50 {self.p50_ms.value:.1f} ms, p95 {self.p95_ms.value:.1f} ms, "
            f"{self.questions_per_second:.0f} questions a second ({self.questions} questions)"
        )


def measure_index(
    lake: Lake,
    workspace: Workspace,
    version: Version,
    questions: int = 200,
    progress: Progress | None = None,
) -> IndexMeasurement:
    """Load what serves ``version``, ask it, and keep what that took.

    Raises InputError without questions, UnknownName where there is no index.
    """
    texts = sorted({question.text for question in load_questions(lake)})
    if not texts:
        raise InputError(
            "there is no question to ask",
            remedy="import some: ragdiag import gold PATH, or: ragdiag import beir DIR",
        )
    drawn = np.random.default_rng(SEED).permutation(len(texts))[:questions]
    before = _resident_mb()
    serving = require_serving(lake, workspace, version)
    with serving_faults(workspace, version):
        index = load_index(workspace, serving, version.spec)
    retriever = HybridRetriever(index, version.spec)
    memory = _resident_mb() - before
    times = _ask(retriever, [texts[at] for at in drawn], progress)
    files = verified_manifest(workspace.indexes / index.build_id)["files"]
    lexical = sum(facts["bytes"] for name, facts in files.items() if name.startswith("lexical"))
    vectors = sum(facts["bytes"] for name, facts in files.items() if name.endswith(".faiss"))
    found = IndexMeasurement(
        version,
        index.build_id,
        len(index.passage_ids),
        vectors,
        lexical,
        round(memory, 1),
        quantile_estimate(times, 0.5),
        quantile_estimate(times, 0.95),
        1e3 * len(times) / sum(times),
        len(times),
    )
    save_measurement(lake, version.version_id, index.build_id, found.to_json())
    return found


def _ask(
    retriever: HybridRetriever, texts: Sequence[str], progress: Progress | None
) -> list[float]:
    """Milliseconds of each retrieval; the first pays for what is loaded on first use, and is not
    among them."""
    retriever.retrieve(texts[0])
    times = []
    for number, text in enumerate(texts, start=1):
        started = time.perf_counter()
        retriever.retrieve(text)
        times.append((time.perf_counter() - started) * 1e3)
        report(progress, number / len(texts), f"asked {number} of {len(texts)}")
    return times


def _resident_mb() -> float:
    """Memory of this process now; its peak where the system does not tell."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            pages = int(file.read().split()[1])
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
