"""Scoring TREC files of 100,000 questions with 100 hits each, beside pytrec_eval in the same run.

    python -m benchmarks.scoring SCRATCH [QUESTIONS HITS] [--beside] >> docs/scale.md

Each way is a process of its own, so that its memory is its own; reading the files counts.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

METRICS = ["recall_10", "recall_100", "recip_rank", "map", "ndcg_cut_10"]
RELEVANT = 3
"""Judged passages of a question."""

BESIDE = """
import sys, pytrec_eval
with open(sys.argv[1]) as qrels, open(sys.argv[2]) as run:
    judged, found = pytrec_eval.parse_qrel(qrels), pytrec_eval.parse_run(run)
scores = pytrec_eval.RelevanceEvaluator(judged, set(sys.argv[3:])).evaluate(found)
for name in sys.argv[3:]:
    print(name, sum(one[name] for one in scores.values()) / len(scores))
"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("scratch", type=Path)
    parser.add_argument("questions", type=int, nargs="?", default=100_000)
    parser.add_argument("hits", type=int, nargs="?", default=100)
    parser.add_argument("--beside", action="store_true", help="pytrec_eval as well.")
    given = parser.parse_args()
    qrels, run = write(given.scratch, given.questions, given.hits)
    ragdiag = ["-m", "ragdiag", "score", "--qrels", str(qrels), "--run", str(run)]
    ways = {"ragdiag score": [*ragdiag, *(part for name in METRICS for part in ("-m", name))]}
    if given.beside:
        ways["pytrec_eval"] = ["-c", BESIDE, str(qrels), str(run), *METRICS]
    print(f"{given.questions:,} questions × {given.hits} hits, {run.stat().st_size / 1e6:.0f} MB\n")
    print("| way | seconds | peak MB | " + " | ".join(METRICS) + " |\n|---" + "|---" * 7 + "|")
    for name, command in ways.items():
        print(row(name, command), flush=True)


def write(folder: Path, questions: int, hits: int) -> tuple[Path, Path]:
    """Made once: passages drawn by chance, relevant ones among them or not."""
    qrels, run = (folder / f"{name}-{questions}-{hits}.trec" for name in ("qrels", "run"))
    if run.is_file() and qrels.is_file():
        return qrels, run
    chance = np.random.default_rng(0)
    with qrels.open("w") as judged, run.open("w") as found:
        for number in range(questions):
            passages = chance.permutation(4 * hits)
            scores = -np.sort(-chance.random(hits))
            judged.writelines(
                f"q{number} 0 d{p} {1 + p % 3}\n" for p in chance.choice(passages, RELEVANT, False)
            )
            found.writelines(
                f"q{number} Q0 d{p} {rank} {score:.6f} bench\n"
                for rank, (p, score) in enumerate(zip(passages, scores, strict=False), start=1)
            )
    return qrels, run


def row(name: str, command: list[str]) -> str:
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    started = time.perf_counter()
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=True)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    told = f"{peak / 1e3:.0f}" if peak > before else "no more"
    values = {line.split()[0]: float(line.split()[-1]) for line in done.stdout.splitlines()}
    cells = [name, f"{seconds:.1f}", told, *(f"{values[metric]:.4f}" for metric in METRICS)]
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
