"""rank-bm25 and the embedded Milvus over so many passages that memory does not hold them beside
ragdiag's own indexes: what benchmarks/retrieval.py leaves out at a million, in a run of its own.

    python -m benchmarks.slow_paths 1_000_000 BEIR_FOLDER >> docs/retrieval.md
"""

from __future__ import annotations

import argparse
import resource
from pathlib import Path

from benchmarks.retrieval import (
    SLOW_QUESTIONS,
    ask_in_turn,
    clocked,
    make_spec,
    material,
    milvus_lite,
    row,
)
from ragdiag.retrieval.lexical import build_lexical
from ragdiag.version import AnnSpec


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("passages", type=int)
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    spec = make_spec()
    embedder, texts, vectors, questions = material(given.folder, given.passages)
    encoded = {question: embedder.encode([question])[0] for question in questions}

    print("| way | p50 ms | p95 ms | p99 ms | questions |\n|---|---|---|---|---|")
    found, told = milvus_lite(vectors, AnnSpec(kind="hnsw"), encoded)
    print(row("Milvus Lite alone", found["Milvus Lite alone"]), flush=True)
    del vectors
    assert spec.lexical is not None
    slow = spec.lexical.model_copy(update={"engine": "rank_bm25"})
    words, seconds = clocked(lambda: build_lexical(texts, slow))
    times = ask_in_turn({"rank-bm25 alone": words.scores}, questions[:SLOW_QUESTIONS])
    print(row("rank-bm25 alone", times["rank-bm25 alone"]))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1000
    print(f"{told} rank-bm25 was built in {seconds:.0f} s. Peak memory {peak:,} MB.")


if __name__ == "__main__":
    main()
