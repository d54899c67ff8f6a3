"""Is what the spool acknowledged stored, and stored once, whoever is killed when?

Four writers and two ingesters run as processes of their own; each round kills one of the six at
random with SIGKILL, in the middle of whatever it does, and starts it again. A writer notes an id
in a file of its own only after ``write()`` has returned. At the end everybody is killed, the rest
is ingested, and the lake is compared with the notes.

    python -m benchmarks.ingest_chaos --rounds 100
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

from ragdiag.console import table
from ragdiag.settings import PROJECT, Workspace
from ragdiag.store.ingest import ingest
from ragdiag.store.lake import close_lakes, open_lake
from ragdiag.store.upkeep.check import check_store

WRITERS, INGESTERS = 4, 2

_PRELUDE = """
import os, sys, time
from datetime import UTC, datetime
from pathlib import Path
from ragdiag.settings import Workspace
workspace, name = Workspace(Path(sys.argv[1])), sys.argv[2]
"""
_WRITER = f"""{_PRELUDE}
from ragdiag.records import Hit, Request
from ragdiag.store.spool import SpoolWriter
notes = os.open(workspace.root / f"{{name}}.acknowledged", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
spool = SpoolWriter(workspace, writer=name)
hits = tuple(Hit(f"p{{n}}", 1.0 / (n + 1)) for n in range(10))
for number in range(10**9):
    key = f"{{name}}-{{os.getpid()}}-{{time.time_ns()}}"
    now = datetime.now(UTC)
    spool.write(Request(key, now, "v1", "production", "How long do cats sleep?", fused=hits))
    os.write(notes, f"{{key}}\\n".encode())
    time.sleep(0.005)
"""
_INGESTER = f"""{_PRELUDE}
from ragdiag.store.ingest import ingest
from ragdiag.store.lake import open_lake
lake = open_lake(workspace)
while True:
    if not ingest(lake, workspace).segments:
        time.sleep(0.05)
"""


@dataclass(frozen=True, slots=True)
class ChaosReport:
    """``lost``: acknowledged and not stored. ``twice``: stored more than once. ``unnoted``: stored,
    but its writer died before it could note that. ``findings`` of store check at the end."""

    rounds: int
    writers_killed: int
    ingesters_killed: int
    acknowledged: int
    stored: int
    lost: int
    twice: int
    unnoted: int
    torn_lines: int
    segments: int
    findings: int
    seconds: float


def run_chaos(
    workspace: Workspace, rounds: int, *, seed: int = 0, pause: tuple[float, float] = (0.2, 1.2)
) -> ChaosReport:
    """``rounds`` kills of a random process, ``pause`` seconds apart (uniform)."""
    chance = random.Random(seed)
    started = time.monotonic()
    open_lake(workspace, create=True)
    close_lakes()
    names = [f"writer{n}" for n in range(WRITERS)] + [f"ingester{n}" for n in range(INGESTERS)]
    running = {name: _start(workspace, name) for name in names}
    killed: Counter[str] = Counter()
    try:
        for _ in range(rounds):
            time.sleep(chance.uniform(*pause))
            victim = chance.choice(names)
            _kill(running[victim])
            killed[victim.rstrip("0123456789")] += 1
            running[victim] = _start(workspace, victim)
    finally:
        for process in running.values():
            _kill(process)
    return _compare(workspace, rounds, killed, started)


def _start(workspace: Workspace, name: str) -> subprocess.Popen[bytes]:
    code = _WRITER if name.startswith("writer") else _INGESTER
    return subprocess.Popen([sys.executable, "-c", code, str(workspace.root), name], cwd=PROJECT)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL; a process that had ended by itself is a failure of its own."""
    ended = process.poll()
    process.kill()
    process.wait()
    if ended is not None:
        raise RuntimeError(f"process {process.pid} ended by itself with status {ended}")


def _compare(
    workspace: Workspace, rounds: int, killed: Counter[str], started: float
) -> ChaosReport:
    lake = open_lake(workspace)
    ingest(lake, workspace)
    noted = {
        line
        for path in workspace.root.glob("*.acknowledged")
        for line in path.read_text(encoding="utf-8").splitlines()
    }
    stored = Counter(row["request_id"] for row in lake.rows("select request_id from requests"))
    counts = lake.rows("select (select count(*) from rejects) as torn, count(*) as n from segments")
    report = ChaosReport(
        rounds=rounds,
        writers_killed=killed["writer"],
        ingesters_killed=killed["ingester"],
        acknowledged=len(noted),
        stored=len(stored),
        lost=len(noted - stored.keys()),
        twice=sum(1 for n in stored.values() if n > 1),
        unnoted=len(stored.keys() - noted),
        torn_lines=counts[0]["torn"],
        segments=counts[0]["n"],
        findings=len(check_store(lake, workspace).findings),
        seconds=round(time.monotonic() - started, 1),
    )
    close_lakes()
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = run_chaos(Workspace(Path(folder) / "workspace"), given.rounds, seed=given.seed)
    print(table([{"what": name, "n": value} for name, value in asdict(report).items()]))


if __name__ == "__main__":
    main()
