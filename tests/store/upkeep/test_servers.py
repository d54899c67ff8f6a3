"""Upkeep of a lake whose catalog is in PostgreSQL and whose files are in a bucket."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ragdiag.configuration import read_configuration
from ragdiag.privacy.pseudonyms import user_key
from ragdiag.records import Grade
from ragdiag.settings import Workspace
from ragdiag.store.ingest import ingest
from ragdiag.store.lake import Lake, open_lake
from ragdiag.store.results import load_requests, save_findings
from ragdiag.store.spool import SpoolWriter
from ragdiag.store.upkeep.compact import compact_store
from ragdiag.store.upkeep.datafiles import list_files
from ragdiag.store.upkeep.past import PastLake
from ragdiag.store.upkeep.snapshots import name_snapshot
from tests.servers import ObjectStore, Postgres
from tests.store.conftest import MONDAY, toy_feedback, toy_request

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("planned_as_anywhere")]

Place = Callable[..., Workspace]
Command = Callable[..., tuple[int, Any, str]]
Start = Callable[..., subprocess.Popen[str]]
ANN = "ann-of-accounting"
SECRET = "Why was the quokka invoice of the walrus refused"
REQUESTS = "select * from requests order by request_id"


@pytest.fixture
def remote(place: Place, workspace: Workspace) -> Workspace:
    return place(workspace.root)


@pytest.fixture
def lake(remote: Workspace) -> Lake:
    """Sixty requests in three segments, one a day; every third is Ann's."""
    lake = open_lake(remote, create=True)
    fill(lake)
    return lake


def fill(lake: Lake) -> None:
    ann, bob = (user_key(lake.workspace, name) for name in (ANN, "bob-of-billing"))
    for part in range(3):
        with SpoolWriter(lake.workspace) as spool:
            for n in range(part * 20, part * 20 + 20):
                at = MONDAY + timedelta(days=n)
                said = f"{SECRET} ({n})?" if n % 3 == 0 else f"What is owed on day {n}?"
                user = bob if n % 3 else ann
                spool.write(toy_request(n, question=said, user_key=user, asked_at=at))
                spool.write(toy_feedback(n, given_at=at))
        ingest(lake, lake.workspace)
    save_findings(lake, grades=[Grade(f"r{n}", "contains_or_f1", 1) for n in range(0, 60, 3)])


def objects(workspace: Workspace, store: ObjectStore) -> set[str]:
    path = read_configuration(workspace).lake.data_path or ""
    return {f"s3://lake/{key}" for key in store.keys("lake", path.removeprefix("s3://lake/"))}


def test_check_finds_what_is_wrong_and_mends_it(
    lake: Lake, remote: Workspace, object_store: ObjectStore, command: Command
) -> None:
    status, found, said = command(remote, "store", "check")
    assert (status, found["findings"]) == (0, []), said
    assert command(remote, "store", "check")[1]["findings"] == []
    victim = next(file for file in lake.read(list_files) if file.table == "requests")
    key = victim.path.removeprefix("s3://lake/")
    whole = object_store.read("lake", key)
    for content, fault in (
        (None, "is missing"),
        (whole[:-1], "cut or grown"),
        (whole[:100] + b"?" + whole[101:], "its SHA-256 is another"),
    ):
        object_store.delete("lake", key)
        if content is not None:
            object_store.write("lake", key, content)
        status, found, said = command(remote, "store", "check")
        (finding,) = found["findings"]
        assert (status, victim.path in finding["what"]) == (1, True), said
        assert fault in finding["what"]

    object_store.delete("lake", key)
    status, found, said = command(remote, "store", "check", "--set-aside")
    assert (status, [one["name"] for one in found["set_aside"]]) == (1, [victim.name]), said
    assert len(load_requests(lake)) == 60 - victim.rows
    object_store.write("lake", key, whole)
    status, found, said = command(remote, "store", "check", "--put-back")
    assert (status, found["findings"]) == (0, []), said
    assert len(load_requests(lake)) == 60


