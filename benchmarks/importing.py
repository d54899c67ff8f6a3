"""Rows per second of ``import logs``: one log as JSONL and as Parquet, then each again.

Run by hand: ``python -m benchmarks.importing [ROWS]``. A row has a question, an answer, ten dense
hits, five contexts with their texts (of 2,000 passages), latencies and tokens. Wall time depends on
what else the machine does, so processor time stands beside it.
"""

from __future__ import annotations

import json
import random
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ragdiag.console import table
from ragdiag.importers.logs.import_logs import import_logs
from ragdiag.settings import Workspace
from ragdiag.store.lake import open_lake

WORDS = ("the", "request", "was", "answered", "by", "a", "service", "that", "logs", "its", "rows")


def row(number: int, chance: random.Random, texts: list[str]) -> dict[str, Any]:
    found = chance.sample(range(len(texts)), 10)
    return {
        "id": f"r{number:08d}",
        "time": 1_750_000_000 + number,
        "version": f"bot-{number % 3}",
        "user": f"user-{number % 5_000}",
        "question": " ".join(chance.choices(WORDS, k=10)),
        "answer": " ".join(chance.choices(WORDS, k=40)),
        "dense": [{"id": f"p{p}", "score": 1 - rank / 10} for rank, p in enumerate(found)],
        "contexts": [{"id": f"p{p}", "text": texts[p], "score": 0.5} for p in found[:5]],
        "latency": {"dense": chance.uniform(1, 9), "total": chance.uniform(100, 900)},
        "prompt_tokens": 500,
        "completion_tokens": 40,
    }


def measure(name: str, path: Path, workspace: Workspace, rows: int) -> dict[str, Any]:
    lake = open_lake(workspace, create=True)
    wall, processor = time.perf_counter(), time.process_time()
    report = import_logs(lake, workspace, path)
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    counts = report.kinds["request"]
    return {
        "log": name,
        "new": counts.new,
        "repeated": counts.repeated,
        "MB": f"{path.stat().st_size / 1e6:.0f}",
        "wall s": f"{wall:.1f}",
        "rows/s": f"{rows / wall:,.0f}",
        "processor s": f"{processor:.1f}",
        "rows/processor s": f"{rows / processor:,.0f}",
        "peak MB": f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3:.0f}",
    }


def main(rows: int) -> None:
    chance = random.Random(7)
    texts = [" ".join(chance.choices(WORDS, k=40)) for _ in range(2_000)]
    with tempfile.TemporaryDirectory() as folder:
        lines, columns = Path(folder, "log.jsonl"), Path(folder, "log.parquet")
        with lines.open("w", encoding="utf-8") as file:
            writer = None
            for start in range(0, rows, 10_000):
                part = [row(n, chance, texts) for n in range(start, min(start + 10_000, rows))]
                file.writelines(json.dumps(one) + "\n" for one in part)
                batch = pa.Table.from_pylist(part)
                writer = writer or pq.ParquetWriter(columns, batch.schema)
                writer.write_table(batch)
            if writer is not None:
                writer.close()
        found = []
        for name, path in (("JSONL", lines), ("Parquet", columns)):
            workspace = Workspace(Path(folder, name))
            for again in ("", ", again"):
                found.append(measure(f"{name}{again}", path, workspace, rows))
                print(table(found[-1:]), file=sys.stderr, flush=True)
        print(table(found))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000)
