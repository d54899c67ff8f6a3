from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from ragdiag.records import Request
from ragdiag.settings import Workspace
from ragdiag.store.ingest import ingest
from ragdiag.store.lake import Lake
from ragdiag.store.upkeep.archive import (
    archived_segments,
    compress_archive,
    expire_archive,
    open_archived,
    put_away,
    return_unloaded,
)

MakeRequest = Callable[..., Request]


def plain(workspace: Workspace) -> dict[str, bytes]:
    found = {}
    for name, path in archived_segments(workspace).items():
        with open_archived(path) as stream:
            found[name] = stream.read()
    return found


def test_the_archive_shrinks_and_reads_as_before(filled: Lake, workspace: Workspace) -> None:
    before = plain(workspace)
    report = compress_archive(workspace)
    assert report.compressed == len(before) == 3
    assert report.bytes_before == sum(map(len, before.values()))
    files = list((workspace.spool / "archive").iterdir())
    assert report.bytes_after == sum(path.stat().st_size for path in files)
    assert report.bytes_after < report.bytes_before / 5
    assert {path.suffix for path in files} == {".zst"}
    assert plain(workspace) == before
    assert compress_archive(workspace).compressed == 0


def test_dying_between_copy_and_removal_leaves_both_and_the_next_run_mends(
    filled: Lake, workspace: Workspace
) -> None:
    before = plain(workspace)
    paths = list(archived_segments(workspace).values())
    contents = {path: path.read_bytes() for path in paths}
    compress_archive(workspace)
    for path, content in contents.items():
        path.write_bytes(content)
    compress_archive(workspace)
    assert plain(workspace) == before
    assert not any(path.exists() for path in paths)


def age(lake: Lake) -> None:
    lake.write(lambda c: c.execute("update segments set ingested_at = timestamp '2026-01-01'"))


def test_only_segments_whose_requests_are_all_there_leave(
    filled: Lake, workspace: Workspace
) -> None:
    compress_archive(workspace)
    assert expire_archive(filled, workspace, 30).removed == 0
    age(filled)
    filled.write(lambda c: c.execute("delete from requests where request_id = 'r1'"))
    short = filled.rows("select segment from segments order by segment limit 1")[0]["segment"]
    unknown = workspace.spool / "archive" / "w-1-1.jsonl"
    unknown.write_text("{}\n")
    report = expire_archive(filled, workspace, 30)
    assert (report.removed, sorted(report.kept)) == (2, sorted([short, "w-1-1.jsonl"]))
    assert set(archived_segments(workspace)) == {short, "w-1-1.jsonl"}


def test_what_the_ledger_lacks_goes_back_and_is_loaded(filled: Lake, workspace: Workspace) -> None:
    compress_archive(workspace)
    rows = filled.rows("select * from requests order by request_id")
    for table in ("requests", "feedback", "segments", "segment_counts"):
        filled.write(lambda c, table=table: c.execute(f"delete from {table}"))  # type: ignore[misc]
    assert len(return_unloaded(filled, workspace)) == 3
    assert archived_segments(workspace) == {}
    assert ingest(filled, workspace).accepted == 150
    assert filled.rows("select * from requests order by request_id") == rows
    assert return_unloaded(filled, workspace) == []


def test_a_name_that_a_foreign_writer_uses_again_is_not_taken_for_loaded(
    filled: Lake, workspace: Workspace
) -> None:
    compress_archive(workspace)
    name = next(iter(archived_segments(workspace)))
    same, other = workspace.spool / name, workspace.spool / name
    same.write_bytes(plain(workspace)[name])
    put_away(same)
    assert not same.exists()
    other.write_bytes(b'{"another": "content"}\n')
    put_away(other)
    (stays,) = workspace.spool.glob("*.jsonl")
    assert "-again-" in stays.name
    assert stays.read_bytes() == b'{"another": "content"}\n'


def test_an_archived_segment_is_private(filled: Lake, workspace: Workspace) -> None:
    compress_archive(workspace)
    modes = {os.stat(path).st_mode & 0o777 for path in archived_segments(workspace).values()}
    assert modes == {0o600}
    assert not list(Path(workspace.spool / "archive").glob(".*"))
