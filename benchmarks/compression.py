"""How small an index may be before it finds less: real texts, real questions, exact neighbours.

    python -m benchmarks.compression SCRATCH BEIR_FOLDER [BEIR_FOLDER …] >> docs/retrieval.md

Every passage of the folders and every sentence of them is a text to be found, so that there are
tens of thousands without any noise. Their vectors are kept in SCRATCH and made once. Of each
setting the effort that finds most is shown; it is chosen on one half of the questions and told from
the other.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.retrieval import read_texts
from ragdiag.records import Estimate
from ragdiag.retrieval.ann.tuning import Task, Trial, make_task, try_setting
from ragdiag.retrieval.embed import load_embedder
from ragdiag.retrieval.text import split_sentences
from ragdiag.version import AnnSpec, EmbedderSpec

QUESTIONS, K, DEPTH = 600, 10, 100
LEAST = 20
"""Characters of a sentence."""

SETTINGS = (
    AnnSpec(kind="flat"),
    AnnSpec(kind="flat_sq8"),
    AnnSpec(kind="flat_sq8", reduce="pca", dimensions=336),
    AnnSpec(kind="flat_sq8", reduce="pca", dimensions=320),
    AnnSpec(kind="hnsw"),
    AnnSpec(kind="hnsw_sq8"),
    AnnSpec(kind="rabitq", refine="sq8"),
    AnnSpec(kind="rabitq", refine="sq6"),
    AnnSpec(kind="rabitq", refine="sq6", nlist=64),
    AnnSpec(kind="rabitq", refine="sq4"),
    AnnSpec(kind="opq", refine="sq6"),
    AnnSpec(kind="rabitq", refine="sq8", reduce="pca", dimensions=256),
)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("scratch", type=Path)
    parser.add_argument("folders", type=Path, nargs="+")
    given = parser.parse_args()
    texts = list(dict.fromkeys(text for folder in given.folders for text in told(folder)))
    asked = [
        text for folder in given.folders for text in read_texts(folder / "queries.jsonl", ("text",))
    ]
    drawn = np.random.default_rng(0).permutation(len(asked))[:QUESTIONS]
    vectors = encoded(texts, given.scratch / "texts.npy")
    questions = encoded([asked[at] for at in drawn], given.scratch / "questions.npy")
    print(
        f"{len(texts):,} real texts, {vectors.shape[1]} dimensions, {len(questions)} questions.\n"
    )
    print("| index | bytes a vector | of flat | recall@10, choosing | confirming | p95 ms |")
    print("|---|---|---|---|---|---|")
    task = make_task(vectors, questions, K, DEPTH)
    for spec in SETTINGS:
        print(row(spec, best_of(task, spec), vectors.shape[1] * 4), flush=True)


def told(folder: Path) -> list[str]:
    """The passages of a folder, and their sentences."""
    passages = read_texts(folder / "corpus.jsonl", ("text",))
    sentences = (one for text in passages for one in split_sentences(text) if len(one) >= LEAST)
    return [*passages, *sentences]


def encoded(texts: Sequence[str], kept: Path) -> npt.NDArray[np.float32]:
    if kept.is_file():
        found: npt.NDArray[np.float32] = np.load(kept)
        if len(found) == len(texts):
            return found
    vectors = load_embedder(EmbedderSpec()).encode(texts)
    np.save(kept, vectors)
    return vectors


def best_of(task: Task, spec: AnnSpec) -> Trial:
    """The cheapest of the efforts that find most."""
    trials = try_setting(task, spec)
    most = max(trial.recall.value for trial in trials)
    return min((t for t in trials if t.recall.value == most), key=lambda trial: trial.p95_ms.value)


def row(spec: AnnSpec, trial: Trial, whole: int) -> str:
    name = f"{spec.kind}, {spec.refine}" if spec.kind in ("rabitq", "opq") else spec.kind
    if spec.nlist is not None:
        name += f", {spec.nlist} lists"
    if spec.reduce != "none":
        name += f", PCA {spec.dimensions}"
    size = trial.bytes_per_vector
    cells = [name, f"{size:.0f}", f"{whole / size:.2f} × smaller"]
    cells += [shown(trial.recall), shown(trial.confirmed), f"{trial.p95_ms.value:.1f}"]
    return "| " + " | ".join(cells) + " |"


def shown(one: Estimate) -> str:
    return f"{one.value:.3f} ({one.low:.3f}–{one.high:.3f})"


if __name__ == "__main__":
    main()