def test_a_catalog_that_lost_a_row_is_held_to_the_ledger(
    lake: Lake, remote: Workspace, postgres: Postgres, command: Command
) -> None:
    victim = next(file for file in lake.read(list_files) if file.table == "requests")
    schema = schema_of(remote)
    postgres.ask(f'delete from "{schema}".ducklake_data_file where data_file_id = {victim.file_id}')
    status, found, said = command(remote, "store", "check")
    told = " ".join(one["what"] for one in found["findings"])
    assert status == 1, said
    assert f"{20 - victim.rows} requests of segment" in told
    assert "the ledger says 20" in told


def schema_of(workspace: Workspace) -> str:
    return workspace.configuration.read_text().split('schema = "')[1].split('"')[0]


def test_a_bucket_that_is_gone_is_not_taken_for_missing_files(
    place: Place, workspace: Workspace, object_store: ObjectStore, command: Command
) -> None:
    object_store.create_bucket("gone")
    place(workspace.root, data_path="s3://gone/lake")
    lake = open_lake(workspace, create=True)
    lake.write(lambda c: c.execute("insert into versions(version_id) select i from range(30) t(i)"))
    object_store.delete_bucket("gone")
    status, found, said = command(workspace, "store", "check")
    assert (status, found) == (2, None)
    assert "the bucket of the lake's data does not exist" in said


def test_compaction_leaves_the_rows_and_fewer_objects(
    lake: Lake, remote: Workspace, object_store: ObjectStore, command: Command
) -> None:
    kept = name_snapshot(lake, "before")
    before = lake.rows(REQUESTS)
    lake.write(lambda c: c.execute("update requests set topic = 'new' where request_id = 'r7'"))
    after = lake.rows(REQUESTS)
    many = objects(remote, object_store)
    status, done, said = command(remote, "store", "compact", "--keep-days", "0")
    assert status == 0, said
    assert done["merged"] + done["rewritten"] > 0
    assert objects(remote, object_store) >= many, "a query may still read them for an hour"
    compact_store(lake, keep_days=0, file_grace_s=0, orphan_grace_s=0)
    assert objects(remote, object_store) == {file.path for file in lake.read(list_files)}
    assert lake.rows(REQUESTS) == after
    with PastLake(lake, kept.snapshot) as past:
        assert past.rows(REQUESTS) == before
    assert command(remote, "store", "unname", "before")[0] == 0
    compact_store(lake, keep_days=0, file_grace_s=0, orphan_grace_s=0)
    assert len(objects(remote, object_store)) < len(many)
    assert lake.rows(REQUESTS) == after
    assert command(remote, "store", "check")[1]["findings"] == []


def test_old_requests_expire(lake: Lake, remote: Workspace, command: Command) -> None:
    name_snapshot(lake, "week 1")
    days = (lake.rows("select now()::timestamp - ? as age", [MONDAY])[0]["age"]).days - 30
    dry = command(remote, "store", "expire", "--older-than", str(days), "--dry-run")[1]
    assert 0 < dry["rows"]["requests"] < 60
    assert dry["held_by"] == ["week 1"]
    status, done, said = command(remote, "store", "expire", "--older-than", str(days))
    assert (status, done["rows"]) == (0, dry["rows"]), said
    assert len(load_requests(lake)) == 60 - dry["rows"]["requests"]
    assert command(remote, "store", "check")[1]["findings"] == []


