from __future__ import annotations

import os
import subprocess
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from ragdiag.errors import StoreError
from ragdiag.records import DEFAULT_GRADER, Grade, Request
from ragdiag.settings import Workspace
from ragdiag.store.facts import CELL, MEASURES
from ragdiag.store.ingest import ingest
from ragdiag.store.lake import Lake
from ragdiag.store.results import load_requests, save_findings
from ragdiag.store.rollups import fill_rollups, sum_rollups
from ragdiag.store.spool import SpoolWriter
from ragdiag.store.upkeep import compact as compact_module
from ragdiag.store.upkeep.check import check_store
from ragdiag.store.upkeep.compact import compact_store
from ragdiag.store.upkeep.datafiles import list_files
from ragdiag.store.upkeep.removal import remove_requests
from ragdiag.store.upkeep.snapshots import name_snapshot

Start = Callable[..., subprocess.Popen[str]]
Finish = Callable[[subprocess.Popen[str]], str]
MakeRequest = Callable[..., Request]


def compact(lake: Lake, orphan_grace_s: float = 0) -> compact_module.CompactReport:
    return compact_store(lake, keep_days=0, file_grace_s=0, orphan_grace_s=orphan_grace_s)


def on_disk(workspace: Workspace) -> set[str]:
    return {str(path) for path in workspace.lake_data.rglob("*.parquet")}


def test_small_files_become_few_and_nothing_else_changes(
    filled: Lake, workspace: Workspace
) -> None:
    filled.write(lambda c: remove_requests(c, [f"r{n}" for n in range(5, 120, 10)], "test"))
    before = load_requests(filled)
    told: list[float] = []
    report = compact_store(
        filled,
        keep_days=0,
        file_grace_s=0,
        orphan_grace_s=0,
        progress=lambda fraction, _: told.append(fraction),
    )
    assert load_requests(filled) == before
    files = filled.read(list_files)
    assert len([file for file in files if file.table == "requests"]) == 1
    rewritten = Counter(requests=3, daily=1, daily_latency=1)
    assert (report.files_after, report.rewritten) == (len(files), rewritten.total())
    assert on_disk(workspace) == {file.path for file in files}
    assert told == sorted(told)
    assert told[-1] == 1.0
    assert check_store(filled, workspace).findings == ()
    again = compact(filled)
    assert (again.merged, again.rewritten, again.files_deleted) == (0, 0, 0)


def test_sums_by_day_become_as_few_as_recounted_and_stay_the_same(
    lake: Lake, workspace: Workspace, make_request: MakeRequest
) -> None:
    for part in range(3):
        with SpoolWriter(workspace) as spool:
            for n in range(part * 4, part * 4 + 4):
                spool.write(make_request(n, topic=f"t{n % 2}"))
                spool.write(Grade(f"r{n}", DEFAULT_GRADER, n % 2, 0.5))
            spool.write(make_request(100 + part, topic="gone"))
        ingest(lake, workspace)
    name_snapshot(lake, "before")
    compact(lake)
    with SpoolWriter(workspace) as spool:
        for n in range(12, 15):
            spool.write(make_request(n, topic="t0"))
    ingest(lake, workspace)
    lake.write(lambda c: remove_requests(c, [f"r{n}" for n in range(100, 103)], "test"))
    for y in (1, 0):
        save_findings(lake, grades=[Grade(f"r{n}", DEFAULT_GRADER, y, 0.5) for n in range(9)])
    sums, rows = rollups(lake)
    compact(lake)
    assert rollups(lake)[0] == sums
    few = rollups(lake)[1]
    assert all(2 * few[table] < n for table, n in rows.items())
    lake.write(fill_rollups)
    assert rollups(lake) == (sums, few)
    snapshot = lake.snapshot()
    lake.write(sum_rollups)
    assert lake.snapshot() == snapshot
    assert check_store(lake, workspace).findings == ()


