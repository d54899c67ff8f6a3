"""Real damage to real files: named, set aside, the rest served, put back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ragdiag.errors import DamagedFile, StoreError
from ragdiag.settings import Workspace
from ragdiag.store.ingest import IngestReport, ingest
from ragdiag.store.lake import Lake, close_lakes, open_lake
from ragdiag.store.upkeep.archive import archived_segments
from ragdiag.store.upkeep.aside import list_aside, put_back, set_aside, set_aside_all
from ragdiag.store.upkeep.check import check_store
from ragdiag.store.upkeep.compact import compact_store
from ragdiag.store.upkeep.datafiles import DataFile, list_files
from ragdiag.store.upkeep.past import PastLake
from ragdiag.store.upkeep.reloading import return_lost
from ragdiag.store.upkeep.snapshots import named_snapshots


def remove(path: Path) -> None:
    path.unlink()


def flip_middle(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x41
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def request_files(lake: Lake) -> list[DataFile]:
    return [file for file in lake.read(list_files) if file.table == "requests"]


def ids(lake: Lake) -> set[str]:
    """Reads every column."""
    return {row["request_id"] for row in lake.rows("select request_id, hash(r) from requests r")}


@pytest.mark.parametrize("damage", [remove, flip_middle, cut])
def test_a_damaged_file_is_named_set_aside_and_put_back(
    filled: Lake, workspace: Workspace, damage: Callable[[Path], None]
) -> None:
    everything = ids(filled)
    victim = request_files(filled)[1]
    path = Path(victim.path)
    whole = path.read_bytes()
    damage(path)
    close_lakes()
    lake = open_lake(workspace)
    with pytest.raises(DamagedFile, match=f"{path.name}.*store check --set-aside") as raised:
        ids(lake)
    assert "\n" not in str(raised.value)

    report = check_store(lake, workspace)
    assert [one.file.name for one in report.damaged] == [victim.name]
    (finding,) = report.findings
    assert victim.path in finding.what
    assert f"{victim.rows} rows of requests" in finding.what

    set_aside(lake, report.damaged[0].file, report.damaged[0].fault)
    rest = ids(lake)
    assert rest < everything
    assert len(rest) == 120 - victim.rows
    (finding,) = check_store(lake, workspace).findings
    assert "set aside" in finding.what
    assert "--put-back" in finding.remedy
    assert put_back(lake) == []

    compact_store(lake, keep_days=0, file_grace_s=0, orphan_grace_s=0)
    lake.write(lambda c: c.execute("insert into requests(request_id, question) values ('new', '')"))
    assert ids(lake) == rest | {"new"}

    path.write_bytes(whole)
    assert [one.name for one in put_back(lake)] == [victim.name]
    assert ids(lake) == everything | {"new"}
    assert list_aside(lake) == []
    assert named_snapshots(lake) == []
    assert check_store(lake, workspace).findings == ()


def test_one_changed_byte_that_decoding_forgives_is_found_by_its_hash(
    filled: Lake, workspace: Workspace
) -> None:
    check_store(filled, workspace)
    path = Path(request_files(filled)[0].path)
    content = bytearray(path.read_bytes())
    content[0] ^= 0x01  # the first magic byte: no reader looks at it
    path.write_bytes(content)
    (finding,) = check_store(filled, workspace).findings
    assert path.name in finding.what
    assert "SHA-256" in finding.what


def test_deleted_rows_do_not_come_back_with_a_damaged_file_of_deletions(
    filled: Lake, workspace: Workspace
) -> None:
    filled.write(lambda c: c.execute("delete from requests where request_id like 'r%5'"))
    filled.rows("select count(*) from ducklake_flush_inlined_data('lake')")
    deletions = [file for file in request_files(filled) if file.kind == "delete"]
    assert deletions
    Path(deletions[0].path).unlink()
    report = check_store(filled, workspace)
    assert [one.file.name for one in report.damaged] == [deletions[0].name]
    aside = set_aside(filled, report.damaged[0].file, report.damaged[0].fault)
    assert aside.table == "requests"
    served = ids(filled)
    assert served
    assert not any(name.endswith("5") for name in served)


def test_damage_to_what_only_the_past_needs_is_told_apart(
    filled: Lake, workspace: Workspace
) -> None:
    old = filled.snapshot()
    victim = request_files(filled)[0]
    filled.write(lambda c: c.execute("delete from requests where true"))
    Path(victim.path).unlink()
    assert ids(filled) == set()
    told = [one for one in check_store(filled, workspace).findings if victim.name in one.what]
    assert len(told) == 1
    assert "only snapshots" in told[0].what
    with (
        PastLake(filled, old) as past,
        pytest.raises(DamagedFile, match=Path(victim.path).name),
    ):
        ids(past)


def test_a_file_that_compaction_has_forgotten_cannot_be_put_back(
    filled: Lake, workspace: Workspace
) -> None:
    Path(request_files(filled)[0].path).unlink()
    (damage,) = check_store(filled, workspace).damaged
    set_aside(filled, damage.file, damage.fault)
    filled.write(lambda c: c.execute("delete from named_snapshots"))
    compact_store(filled, keep_days=0, file_grace_s=0, orphan_grace_s=0)
    with pytest.raises(StoreError, match=r"no longer has the file .*restore a backup"):
        put_back(filled)


def lose(lake: Lake, workspace: Workspace, victim: DataFile) -> None:
    Path(victim.path).write_bytes(b"")
    set_aside_all(lake, [(one.file, one.fault) for one in check_store(lake, workspace).damaged])


def test_rows_of_a_lost_file_come_back_from_the_archive_once(
    filled: Lake, workspace: Workspace
) -> None:
    rows = filled.rows("select * from requests order by request_id")
    lose(filled, workspace, request_files(filled)[1])
    (finding,) = check_store(filled, workspace).findings
    assert "ragdiag store replay, then run: ragdiag ingest" in finding.remedy
    assert len(return_lost(filled, workspace)) == 1
    assert ingest(filled, workspace) == IngestReport(1, accepted=40, repeated=10)
    assert filled.rows("select * from requests order by request_id") == rows
    assert filled.rows("select sum(n)::int as n from daily") == [{"n": 120}]
    assert return_lost(filled, workspace) == []
    assert list_aside(filled) == []
    assert named_snapshots(filled) == []
    (finding,) = check_store(filled, workspace).findings
    assert "only snapshots" in finding.what


def test_feedback_comes_back_from_the_segments_that_may_have_brought_it(
    filled: Lake, workspace: Workspace
) -> None:
    filled.rows("select count(*) from ducklake_flush_inlined_data('lake')")
    rows = filled.rows("select * from feedback order by feedback_id")
    (victim,) = (file for file in filled.read(list_files) if file.table == "feedback")
    lose(filled, workspace, victim)
    assert len(return_lost(filled, workspace)) == 3
    assert ingest(filled, workspace) == IngestReport(3, accepted=30, repeated=120)
    assert filled.rows("select * from feedback order by feedback_id") == rows
    (finding,) = check_store(filled, workspace).findings
    assert "only snapshots" in finding.what


def test_a_file_that_is_reloaded_in_part_is_not_put_back(
    filled: Lake, workspace: Workspace
) -> None:
    everything = ids(filled)
    compact_store(filled, keep_days=7)
    (victim,) = (file for file in request_files(filled) if file.is_current)
    whole = Path(victim.path).read_bytes()
    lose(filled, workspace, victim)
    next(iter(archived_segments(workspace).values())).unlink()
    assert len(return_lost(filled, workspace)) == 2
    ingest(filled, workspace)
    Path(victim.path).write_bytes(whole)
    assert put_back(filled) == []
    served = ids(filled)
    assert (len(served), served < everything) == (80, True)
    (finding,) = check_store(filled, workspace).findings
    assert "restore a backup" in finding.remedy
