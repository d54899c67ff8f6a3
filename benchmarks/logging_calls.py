"""What logging costs the caller, beside a standard ``logging.FileHandler`` that writes a JSON line
of the same size, as a Markdown table.

    python -m benchmarks.logging_calls

A request has four stages with ten hits each, an answer, citations and a user. Timed is everything
that the service's own thread does: for QueryLogger from opening the request to its end, for the
FileHandler building the same dictionary, ``json.dumps`` and the write. ``paced``: 200 requests a
second and thread; ``flat out``: as fast as they go, so that the background thread's work shows.
Nothing may be dropped in either. CPU is the caller's own, the mean of all calls; what the
background thread spends is below the table.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ragdiag import QueryLogger

QUESTION = "Which parameter of the optimiser decides how fast the weights change at the start?"
ANSWER = "The learning rate does, and the warm-up decides how soon it is reached. " * 3
STAGES = ("lexical", "dense", "fusion", "rerank")
HITS = [(f"torch.optim.lr_scheduler#{rank}", 1.0 / (rank + 1)) for rank in range(10)]
PER_THREAD = 2_000
PACE_S = 0.005
WARM_UP = 200


def log_request(logger: QueryLogger) -> None:
    with logger.request(QUESTION, user="user 4711", topic="optim") as request:
        for stage in STAGES:
            with request.stage(stage):
                pass
            request.hits(stage, HITS)
        request.answer(ANSWER, citations=["torch.optim.lr_scheduler#0"])
        request.usage(prompt_tokens=1_200, completion_tokens=60)


def log_line(logger: logging.Logger, size: int) -> None:
    """What a service without QueryLogger would write; padded to the length of a spool line."""
    latency = {}
    started = time.perf_counter_ns()
    line = {"request_id": "018bcfe5680070009b2e6b2f2a1c7d11", "asked_at": time.time()}
    for stage in STAGES:
        began = time.perf_counter_ns()
        latency[stage] = (time.perf_counter_ns() - began) / 1e6
        line[stage] = [{"passage_id": name, "score": score} for name, score in HITS]
    line.update(question=QUESTION, answer=ANSWER, latency_ms=latency, user="user 4711")
    line["total_ms"] = (time.perf_counter_ns() - started) / 1e6
    text = json.dumps(line)
    logger.info(text.ljust(size))


@dataclass(frozen=True)
class Spent:
    """Microseconds: of each call by the clock, sorted, and the mean of the caller's CPU time."""

    wall: list[float]
    cpu: float

    def row(self, name: str, threads: int, pace: str) -> str:
        median, late = self.wall[len(self.wall) // 2], self.wall[int(len(self.wall) * 0.99)]
        return f"| {name} | {threads} | {pace} | {median:.1f} | {late:.1f} | {self.cpu:.1f} |"


def measure(call: Callable[[], None], threads: int, pace_s: float) -> Spent:
    wall: list[list[float]] = [[] for _ in range(threads)]
    cpu = [0.0] * threads

    def run(thread: int) -> None:
        for number in range(PER_THREAD + WARM_UP):
            used, began = time.thread_time_ns(), time.perf_counter_ns()
            call()
            took, used = time.perf_counter_ns() - began, time.thread_time_ns() - used
            if number >= WARM_UP:
                wall[thread].append(took / 1e3)
                cpu[thread] += used / 1e3
            if pace_s:
                time.sleep(pace_s)

    workers = [threading.Thread(target=run, args=[thread]) for thread in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return Spent(sorted(value for own in wall for value in own), sum(cpu) / threads / PER_THREAD)


def import_ms() -> float:
    """CPU: the median of nine fresh interpreters, minus that of nine that import nothing."""

    def median(code: str) -> float:
        times = []
        for _ in range(9):
            before = os.times()
            subprocess.run([sys.executable, "-c", code], check=True)
            after = os.times()
            times.append(sum(after[2:4]) - sum(before[2:4]))
        return sorted(times)[4] * 1e3

    return median("from ragdiag import QueryLogger") - median("pass")


def main() -> None:
    print("| logger | threads | pace | median µs | p99 µs | CPU µs |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        logger = QueryLogger(root, version_id="v1", capacity=100_000)
        log_request(logger)
        logger.flush()
        (segment,) = (root / "spool").glob("*.jsonl")
        size = segment.stat().st_size
        handler = logging.FileHandler(root / "lines.log")
        plain = logging.Logger("plain", logging.INFO)
        plain.addHandler(handler)
        for pace, pause in (("paced", PACE_S), ("flat out", 0.0)):
            for threads in (1, 8):
                began = time.process_time()
                spent = measure(lambda: log_request(logger), threads, pause)
                assert logger.flush(timeout_s=120)
                calls = threads * (PER_THREAD + WARM_UP)
                behind = (time.process_time() - began) / calls * 1e6 - spent.cpu
                print(spent.row("QueryLogger", threads, pace), flush=True)
                spent = measure(lambda: log_line(plain, size), threads, pause)
                print(spent.row("FileHandler", threads, pace), flush=True)
        stats = logger.stats()
        logger.close()
        handler.close()
    assert not stats.dropped, stats
    print(f"\n{size} bytes a line; {stats.logged} requests logged, none dropped;")
    print(f"the background thread's CPU, flat out: {behind:.0f} µs a request;")
    print(f"import: {import_ms():.0f} ms of CPU over a bare interpreter;")
    print(f"load average at the end: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores.")


if __name__ == "__main__":
    main()
