"""How long an interval takes that is resampled: 10,000 questions, 9,999 resamples.

python -m benchmarks.resampling >> docs/scale.md
"""

from __future__ import annotations

import time

import numpy as np

from ragdiag.stats.bootstrap import RESAMPLES, bca_interval
from ragdiag.stats.cluster_bootstrap import cluster_mean

QUESTIONS, DOCUMENTS, ROUNDS = 10_000, 1_000, 5


def main() -> None:
    chance = np.random.default_rng(0)
    values = chance.random(QUESTIONS).tolist()
    documents = chance.integers(DOCUMENTS, size=QUESTIONS).tolist()
    ways = {
        f"BCa of a mean, {QUESTIONS:,} questions": lambda: bca_interval(values, seed=0),
        f"mean by {DOCUMENTS:,} documents": lambda: cluster_mean(values, documents),
    }
    print(
        f"{RESAMPLES:,} resamples, median of {ROUNDS} rounds.\n\n| interval | seconds |\n|---|---|"
    )
    for name, way in ways.items():
        times = []
        for _ in range(ROUNDS):
            started = time.perf_counter()
            way()
            times.append(time.perf_counter() - started)
        print(f"| {name} | {np.median(times):.2f} |")


if __name__ == "__main__":
    main()
