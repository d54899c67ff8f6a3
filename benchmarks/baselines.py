"""Retrieval quality of the plain versions on public BEIR folders, as a Markdown table.

    python -m benchmarks.baselines ../shared/data/covidqa [MORE_FOLDERS…] > docs/baselines.md

Each folder gets a temporary workspace: import, index, evaluate on its test split. Every version
runs in the same process on the same questions; intervals are 95 % BCa.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from ragdiag.importers.beir import import_beir
from ragdiag.settings import Workspace
from ragdiag.store.lake import close_lakes, open_lake
from ragdiag.store.results import save_version
from ragdiag.version import Version, parse_spec
from ragdiag.workflows.comparing.evaluate import evaluate
from ragdiag.workflows.indexing.build import build_version_index

SPLIT = "test"
GENERATOR = "[generator]\nkind = 'extractive'\n"
BOTH = "[embedder]\n[lexical]\n[fusion]\n"
VERSIONS = {
    "lexical (bm25s)": "[lexical]\n",
    "dense": "[embedder]\n",
    "dense, HNSW": "[embedder]\n[ann]\nkind = 'hnsw'\n",
    "RRF": BOTH + "kind = 'rrf'\n",
    "convex, bounds": BOTH + "kind = 'convex'\n",
    "convex, minmax": BOTH + "kind = 'convex'\nnormalisation = 'minmax'\n",
}
METRICS = ("MRR@10", "recall@10", "recall@100", "correct")


def main(folders: list[str]) -> None:
    print("# Baselines\n")
    print(f"`python -m benchmarks.baselines {' '.join(folders)}`, test split, 95 % intervals.\n")
    for folder in map(Path, folders):
        print(f"## {folder.name}\n")
        print("| version | " + " | ".join(METRICS) + " |")
        print("|---" * (len(METRICS) + 1) + "|", flush=True)
        with tempfile.TemporaryDirectory() as scratch:
            measure(folder, Workspace(Path(scratch)))
            close_lakes()
        print()


def measure(folder: Path, workspace: Workspace) -> None:
    lake = open_lake(workspace, create=True)
    import_beir(lake, folder)
    for name, spec in VERSIONS.items():
        version = Version(name, parse_spec(spec + GENERATOR, source=name))
        save_version(lake, version)
        build_version_index(lake, workspace, version)
        found = evaluate(lake, workspace, version, SPLIT)
        cells = [
            f"{found.metrics[metric].value:.3f}"
            f" ({found.metrics[metric].low:.3f}–{found.metrics[metric].high:.3f})"
            for metric in METRICS
        ]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