def rollups(lake: Lake) -> tuple[list[list[dict[str, Any]]], dict[str, int]]:
    """The sums of both rollups, without what has come to nothing, and how many rows they have."""
    measures = ", ".join(f"round(sum({name}), 9) as {name}" for name in MEASURES)
    bucket = "day, version_id, traffic, weight, stage, bucket"
    sums = [
        lake.rows(
            f"select {', '.join(CELL)}, {measures} from daily group by all having sum(n) <> 0 "
            "order by all"
        ),
        lake.rows(
            f"select {bucket}, sum(n) as n from daily_latency group by all having sum(n) <> 0 "
            "order by all"
        ),
    ]
    names = ("daily", "daily_latency")
    return sums, {name: lake.rows(f"select count(*) as n from {name}")[0]["n"] for name in names}


def test_grace_keeps_files_that_a_query_may_still_read(filled: Lake, workspace: Workspace) -> None:
    before = on_disk(workspace)
    orphan = workspace.lake_data / "main" / "requests" / "uncommitted.parquet"
    orphan.write_bytes(b"about to commit")
    report = compact_store(filled, keep_days=0)
    assert (report.files_deleted, report.orphans_deleted) == (0, 0)
    assert on_disk(workspace) >= before | {str(orphan)}
    os.utime(orphan, (0, 0))
    assert compact(filled).orphans_deleted == 1
    assert not orphan.exists()


WRITE = """
from datetime import UTC, datetime
from ragdiag.records import DEFAULT_GRADER, Grade, Request
from ragdiag.store.ingest import ingest
from ragdiag.store.lake import open_lake
from ragdiag.store.spool import SpoolWriter
lake = open_lake(workspace)
for part in range(8):
    with SpoolWriter(workspace, writer="other") as spool:
        for n in range(20):
            spool.write(Request(f"o{part}-{n}", datetime.now(UTC), "v1", "production", "why?"))
    ingest(lake, workspace)
    lake.write(lambda c: c.execute("update requests set topic = 'new' where request_id = ?",
                                   [f"o{part}-0"]))
    print(part, flush=True)
"""


@pytest.mark.slow
def test_compaction_while_another_process_writes_loses_and_doubles_nothing(
    filled: Lake, workspace: Workspace, start_python: Start, finish: Finish
) -> None:
    kept = name_snapshot(filled, "before")
    process = start_python(WRITE)
    assert process.stdout is not None
    process.stdout.readline()
    runs = 0
    while process.poll() is None:
        compact(filled, orphan_grace_s=3_600)
        runs += 1
    finish(process)
    assert runs >= 1
    rows = filled.rows(
        "select count(*) as n, count(distinct request_id) as ids, "
        "count(*) filter (topic = 'new') as changed from requests"
    )
    assert rows == [{"n": 280, "ids": 280, "changed": 8}]
    assert filled.rows("select sum(n)::int as n from daily") == [{"n": 280}]
    at = f"select count(*) as n from requests at (version => {kept.snapshot})"
    assert filled.rows(at) == [{"n": 120}]
    assert check_store(filled, workspace).findings == ()


