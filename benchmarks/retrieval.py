"""How fast a question is answered by both paths, beside the same libraries called by hand.

    python -m benchmarks.retrieval 100_000 BEIR_FOLDER [--kind hnsw] >> docs/retrieval.md

The passages of BEIR_FOLDER are repeated with noise: a third of the words of each copy are drawn
from the whole corpus, and its vector is turned a little. Fine for speed, not for recall. Questions
are the folder's own, encoded as they come; every way of answering is asked each question in turn,
so that a busy moment of the machine hits all alike.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import resource
import threading
import time
from collections.abc import Callable
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.index_bytes import embedded_milvus, words_bytes
from ragdiag.metrics.latency import quantile_estimate
from ragdiag.retrieval.ann.index import Ann, Effort, build_ann
from ragdiag.retrieval.ann.ladder import resolve
from ragdiag.retrieval.builds import Index
from ragdiag.retrieval.embed import Embedder, load_embedder
from ragdiag.retrieval.fusion import COSINE_BOUNDS, Span, convex
from ragdiag.retrieval.hybrid import HybridRetriever
from ragdiag.retrieval.lexical import Lexical, build_lexical, tokenise
from ragdiag.version import AnnSpec, Spec

QUESTIONS = 300
SLOW_QUESTIONS = 10
"""Of rank-bm25, which takes seconds a question where there are many passages."""

MILVUS_QUESTIONS = 100

NOISE = 0.35
DEADLINE_MS = 50.0
DEPTH = 100

Vectors = npt.NDArray[np.float32]
Way = Callable[[str], Any]


def read_texts(path: Path, fields: tuple[str, ...]) -> list[str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return ["\n".join(json.loads(line).get(name, "") for name in fields) for line in lines]


def grown(texts: list[str], vectors: Vectors, n: int) -> tuple[list[str], Vectors]:
    """``n`` passages: the given ones, then copies with noise."""
    chance = np.random.default_rng(0)
    words = np.array(" ".join(texts).split())
    made = list(texts[:n])
    while len(made) < n:
        source = texts[len(made) % len(texts)].split()
        drawn = words[chance.integers(len(words), size=len(source))]
        kept = chance.random(len(source)) < 2 / 3
        made.append(" ".join(np.where(kept, source, drawn)))
    rows = vectors[np.arange(n) % len(vectors)].copy()
    rows[len(vectors) :] += chance.normal(
        scale=NOISE / np.sqrt(rows.shape[1]), size=rows[len(vectors) :].shape
    ).astype(np.float32)
    return made, rows / np.linalg.norm(rows, axis=1, keepdims=True)


def by_hand(embedder: Embedder, lexical: Any, ann: Any, effort: Effort) -> Way:
    """Encoder, bm25s and FAISS called directly, and what they found weighed in a few lines."""
    import faiss

    bm25, index = lexical._index, ann._index
    parameters = (
        faiss.SearchParametersHNSW(efSearch=max(DEPTH, effort.ef_search))
        if isinstance(index, faiss.IndexHNSW)
        else None
    )
    vectors = ann._kept

    def answer(question: str) -> Any:
        ids = bm25.get_tokens_ids(tokenise(question))
        scores = bm25.get_scores_from_ids(ids)
        top = np.argpartition(-scores, DEPTH)[:DEPTH]
        vector = embedder.encode([question])[0]
        _, found = index.search(vector[np.newaxis], DEPTH, params=parameters)
        union = np.union1d(top, found[0])
        cosines = vectors[union] @ vector
        return convex(
            dict(zip(union.tolist(), cosines.tolist(), strict=True)),
            dict(zip(union.tolist(), scores[union].tolist(), strict=True)),
            alpha=0.5,
            dense_span=COSINE_BOUNDS,
            lexical_span=Span(0.0, lexical.upper_bound(question)),
        )[:DEPTH]

    return answer


def ask_in_turn(ways: dict[str, Way], questions: list[str]) -> dict[str, list[float]]:
    """Milliseconds of every question each way."""
    for way in ways.values():
        way(questions[0])
    times: dict[str, list[float]] = {name: [] for name in ways}
    for question in questions:
        for name, way in ways.items():
            started = time.perf_counter()
            way(question)
            times[name].append((time.perf_counter() - started) * 1e3)
    return times


def queries_per_second(way: Way, questions: list[str], threads: int) -> float:
    def work(part: list[str]) -> None:
        for question in part:
            way(question)

    workers = [
        threading.Thread(target=work, args=(questions[at::threads],)) for at in range(threads)
    ]
    started = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return len(questions) / (time.perf_counter() - started)


def row(name: str, times: list[float]) -> str:
    cells = [f"{quantile_estimate(times, q).value:.1f}" for q in (0.5, 0.95, 0.99)]
    return f"| {name} | {' | '.join(cells)} | {len(times)} |"


class Hanging:
    """An encoder that takes a second over everything."""

    def __init__(self, encoder: Embedder) -> None:
        self.model_hash, self.dimension, self.title = (
            encoder.model_hash,
            encoder.dimension,
            encoder.title,
        )
        self._encoder = encoder

    def encode(self, texts: Any, progress: Any = None) -> Vectors:
        time.sleep(1.0)
        return self._encoder.encode(texts, progress)


def fallback(index: Index, embedder: Embedder, questions: list[str]) -> list[float]:
    """Milliseconds beyond the deadline until words alone have answered."""
    spec = make_spec(degradation={"dense_ms": DEADLINE_MS, "failures": 1000})
    retriever = HybridRetriever(index, spec, Hanging(embedder))
    late = []
    for question in questions[:40]:
        started = time.perf_counter()
        found = retriever.retrieve(question)
        assert found.degraded_reason is not None
        late.append((time.perf_counter() - started) * 1e3 - DEADLINE_MS)
        time.sleep(0.15)  # the workers that hang come free
    return late


def milvus_lite(vectors: Vectors, spec: AnnSpec, encoded: dict[str, Vectors]) -> tuple[Any, str]:
    """Times of the embedded Milvus over the same vectors, and a sentence on what it takes."""
    with embedded_milvus(vectors, spec) as filled:
        way = {"Milvus Lite alone": lambda question: filled.index.search(encoded[question], DEPTH)}
        times = ask_in_turn(way, list(encoded)[:MILVUS_QUESTIONS])
        each = filled.bytes() / len(vectors)
    return times, (
        f"\nMilvus Lite was filled and had its index after {filled.seconds:.0f} s; rows and index "
        f"take {each:.0f} bytes a passage on disk."
    )


def make_spec(**tables: Any) -> Spec:
    return Spec.model_validate(
        {
            "embedder": {},
            "lexical": {},
            "fusion": {"kind": "convex"},
            "generator": {"kind": "extractive"},
            **tables,
        }
    )


def clocked(work: Callable[[], Any]) -> tuple[Any, float]:
    started = time.perf_counter()
    return work(), time.perf_counter() - started


def material(folder: Path, n: int) -> tuple[Embedder, list[str], Vectors, list[str]]:
    """Encoder, ``n`` passages, their vectors, and the questions that are asked of them."""
    embedder = load_embedder(make_spec().embedder)  # type: ignore[arg-type]
    source = read_texts(folder / "corpus.jsonl", ("title", "text"))
    base = embedder.encode(source[: min(len(source), n)])
    texts, vectors = grown(source, base, n)
    asked = read_texts(folder / "queries.jsonl", ("text",))
    chance = np.random.default_rng(1)
    return (
        embedder,
        texts,
        vectors,
        [asked[at] for at in chance.permutation(len(asked))[:QUESTIONS]],
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("passages", type=int)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kind", default="auto")
    parser.add_argument("--milvus", action="store_true", help="Ask the embedded Milvus as well.")
    parser.add_argument("--without-reference", action="store_true", help="Leave rank-bm25 out.")
    given = parser.parse_args()
    embedder, texts, vectors, questions = material(given.folder, given.passages)
    spec = make_spec(ann={"kind": given.kind})
    made: AnnSpec = resolve(spec.ann, *vectors.shape)
    ann: Ann
    lexical: Lexical
    ann, ann_seconds = clocked(lambda: build_ann(vectors, made))
    assert spec.lexical is not None
    lexical, words_seconds = clocked(lambda: build_lexical(texts, spec.lexical))
    index = Index("bench", tuple(f"p{at}" for at in range(len(texts))), lexical, ann)
    gc.collect()
    spec = spec.model_copy(update={"ann": made})
    hybrid = HybridRetriever(index, spec, embedder)
    effort = Effort.of(made)

    ways: dict[str, Way] = {"hybrid": hybrid.retrieve}
    if made.kind in ("flat", "hnsw"):
        ways["encoder + bm25s + faiss by hand"] = by_hand(embedder, lexical, ann, effort)
    ways["bm25s alone"] = lexical.scores
    ways["encoder alone"] = lambda question: embedder.encode([question])
    encoded = {question: embedder.encode([question])[0] for question in questions}
    ways["faiss alone"] = lambda question: ann.search(encoded[question], DEPTH, effort=effort)
    times = ask_in_turn(ways, questions)
    if not given.without_reference:
        slow = spec.lexical.model_copy(update={"engine": "rank_bm25"})
        reference = build_lexical(texts, slow)
        times |= ask_in_turn({"rank-bm25 alone": reference.scores}, questions[:SLOW_QUESTIONS])

    of_milvus = ""
    if given.milvus:
        asked_of_it, of_milvus = milvus_lite(vectors, made, encoded)
        times |= asked_of_it

    print(f"\n## {given.passages:,} passages, {made.kind}, {time.strftime('%Y-%m-%d')}\n")
    libraries = ", ".join(
        f"{name} {installed_version(name)}" for name in ("faiss-cpu", "bm25s", "torch")
    )
    print(f"{platform.machine()}, 2 cores, Python {platform.python_version()}, {libraries}.\n")
    print("| way | p50 ms | p95 ms | p99 ms | questions |\n|---|---|---|---|---|")
    for name, taken in times.items():
        print(row(name, taken))
    print(
        row("beyond a deadline of 50 ms, dense path hanging", fallback(index, embedder, questions))
    )
    if "encoder + bm25s + faiss by hand" in times:
        ratios = np.array(times["hybrid"]) / np.array(times["encoder + bm25s + faiss by hand"])
        print(
            f"\nHybrid takes {np.median(ratios):.2f} × what the libraries take by hand (median of "
            f"{len(ratios)} questions asked both ways in turn)."
        )
    for threads in (1, 2):
        rate = queries_per_second(hybrid.retrieve, questions, threads)
        print(f"\n{rate:.0f} questions a second with {threads} thread(s).")
    print(of_milvus)
    words_each = words_bytes(lexical) / len(texts)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1000
    print(
        f"\nBuilding: vectors {ann_seconds:.1f} s, words {words_seconds:.1f} s. Vector index "
        f"{ann.bytes / len(texts):.0f} bytes a passage, words {words_each:.0f} on "
        f"disk. Peak memory {peak:,} MB, the texts "
        f"{'' if given.without_reference else 'and rank-bm25 '}included."
    )


if __name__ == "__main__":
    main()
