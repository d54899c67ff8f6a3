from __future__ import annotations

import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake, close_lakes, open_lake
from ragdiag.store.migrations import MIGRATIONS

Start = Callable[..., subprocess.Popen[str]]


Finish = Callable[[subprocess.Popen[str]], str]


def count(lake: Lake, table: str) -> int:
    return int(lake.rows(f"select count(*) as n from {table}")[0]["n"])


def add_version(lake: Lake, name: str) -> None:
    lake.write(
        lambda c: c.execute("insert into versions(version_id, name) values (?, ?)", [name] * 2)
    )


def test_eight_threads_share_one_lake(lake: Lake) -> None:
    lake.write(
        lambda c: c.execute(
            "insert into grades(request_id, y) select 'r' || (i % 8), i from range(8000) t(i)"
        )
    )

    def work(worker: int) -> list[tuple[int, int]]:
        for n in range(3):
            add_version(lake, f"{worker}-{n}")
        return [
            (
                worker,
                lake.rows(
                    "select sum(y)::int as total from grades where request_id = ?", [f"r{worker}"]
                )[0]["total"],
            )
            for _ in range(20)
        ]

    with ThreadPoolExecutor(8) as pool:
        results = [pair for pairs in pool.map(work, range(8)) for pair in pairs]
    expected = {worker: sum(range(worker, 8000, 8)) for worker in range(8)}
    assert len(results) == 160
    assert all(total == expected[worker] for worker, total in results)
    assert count(lake, "versions") == 24


WRITE_MANY = """
from ragdiag.store.lake import open_lake
lake = open_lake(workspace, create=True)
for n in range(8):
    name = f"{arguments[0]}-{n}"
    lake.write(lambda c: c.execute("insert into versions(version_id) values (?)", [name]))
"""


READ_MANY = """
from ragdiag.store.lake import open_lake
lake = open_lake(workspace, create=True)
seen = [lake.rows("select count(*) as n from versions")[0]["n"] for _ in range(20)]
assert seen == sorted(seen), seen
"""


def test_processes_that_create_write_and_read_at_once_lose_nothing(
    workspace: Workspace, start_python: Start, finish: Finish
) -> None:
    processes = [start_python(WRITE_MANY, name) for name in "abc"] + [start_python(READ_MANY)]
    for process in processes:
        finish(process)
    lake = open_lake(workspace)
    assert count(lake, "migrations") == len(MIGRATIONS)
    found = {row["version_id"] for row in lake.rows("select version_id from versions")}
    assert found == {f"{name}-{n}" for name in "abc" for n in range(8)}
    close_lakes()


KILLED = """
from ragdiag.store.lake import open_lake
lake = open_lake(workspace)
def work(cursor):
    cursor.execute("insert into versions(version_id) values ('partial')")
    print("inside", flush=True)
    import time; time.sleep(60)
lake.write(work)
"""


def test_a_killed_writer_leaves_no_lock_and_no_row(lake: Lake, start_python: Start) -> None:
    process = start_python(KILLED)
    assert process.stdout is not None
    assert process.stdout.readline() == "inside\n"
    process.kill()
    process.wait()
    add_version(lake, "after")
    assert lake.rows("select version_id from versions") == [{"version_id": "after"}]
