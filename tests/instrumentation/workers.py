"""A service of many processes, for test_processes.py.

    python -m tests.instrumentation.workers WORKSPACE NOTES

Main process with threads and tasks, children forked and spawned by multiprocessing, and a victim
that is killed while it logs. Each writes what has been acknowledged to ``NOTES/<name>``.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import sys
import threading
import time
from pathlib import Path

from ragdiag import QueryLogger

EACH = 40
HITS = [(f"p{n}", 1 / n) for n in range(1, 11)]


def serve(logger: QueryLogger, name: str) -> None:
    with logger.request("q", request_id=name, user=name.split(".")[0]) as request:
        with request.stage("dense"):
            request.hits("dense", HITS)
        request.answer("a")


def acknowledge(notes: Path, name: str, ids: list[str]) -> None:
    with (notes / name).open("a") as file:
        file.write("".join(f"{one}\n" for one in ids))


def work(logger: QueryLogger, notes: Path, name: str) -> None:
    """A child that ends without a word: what it said must arrive all the same."""
    ids = [f"{name}.{n}" for n in range(EACH)]
    for one in ids:
        serve(logger, one)
    acknowledge(notes, name, ids)


def spawned(root: str, notes: Path, name: str) -> None:
    work(QueryLogger(root, version_id="v1", writer="spawned"), notes, name)


def be_killed(logger: QueryLogger, notes: Path) -> None:
    """Only what a flush has acknowledged counts."""
    batch = 0
    while True:
        ids = [f"victim.{batch}.{n}" for n in range(5)]
        for one in ids:
            serve(logger, one)
        if logger.flush():
            acknowledge(notes, "victim", ids)
        serve(logger, f"victim.{batch}.unacknowledged")
        batch += 1


async def serve_tasks(logger: QueryLogger, ids: list[str]) -> None:
    async def serve_one(one: str) -> None:
        async with logger.request("q", request_id=one) as request:
            await asyncio.sleep(0)
            request.answer("a")

    await asyncio.gather(*map(serve_one, ids))


def main(root: str, notes: Path) -> None:
    logger = QueryLogger(root, version_id="v1", writer="main")
    serve(logger, "main.before-the-forks")  # thread and segment exist when the forks begin
    acknowledge(notes, "main", ["main.before-the-forks"])
    victim = os.fork()
    if not victim:
        be_killed(logger, notes)
    fork, spawn = (multiprocessing.get_context(kind) for kind in ("fork", "spawn"))
    children = [
        *(fork.Process(target=work, args=(logger, notes, f"forked{n}")) for n in range(2)),
        *(spawn.Process(target=spawned, args=(root, notes, f"spawned{n}")) for n in range(2)),
    ]
    threads = [threading.Thread(target=work, args=(logger, notes, f"thread{n}")) for n in range(4)]
    for runner in [*children, *threads]:
        runner.start()
    tasks = [f"task.{n}" for n in range(EACH)]
    asyncio.run(serve_tasks(logger, tasks))
    acknowledge(notes, "task", tasks)
    for runner in [*children, *threads]:
        runner.join()
    while not (notes / "victim").exists() or len((notes / "victim").read_text().split()) < 20:
        time.sleep(0.01)
    os.kill(victim, signal.SIGKILL)
    os.waitpid(victim, 0)
    assert [child.exitcode for child in children] == [0, 0, 0, 0]


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