def test_a_snapshot_that_reads_otherwise_afterwards_stops_everything_that_deletes(
    filled: Lake, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No pinned DuckLake does this, so the comparison is given a merge that deletes a row."""
    merge = compact_module._merge

    def lossy(lake: Lake, table: str) -> int:
        if table == "requests":
            sql = "update __ducklake_metadata_lake.ducklake_data_file set end_snapshot = 1 where "
            lake.write(
                lambda c: c.execute(
                    f"{sql} record_count = (select max(record_count) from "
                    "__ducklake_metadata_lake.ducklake_data_file)"
                )
            )
        return merge(lake, table)

    before = on_disk(workspace)
    monkeypatch.setattr(compact_module, "_merge", lossy)
    with pytest.raises(StoreError, match="does not read as before"):
        compact(filled)
    assert on_disk(workspace) >= before


def test_two_compactions_take_turns(
    filled: Lake, workspace: Workspace, start_python: Start, finish: Finish
) -> None:
    code = (
        "from ragdiag.store.upkeep.compact import compact_store\n"
        "from ragdiag.store.lake import open_lake\n"
        "compact_store(open_lake(workspace), keep_days=0, file_grace_s=0, orphan_grace_s=0)\n"
    )
    process = start_python(code)
    compact(filled)
    finish(process)
    assert len(load_requests(filled)) == 120
    assert check_store(filled, workspace).findings == ()


def test_ingest_goes_on_after_compaction_and_knows_what_it_had(
    filled: Lake, workspace: Workspace, make_request: MakeRequest
) -> None:
    old = load_requests(filled)[0]
    compact(filled)
    with SpoolWriter(workspace) as spool:
        spool.write(old)
        spool.write(make_request(1000))
    report = ingest(filled, workspace)
    assert (report.accepted, report.repeated, report.rejected) == (1, 1, 0)
    assert check_store(filled, workspace).findings == ()


FLUSH = """
from ragdiag.store.lake import open_lake
lake = open_lake(workspace)
with lake.turn():
    lake.rows("from ducklake_flush_inlined_data('lake', table_name => 'requests')")
"""


@pytest.mark.slow
def test_a_compaction_that_died_half_way_leaves_no_reader_behind(
    filled: Lake, start_python: Start, finish: Finish
) -> None:
    """It wrote small rows out of the catalog, and told nobody that their place is gone."""
    count = "select count(*) as n from requests"
    assert filled.rows(count) == [{"n": 120}]
    finish(start_python(FLUSH))
    assert filled.rows(count) == [{"n": 120}]
    filled.write(lambda cursor: cursor.execute("delete from requests where request_id = 'r0'"))
    assert filled.rows(count) == [{"n": 119}]


TALK = """
from ragdiag.store.lake import open_lake
from ragdiag.store.upkeep.past import PastLake
lake = open_lake(workspace)
past = PastLake(lake, int(arguments[0]))
for line in iter(sys.stdin.readline, ""):
    word = line.strip()
    if word:
        lake.write(lambda c: c.execute("insert into versions(version_id) values (?)", [word]))
    ids = [[row["version_id"] for row in one.rows("select version_id from versions order by 1")]
           for one in (lake, past)]
    print(*(",".join(some) for some in ids), flush=True)
"""


def test_small_rows_of_a_table_whose_columns_changed_are_written_out(
    lake: Lake, workspace: Workspace, start_python: Start
) -> None:
    """They lie in two places of the catalog, of which the older one goes: another process, in the
    midst of reading the present and the past, goes on reading and writing."""

    def add(version_id: str) -> None:
        lake.write(
            lambda c: c.execute(
                "insert into versions(version_id, name) values (?, 'n')", [version_id]
            )
        )

    add("a")
    lake.write(lambda c: c.execute("alter table versions add column owner varchar default 'me'"))
    add("b")
    kept = name_snapshot(lake, "kept")
    process = start_python(TALK, str(kept.snapshot))

    def talk(word: str) -> str:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{word}\n")
        process.stdin.flush()
        return process.stdout.readline().strip()

    assert talk("c") == "a,b,c a,b"
    lake.write(lambda c: c.execute("delete from versions where version_id = 'a'"))
    whole = "select * from versions order by version_id"
    before = lake.rows(whole)
    compact(lake)
    files = lake.read(list_files)
    assert sum(file.rows for file in files if file.table == "versions") > 0
    assert lake.rows(whole) == before
    assert talk("") == "b,c a,b"
    assert talk("d") == "b,c,d a,b"


def test_every_process_is_told_of_places_of_other_tables_that_went(lake: Lake) -> None:
    """To write out the rows of one table drops the emptied places of all: those that tables had
    before their columns were changed."""
    places = "select count(*) as n from __ducklake_metadata_lake.ducklake_inlined_data_tables"
    told = "select count(*) as n from duckdb_views() where view_name = 'last_compaction'"
    before = lake.rows(places)
    lake.write(lambda c: c.execute("insert into versions(version_id) values ('a')"))
    assert lake.rows(told) == [{"n": 0}]
    compact(lake)
    assert lake.rows(places) != before
    assert lake.rows(told) == [{"n": 1}]