def test_a_forgotten_user_is_in_no_object_and_in_no_row_of_the_server(
    place: Place,
    workspace: Workspace,
    tmp_path: Path,
    postgres: Postgres,
    object_store: ObjectStore,
    command: Command,
) -> None:
    """Neither encrypted nor compressed, so that bytes tell."""
    place(workspace.root, encrypted=False)
    lake = open_lake(workspace, create=True)
    option = "call lake.set_option('parquet_compression', 'uncompressed')"
    lake.write(lambda cursor: cursor.execute(option))
    fill(lake)
    key = user_key(workspace, ANN)

    def places(lake: Workspace) -> set[str]:
        """Where the user's text or pseudonym is found."""
        table = read_configuration(lake).lake
        assert table.postgres is not None
        dump = postgres.dump(table.postgres.catalog_schema)
        found = {
            path
            for path in objects(lake, object_store)
            for content in [object_store.read("lake", path.removeprefix("s3://lake/"))]
            if SECRET.encode() in content or key.encode() in content
        }
        texts = (SECRET, key, SECRET.encode().hex(), key.encode().hex())
        return found | {text for text in texts if text in dump}

    assert any(one.startswith("s3://") for one in places(workspace)), "it finds what there is"
    before = [row for row in lake.rows(REQUESTS) if row["user_key"] != key]
    assert command(workspace, "store", "backup", str(tmp_path / "backup"))[0] == 0
    status, done, said = command(workspace, "privacy", "forget-user", ANN)
    assert (status, done["requests"], done["clean"]) == (0, 20, True), said
    assert places(workspace) == set()
    assert lake.rows(REQUESTS) == before
    assert command(workspace, "store", "check")[1]["findings"] == []

    other = place(tmp_path / "other", encrypted=False)
    shutil.copytree(workspace.root / "secrets", other.root / "secrets")
    status, done, said = command(other, "store", "restore", str(tmp_path / "backup"))
    assert (status, done["forgotten_again"]) == (0, 20), said
    assert places(other) == set(), "nor does a backup bring the user back"
    assert open_lake(other).rows(REQUESTS) == before


TALK = """
from ragdiag.store.lake import open_lake
from ragdiag.store.upkeep.past import PastLake
lake = open_lake(workspace)
past = PastLake(lake, int(arguments[0]))
for line in iter(sys.stdin.readline, ""):
    lake.write(lambda c: c.execute("insert into versions(version_id) values (?)", [line.strip()]))
    print(*(one.rows("select count(*) as n from versions")[0]["n"] for one in (lake, past)),
          flush=True)
"""


def test_readers_and_writers_elsewhere_outlive_a_compaction(
    place: Place, workspace: Workspace, start_python: Start
) -> None:
    """It takes away a place of small rows that the other process knows."""
    place(workspace.root)
    lake = open_lake(workspace, create=True)
    lake.write(lambda c: c.execute("insert into versions(version_id) values ('a')"))
    lake.write(lambda c: c.execute("alter table versions add column owner varchar"))
    kept = name_snapshot(lake, "kept")
    process = start_python(TALK, str(kept.snapshot))
    assert process.stdin is not None
    assert process.stdout is not None
    for number in range(3):
        process.stdin.write(f"b{number}\n")
        process.stdin.flush()
        assert process.stdout.readline() == f"{number + 2} 1\n"
        if number == 0:
            compact_store(lake, keep_days=0, file_grace_s=0, orphan_grace_s=0)
    assert len(lake.rows("from versions")) == 4


def test_a_lake_whose_duckdb_has_failed_is_opened_anew(place: Place, workspace: Workspace) -> None:
    """An attached snapshot that looks for small rows where they are no more kills it."""
    place(workspace.root)
    lake = open_lake(workspace, create=True)
    lake.write(lambda c: c.execute("insert into versions(version_id) values ('a')"))
    lake.write(lambda c: c.execute("alter table versions add column owner varchar"))
    with PastLake(lake, lake.snapshot()) as past:
        stale = f"select count(*) from {past._database}.versions"
        assert lake.rows(stale) != []
        with lake.turn():
            lake.rows("from ducklake_flush_inlined_data('lake', table_name => 'versions')")
        with pytest.raises(duckdb.Error):
            lake.rows(stale)
    with pytest.raises(duckdb.FatalException):
        lake.rows("from versions")
    assert open_lake(workspace).rows("select version_id from versions") == [{"version_id": "a"}]
