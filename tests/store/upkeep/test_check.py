from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing

import pytest

from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake
from ragdiag.store.upkeep.check import check_store
from ragdiag.store.upkeep.cleanup import ORPHAN_GRACE_S
from ragdiag.store.upkeep.datafiles import list_files

Start = Callable[..., subprocess.Popen[str]]


def findings(lake: Lake, workspace: Workspace) -> list[str]:
    return [f"{one.what}; {one.remedy}" for one in check_store(lake, workspace).findings]


def test_a_sound_store_has_no_finding_and_every_file_gets_its_hash(
    filled: Lake, workspace: Workspace
) -> None:
    report = check_store(filled, workspace)
    assert report.findings == ()
    listed = filled.read(list_files)
    assert (report.files, report.bytes) == (len(listed), sum(file.bytes for file in listed))
    assert filled.rows("select count(*) as n from file_hashes") == [{"n": report.files}]
    assert findings(filled, workspace) == []


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        ("delete from requests where request_id = 'r7'", "39 requests of segment ragdiag-"),
        ("delete from feedback where feedback_id = 'f8'", "29 feedback of all segments together"),
        ("insert into requests select * from requests where request_id = 'r7'", "'r7' 2 times"),
        ("insert into feedback select * from feedback where feedback_id = 'f8'", "'f8' 2 times"),
        ("delete from segments where true", "40 requests are of the segment ragdiag-"),
    ],
)
def test_rows_and_ledger_that_differ_are_named(
    filled: Lake, workspace: Workspace, damage: str, says: str
) -> None:
    filled.write(lambda c: c.execute(damage))
    assert any(says in line for line in findings(filled, workspace))


def test_a_file_that_belongs_to_nothing_is_an_orphan_once_it_is_old(
    filled: Lake, workspace: Workspace
) -> None:
    orphan = workspace.lake_data / "main" / "requests" / "left.parquet"
    orphan.write_bytes(b"never committed")
    assert findings(filled, workspace) == []
    old = orphan.stat().st_mtime - 2 * ORPHAN_GRACE_S
    os.utime(orphan, (old, old))
    (line,) = findings(filled, workspace)
    assert "1 files belong to nothing" in line
    assert "left.parquet" in line
    assert "ragdiag store compact" in line


OPEN = """
from datetime import UTC, datetime
from ragdiag.records import Request
from ragdiag.store.spool import SpoolWriter
spool = SpoolWriter(workspace, writer="victim")
spool.write(Request("r", datetime.now(UTC), "v1", "production", "why?"))
print("written", flush=True)
import time; time.sleep(60)
"""


def test_spool_and_archive_leftovers_are_named(
    filled: Lake, workspace: Workspace, start_python: Start
) -> None:
    archived = sorted((workspace.spool / "archive").iterdir())
    copy = workspace.spool / archived[0].name
    copy.write_bytes(archived[0].read_bytes())
    waiting = workspace.spool / "w-1-1.jsonl"
    waiting.write_text('{"half a li')
    os.utime(waiting, (0, 0))
    (workspace.spool / "archive" / "w-2-2.jsonl").write_text("{}\n")
    process = start_python(OPEN)
    assert process.stdout is not None
    process.stdout.readline()
    process.kill()
    process.wait()
    said = findings(filled, workspace)
    assert len(said) == 4
    assert f"{copy.name} is loaded and still in the spool" in said[0]
    assert "w-1-1.jsonl waits to be loaded; its last line is torn" in said[1]
    assert "the writer of the segment victim-" in said[2]
    assert "w-2-2.jsonl was never loaded into this lake" in said[3]


def test_a_damaged_catalog_page_is_found(filled: Lake, workspace: Workspace) -> None:
    with closing(sqlite3.connect(workspace.catalog)) as catalog:
        catalog.execute("pragma wal_checkpoint(truncate)")
        catalog.execute("pragma writable_schema = on")
        catalog.execute(
            "insert into sqlite_master values ('index', 'ghost', 'ducklake_tag', 0, "
            "'create index ghost on ducklake_tag(object_id)')"
        )
        catalog.commit()
    said = findings(filled, workspace)
    assert any("the catalog" in line and "is damaged" in line for line in said)
