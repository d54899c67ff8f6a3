"""The same small load on every kind of lake, as a Markdown table.

    python -m benchmarks.backends

Starts a real PostgreSQL server and moto's S3 server by itself (tests/servers.py). Each lake gets
50,000 encrypted requests with two lists of ten hits, question and answer in five commits; then one
writer makes 50 commits of 20 requests, one reader asks 50 times for the p95 of one version in one
month and 50 times for the newest 50 requests, and three writers in processes of their own make 20
commits each at once. The lakes take turns call by call, so that whatever else the machine does
weighs on all of them alike.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake, close_lakes, open_lake
from tests.servers import ENVIRONMENT, ObjectStore, Postgres, configure

BULK, BULK_COMMITS, SMALL = 50_000, 5, 20
CALLS, WRITERS, WRITES = 50, 3, 20
QUARTER_S, DAY_S = 90 * 86_400, 86_400
"""Over how long a commit's requests were asked: a service logs today's."""
HITS = (
    "list_transform(range(10), lambda k: "
    "{'passage_id': 'p' || ((i * 7 + k) % 5000), 'score': 1.0 / (k + 1)})"
)
INSERT = f"""
    insert into requests by name
    select $name || i as request_id, 'v' || (i % 5) as version_id, 'production' as traffic,
           timestamp '2026-01-01' + interval ((i * 7919) % $span::bigint) second as asked_at,
           'How is the item with the number ' || i || ' set?' as question,
           'The item with the number ' || i || ' is set once, before it is first read.' as answer,
           'ok' as status, (i * 31) % 900 + 50.0 as total_ms, {HITS} as lexical, {HITS} as fused
    from range($first::bigint, $last::bigint) t(i)"""
READS = {
    "p95": """select quantile_cont(total_ms, 0.95) from requests where version_id = 'v2'
              and asked_at >= '2026-02-01' and asked_at < '2026-03-01'""",
    "newest 50": "select * from requests order by asked_at desc limit 50",
}


@dataclass
class Times:
    """Milliseconds of every call on one lake, by column of the table."""

    load_s: float
    calls: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))


def main() -> None:
    os.environ.update(ENVIRONMENT)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        folder.chmod(0o755)
        postgres, store = Postgres(folder / "postgres"), ObjectStore(folder)
        try:
            postgres.create()
            postgres.start()
            store.start()
            store.create_bucket("lake")
            report(folder, postgres, store)
        finally:
            close_lakes()
            postgres.stop()
            store.stop()


def report(folder: Path, postgres: Postgres, store: ObjectStore) -> None:
    lakes = {
        "SQLite, local files": Workspace(folder / "plain"),
        "PostgreSQL, local files": configure(
            Workspace(folder / "server"), postgres=postgres, schema="a", data_path=folder / "data"
        ),
        "PostgreSQL, S3": configure(
            Workspace(folder / "bucket"),
            postgres=postgres,
            schema="b",
            store=store,
            data_path="s3://lake/b",
        ),
    }
    opened = {name: open_lake(workspace, create=True) for name, workspace in lakes.items()}
    times = {name: Times(load_bulk(lake)) for name, lake in opened.items()}
    for n in range(CALLS):
        for name, lake in opened.items():
            calls = times[name].calls
            calls["commit"].append(timed(lambda lake=lake, n=n: add(lake, "one", n * SMALL, SMALL)))
            for what, sql in READS.items():
                calls[what].append(timed(lambda lake=lake, sql=sql: lake.rows(sql)))
    close_lakes()
    for name, workspace in lakes.items():
        times[name].calls[f"commit, {WRITERS} writers"] = write_together(workspace)
        check_nothing_is_lost(workspace)
    print_table(times)


def load_bulk(lake: Lake) -> float:
    started = time.perf_counter()
    step = BULK // BULK_COMMITS
    for first in range(0, BULK, step):
        add(lake, "bulk", first, step)
    return time.perf_counter() - started


def check_nothing_is_lost(workspace: Workspace) -> None:
    lake = open_lake(workspace)
    stored = lake.rows("select count(distinct request_id) as n from requests")[0]["n"]
    close_lakes()
    expected = BULK + CALLS * SMALL + WRITERS * WRITES * SMALL
    if stored != expected:
        raise RuntimeError(f"{stored} requests are stored, {expected} were acknowledged")


def print_table(times: dict[str, Times]) -> None:
    heads = [f"load {BULK:,}", *next(iter(times.values())).calls]
    print(f"| lake | {' | '.join(heads)} |")
    print("|---" * (len(heads) + 1) + "|")
    for name, found in times.items():
        cells = [f"{found.load_s:.1f} s", *map(quantiles, found.calls.values())]
        print(f"| {name} | {' | '.join(cells)} |")
    load = os.getloadavg()[2]
    print(
        f"\np50 / p95 in milliseconds; {os.cpu_count()} cores, {load:.0f} processes wanted them on"
        " average over the last quarter of an hour."
    )


def add(lake: Lake, name: str, first: int, rows: int) -> None:
    span = QUARTER_S if rows > SMALL else DAY_S
    values = {"name": name, "first": first, "last": first + rows, "span": span}
    lake.write(lambda cursor: cursor.execute(INSERT, values))


def write_together(workspace: Workspace) -> list[float]:
    """Milliseconds of every commit of several processes that start at one signal."""
    command = [sys.executable, "-m", "benchmarks.backends", "--writer", str(workspace.root)]
    processes = [
        subprocess.Popen(
            [*command, f"writer-{n}-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for n in range(WRITERS)
    ]
    for process in processes:
        assert process.stdout is not None
        process.stdout.readline()
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    times: list[float] = []
    for process in processes:
        out, _ = process.communicate()
        times += map(float, out.split())
    return times


def writer(root: str, name: str) -> None:
    lake = open_lake(Workspace(Path(root)))
    print("ready", flush=True)
    sys.stdin.readline()
    for n in range(WRITES):
        print(timed(lambda n=n: add(lake, name, n * SMALL, SMALL)))


def timed(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return (time.perf_counter() - started) * 1000


def quantiles(times_ms: list[float]) -> str:
    p50, p95 = np.quantile(times_ms, [0.5, 0.95])
    return f"{p50:.0f} / {p95:.0f}"


if __name__ == "__main__":
    writer(*sys.argv[2:]) if sys.argv[1:2] == ["--writer"] else main()
