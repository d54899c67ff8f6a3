"""How many questions a second `ragdiag serve` answers, and how long each takes.

    python -m benchmarks.serving N SECONDS [--clients 1 4 16] [--lexical] >> docs/serving.md

N passages of drawn words, indexed for both paths with the shipped encoder (--lexical: for BM25
alone). One service in a process of its own, the clients in another on the same cores: each asks
over one connection as fast as it is answered, SECONDS long, a question that nobody asked before, so
no cache could help. Neither rate limit nor queue turns anybody away; whatever is not a 200 is an
error.
"""

from __future__ import annotations

import argparse
import http.client
import json
import multiprocessing
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ragdiag.metrics.latency import quantile_estimate
from ragdiag.records import Passage
from ragdiag.settings import Workspace
from ragdiag.store.corpus import add_documents
from ragdiag.store.lake import close_lakes, open_lake
from ragdiag.store.results import save_version
from ragdiag.version import Version, parse_spec
from ragdiag.workflows.indexing.build import build_version_index

WORDS = 20_000
SENTENCES, SENTENCE_WORDS, QUESTION_WORDS = 8, 12, 8
"""Of a passage, of a sentence and of a question."""
SPEC = "{}[lexical]\n[generator]\nkind = 'extractive'\n"
READY_S = 300.0
PATHS = ("/search", "/ask")


def drawn(chance: random.Random, words: int) -> str:
    """Words whose frequencies fall as those of a language do."""
    places = (int(WORDS ** chance.random()) for _ in range(words))
    return " ".join(f"w{place:x}" for place in places)


def prepare(workspace: Workspace, passages: int, *, lexical: bool) -> None:
    lake = open_lake(workspace, create=True)
    chance = random.Random(0)
    texts = (
        " ".join(f"The {drawn(chance, SENTENCE_WORDS)}." for _ in range(SENTENCES))
        for _ in range(passages)
    )
    add_documents(lake, [Passage(f"p{n}", f"d{n}", text) for n, text in enumerate(texts)])
    version = Version(
        "bench", parse_spec(SPEC.format("" if lexical else "[embedder]\n"), source="-")
    )
    save_version(lake, version)
    build_version_index(lake, workspace, version)
    close_lakes()


def start(workspace: Workspace) -> tuple[subprocess.Popen[str], int]:
    """The service once it answers, and its port."""
    options = ["--port", "0", "--json", "--rate", "1000000", "--queue", "1000"]
    command = [
        sys.executable,
        "-m",
        "ragdiag",
        "--workspace",
        str(workspace.root),
        "serve",
        "bench",
    ]
    process = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    told = ""
    while not told.endswith("}\n"):
        line = process.stdout.readline()
        if not line:
            raise SystemExit("the service did not start")
        told += line
    port = int(json.loads(told)["url"].rpartition(":")[2])
    deadline = time.monotonic() + READY_S
    while not _is_ready(port):
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit("the service did not become ready")
        time.sleep(0.1)
    return process, port


def _is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    finally:
        connection.close()


def ask(port: int, path: str, seed: str, until: float, out: list[tuple[float, bool]]) -> None:
    """One client: (milliseconds, whether it was answered) of each question."""
    chance = random.Random(seed)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    while time.monotonic() < until:
        body = json.dumps({"question": drawn(chance, QUESTION_WORDS)})
        started = time.perf_counter()
        try:
            connection.request("POST", path, body, {"content-type": "application/json"})
            reply = connection.getresponse()
            reply.read()
            is_well = reply.status == 200
        except OSError:
            connection.close()
            is_well = False
        out.append(((time.perf_counter() - started) * 1e3, is_well))
    connection.close()


def clients(port: int, path: str, n: int, seconds: float, answers: Any) -> None:
    """The process of the clients, a thread each."""
    taken: list[list[tuple[float, bool]]] = [[] for _ in range(n)]
    started = time.monotonic()
    threads = [
        threading.Thread(target=ask, args=(port, path, f"{path} {n} {at}", started + seconds, out))
        for at, out in enumerate(taken)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    answers.put(([one for out in taken for one in out], time.monotonic() - started))


def resident_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    (kilobytes,) = (line.split()[1] for line in lines if line.startswith("VmRSS"))
    return int(kilobytes) / 1e3


def measure(process: subprocess.Popen[str], port: int, path: str, n: int, seconds: float) -> str:
    """One row of the table."""
    context = multiprocessing.get_context("spawn")
    answers: Any = context.Queue()
    other = context.Process(target=clients, args=(port, path, n, seconds, answers))
    other.start()
    asked, took = answers.get(timeout=seconds + 120)
    other.join()
    times = [ms for ms, is_well in asked if is_well]
    cells = [f"{quantile_estimate(times, q).value:.1f}" for q in (0.5, 0.95, 0.99)]
    numbers = [f"{len(times) / took:.1f}", *cells, f"{resident_mb(process.pid):,.0f}"]
    return f"| {path} | {n} | {' | '.join(numbers)} | {len(asked) - len(times)} |"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("passages", type=int)
    parser.add_argument("seconds", type=float)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--lexical", action="store_true", help="BM25 alone.")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder) / "workspace")
        prepare(workspace, given.passages, lexical=given.lexical)
        process, port = start(workspace)
        try:
            ways = "BM25" if given.lexical else "both paths"
            print(f"\n{given.passages:,} passages, {ways}, {given.seconds:g} s a row.\n")
            print("| endpoint | clients | a second | p50 ms | p95 ms | p99 ms | RSS MB | errors |")
            print("|---|---|---|---|---|---|---|---|")
            for path in PATHS:
                for n in given.clients:
                    print(measure(process, port, path, n, given.seconds), flush=True)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)


if __name__ == "__main__":
    main()
