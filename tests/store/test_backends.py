"""One lake on a real PostgreSQL server and in a real bucket, from several workspace folders."""

from __future__ import annotations

import io
import itertools
import json
import re
import shutil
import signal
import subprocess
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from ragdiag.cli import main
from ragdiag.errors import (
    DamagedFile,
    InputError,
    NoWorkspace,
    RagdiagError,
    StoreBusy,
    StoreError,
)
from ragdiag.records import Request
from ragdiag.settings import PROJECT, WORKSPACE_VARIABLE, Workspace, dashboard_workspace
from ragdiag.store import lake as lake_module
from ragdiag.store.ingest import ingest
from ragdiag.store.lake import Lake, close_lakes, open_lake
from ragdiag.store.migrations import MIGRATIONS
from ragdiag.store.results import load_requests
from ragdiag.store.spool import SpoolWriter
from ragdiag.workflows.doctor import examine
from tests.servers import (
    ENVIRONMENT,
    PASSWORD,
    PASSWORD_VARIABLE,
    SECRET_KEY,
    LossyWire,
    ObjectStore,
    Postgres,
    configure,
)

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("credentials")]

Start = Callable[..., subprocess.Popen[str]]
Finish = Callable[[subprocess.Popen[str]], str]
MakeRequest = Callable[..., Request]
HOSTILE = "../../v1/?*'\"\x01 é"
"""A version id that would be a bad part of a path."""
numbers = itertools.count(1)


@pytest.fixture
def remote(
    workspace: Workspace, postgres: Postgres, object_store: ObjectStore
) -> Iterator[Workspace]:
    """A workspace whose lake is elsewhere, in a schema and under a prefix of its own."""
    number = next(numbers)
    yield configure(
        workspace,
        postgres=postgres,
        schema=f"it's lake {number}",
        store=object_store,
        data_path=f"s3://lake/{number}",
    )
    close_lakes()


@pytest.fixture(scope="module")
def shared_lake(
    tmp_path_factory: pytest.TempPathFactory, postgres: Postgres, object_store: ObjectStore
) -> Workspace:
    """Created once: most tests only need that there is one."""
    with pytest.MonkeyPatch.context() as patched:
        for name, value in ENVIRONMENT.items():
            patched.setenv(name, value)
        workspace = configure(
            Workspace(tmp_path_factory.mktemp("shared")),
            postgres=postgres,
            schema="it's shared",
            store=object_store,
            data_path="s3://lake/shared",
        )
        open_lake(workspace, create=True)
        close_lakes()
    return workspace


@pytest.fixture
def shared(workspace: Workspace, shared_lake: Workspace) -> Iterator[Workspace]:
    """A folder of its own on the shared lake."""
    workspace.root.mkdir()
    shutil.copy(shared_lake.configuration, workspace.configuration)
    yield workspace
    close_lakes()


def neighbour(workspace: Workspace) -> Workspace:
    """Another machine's folder with the same configuration."""
    other = Workspace(workspace.root.with_name("neighbour"))
    other.root.mkdir()
    shutil.copy(workspace.configuration, other.configuration)
    return other


def spool(workspace: Workspace, *records: Request) -> None:
    with SpoolWriter(workspace) as writer:
        for record in records:
            writer.write(record)


def add_versions(lake: Lake, name: str, n: int = 1) -> None:
    """``n`` versions of one name; more than ten are a file of their own."""
    lake.write(
        lambda c: c.execute(
            "insert into versions(version_id, name) select i, ? from range(?) t(i)", [name, n]
        )
    )


def versions_named(lake: Lake, name: str) -> int:
    return int(
        lake.rows("select count(*) as n from versions where starts_with(name, ?)", [name])[0]["n"]
    )


def one_line(error: RagdiagError) -> str:
    """What is shown; no secret is in it, nor in the traceback that a log would keep."""
    whole = "".join(traceback.format_exception(error))
    for secret in (PASSWORD, SECRET_KEY, "wrong-password", "wrong-secret"):
        assert secret not in whole
    assert "\n" not in str(error)
    return str(error)


def test_what_one_machine_writes_another_reads(
    remote: Workspace, object_store: ObjectStore, make_request: MakeRequest
) -> None:
    with pytest.raises(NoWorkspace, match="there is no workspace"):
        open_lake(remote)
    lake = open_lake(remote, create=True)
    requests = [make_request(n, version_id=HOSTILE if n % 2 else "v2") for n in range(40)]
    spool(remote, *requests)
    assert ingest(lake, remote).accepted == 40
    close_lakes()

    lake = open_lake(neighbour(remote))
    assert load_requests(lake) == sorted(requests, key=lambda r: (r.asked_at, r.request_id))
    assert lake.rows("select count(*) as n from migrations") == [{"n": len(MIGRATIONS)}]
    assert not remote.catalog.exists()
    assert not remote.lake_data.exists()
    files = object_store.keys("lake", f"{prefix(remote)}/main/requests/")
    assert files
    assert all(object_store.read("lake", key)[:4] == b"PARE" for key in files)


def test_unencrypted_files_are_plain_parquet(
    workspace: Workspace, postgres: Postgres, object_store: ObjectStore, make_request: MakeRequest
) -> None:
    """As docs/backends.md says: written out, listed by the catalog, read by another engine."""
    configure(
        workspace, postgres=postgres, schema="plain", store=object_store,
        data_path="s3://lake/plain", encrypted=False,
    )  # fmt: skip
    lake = open_lake(workspace, create=True)
    for some in (range(20), range(20, 22)):  # so few that they stay in the catalog
        spool(workspace, *(make_request(n, version_id=HOSTILE) for n in some))
        ingest(lake, workspace)
    lake.write(lambda c: c.execute("delete from requests where request_id = 'r5'"))
    guide = (PROJECT / "docs" / "backends.md").read_text(encoding="utf-8")
    for statement in re.findall(r'"(call .*?)"', guide):
        lake.write(lambda c, sql=statement: c.execute(sql))  # type: ignore[misc]
    (listing,) = re.findall(r"```sql\n(.*?)```", guide, flags=re.DOTALL)
    keys = postgres.ask(listing.replace("ragdiag.", "plain.")).split()
    form = r"main/requests/year=2026/month=1/bucket=\d/[a-z0-9-]+\.parquet"
    assert all(re.fullmatch(form, key) for key in keys), keys
    rows = [
        row
        for key in keys
        for row in pq.read_table(io.BytesIO(object_store.read("lake", f"plain/{key}"))).to_pylist()
    ]
    assert {row["request_id"] for row in rows} == {f"r{n}" for n in range(22) if n != 5}
    assert len(rows) == 21
    assert rows[0]["lexical"][0] == {"passage_id": "p1", "score": 2.5}

    close_lakes()
    text = workspace.configuration.read_text()
    workspace.configuration.write_text(text.replace("encrypted = false", "encrypted = true"))
    with pytest.raises(StoreError, match="was created unencrypted"):
        open_lake(workspace)
    close_lakes()


INGEST = """
from contextlib import nullcontext
from ragdiag.store.ingest import ingest
from ragdiag.store.lake import open_lake
from ragdiag.store.catalogs.postgres_catalog import PostgresCatalog
here = Workspace(Path(arguments[0]))
lake = open_lake(here)
for line in iter(sys.stdin.readline, ""):
    if line == "at once\\n":
        PostgresCatalog.turn = lambda self, kind, deadline: nullcontext()
    report = ingest(lake, here)
    print(report.segments, report.accepted, report.rejected, flush=True)
"""


def test_machines_that_load_the_same_segments_count_each_once(
    shared: Workspace, make_request: MakeRequest, start_python: Start, finish: Finish
) -> None:
    """Where the turns fail ("at once"), the commits still exclude each other."""
    folders = [shared.root.with_name(f"machine-{n}") for n in range(3)]
    for folder in folders:
        shutil.copytree(shared.root, folder)
    processes = [start_python(INGEST, str(folder)) for folder in folders]
    lake = open_lake(shared)
    for how in ("in turns", "at once"):
        for number in range(4):
            some = (make_request(n, request_id=f"{how} {number * 15 + n}") for n in range(20))
            spool(shared, *some)
        for folder in folders:
            shutil.copytree(shared.spool, folder / "spool", dirs_exist_ok=True)
        for path in shared.spool.glob("*.jsonl"):
            path.unlink()
        for process in processes:
            assert process.stdin is not None
            process.stdin.write(f"{how}\n")
            process.stdin.flush()
        reports = []
        for process in processes:
            assert process.stdout is not None
            reports.append([int(word) for word in process.stdout.readline().split()])
        assert [sum(column) for column in zip(*reports, strict=True)] == [4, 65, 5 * 3], reports
        stored = lake.rows(
            "select request_id, count(*) as n from requests where starts_with(request_id, ?)"
            " group by 1",
            [how],
        )
        assert {row["request_id"] for row in stored} == {f"{how} {n}" for n in range(65)}
        assert {row["n"] for row in stored} == {1}
    for process in processes:
        finish(process)


HOLD = """
from ragdiag.store.lake import open_lake
def work(cursor):
    cursor.execute("insert into versions(name) values ('killed: partial')")
    print("inside", flush=True)
    sys.stdin.readline()
open_lake(workspace).write(work)
"""


def test_a_killed_writer_frees_its_turn(
    shared: Workspace, start_python: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = open_lake(shared)
    process = start_python(HOLD)
    assert process.stdout is not None
    assert process.stdout.readline() == "inside\n"
    with monkeypatch.context() as patched:
        patched.setattr(lake_module, "PATIENCE_S", 0.1)
        with pytest.raises(StoreBusy, match=r"has held PostgreSQL 127\.0\.0\.1"):
            add_versions(lake, "killed: early")
    process.kill()
    process.wait()
    add_versions(lake, "killed: after")
    assert versions_named(lake, "killed") == 1


def test_a_server_that_stops_while_writers_write_loses_nothing(
    shared: Workspace, postgres: Postgres
) -> None:
    lake = open_lake(shared)
    acknowledged = []

    def write_on() -> None:
        for number in itertools.count():
            if number == 5:
                # The transaction is open and its file is in the bucket when the server dies.
                lake.write(lambda c: (c.execute(LATE), postgres.stop(signal.SIGQUIT)))
            add_versions(lake, f"stopped: {number}", 20)
            acknowledged.append(number)

    try:
        with pytest.raises(StoreError) as stopped:
            write_on()
        assert "server is not there" in one_line(stopped.value)
        with pytest.raises(StoreError) as down:
            add_versions(lake, "stopped: lost")
        assert "start it" in one_line(down.value)
        with pytest.raises(StoreError, match="server is not there"):
            lake.snapshot()
        assert examine(shared)[-1].status == "bad"
        assert open_lake(shared) is lake
    finally:
        if postgres.process is None:
            postgres.start()
    assert acknowledged == list(range(5))
    assert versions_named(lake, "stopped") == 100
    add_versions(lake, "stopped: after")
    assert versions_named(lake, "stopped") == 101


LATE = "insert into versions(name) select 'stopped: late' from range(20)"


def test_a_commit_whose_answer_is_lost_counts_once(
    shared: Workspace, postgres: Postgres, make_request: MakeRequest
) -> None:
    wire = LossyWire(postgres.port)
    text = shared.configuration.read_text()
    shared.configuration.write_text(text.replace(f":{postgres.port}/", f":{wire.port}/"))
    lake = open_lake(shared)
    requests = [make_request(n, request_id=f"lost {n}", question_id="lost") for n in range(30)]
    spool(shared, *requests)
    wire.loses = True
    with pytest.raises(StoreError) as lost:
        ingest(lake, shared)
    assert "run this again" in one_line(lost.value)
    assert wire.lost
    wire.loses = False
    assert len(list(shared.spool.glob("*.jsonl"))) == 1
    ingest(lake, shared)
    assert list(shared.spool.glob("*.jsonl")) == []
    assert [r for r in load_requests(lake) if r.question_id == "lost"] == requests
    close_lakes()
    wire.close()


def test_a_wrong_password_is_one_line(
    shared: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(PASSWORD_VARIABLE, "wrong-password")
    with pytest.raises(StoreError) as refused:
        open_lake(shared)
    assert "refuses this login" in one_line(refused.value)
    assert str(shared.configuration) in str(refused.value)
    assert main(["--workspace", str(shared.root), "ingest"]) == 2
    assert "wrong-password" not in "".join(capsys.readouterr())
    monkeypatch.delenv(PASSWORD_VARIABLE)
    with pytest.raises(InputError, match=f"{PASSWORD_VARIABLE} is not set"):
        open_lake(shared)


def test_a_password_of_libpqs_own_file_is_enough(
    shared: Workspace, tmp_path: Path, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = shared.configuration.read_text().splitlines()
    kept = [line for line in lines if not line.startswith("password_env")]
    shared.configuration.write_text("\n".join(kept))
    escaped = PASSWORD.replace("\\", "\\\\")
    passfile = tmp_path / "pgpass"
    passfile.write_text(f"127.0.0.1:{postgres.port}:*:ragdiag:{escaped}\n")
    passfile.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(passfile))
    add_versions(open_lake(shared), "pgpass")


def test_a_bucket_that_is_not_there_gets_no_lake(remote: Workspace) -> None:
    good = remote.configuration.read_text()
    remote.configuration.write_text(good.replace("s3://lake", "s3://nowhere"))
    with pytest.raises(StoreError) as missing:
        open_lake(remote, create=True)
    assert "bucket of the lake's data does not exist" in one_line(missing.value)
    remote.configuration.write_text(good)
    with pytest.raises(NoWorkspace):
        open_lake(remote)


def test_a_store_that_refuses_or_is_away_is_one_line(
    shared: Workspace, object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-secret")
    lake = open_lake(shared)
    object_store.check_keys(True)
    try:
        with pytest.raises(StoreError) as denied:
            add_versions(lake, "denied", 20)
        assert "refuses these keys" in one_line(denied.value)
        assert "refuses these keys" in examine(shared)[-1].what
    finally:
        object_store.check_keys(False)

    text = shared.configuration.read_text()
    shared.configuration.write_text(text.replace(f":{object_store.port}", ":9"))
    with pytest.raises(StoreError) as away:
        add_versions(open_lake(shared), "away", 20)
    assert "object store of the lake's data is not there" in one_line(away.value)


def test_a_lost_object_is_named(remote: Workspace, object_store: ObjectStore) -> None:
    lake = open_lake(remote, create=True)
    add_versions(lake, "lost", 20)
    (key,) = object_store.keys("lake", f"{prefix(remote)}/main/versions/")
    object_store.delete("lake", key)
    close_lakes()
    with pytest.raises(DamagedFile, match=r"is missing; .*--set-aside") as missing:
        open_lake(remote).rows("select max(name) from versions")
    assert key in one_line(missing.value)


def prefix(workspace: Workspace) -> str:
    """Where the lake of a fixture keeps its files in the bucket."""
    return workspace.configuration.read_text().split("s3://lake/")[1].split('"')[0]


def test_another_data_path_than_the_lakes_is_refused(shared: Workspace) -> None:
    open_lake(shared)
    text = shared.configuration.read_text()
    shared.configuration.write_text(text.replace("s3://lake/", "s3://lake/elsewhere-"))
    with pytest.raises(StoreError, match="keeps its data elsewhere"):
        open_lake(shared)


def test_the_catalogs_own_tables_have_the_same_names_everywhere(shared: Workspace) -> None:
    rows = open_lake(shared).rows(
        "select count(*) as n from __ducklake_metadata_lake.ducklake_snapshot"
    )
    assert rows[0]["n"] > 1


def test_a_dropped_catalog_is_noticed(remote: Workspace, postgres: Postgres) -> None:
    lake = open_lake(remote, create=True)
    add_versions(lake, "dropped")
    assert open_lake(remote) is lake
    schema = remote.configuration.read_text().split('schema = "')[1].split('"')[0]
    postgres.ask(f'drop schema "{schema}" cascade')
    with pytest.raises(NoWorkspace):
        open_lake(remote)
    again = open_lake(remote, create=True)
    assert versions_named(again, "dropped") == 0


def test_a_bucket_without_a_server(
    workspace: Workspace, object_store: ObjectStore, make_request: MakeRequest
) -> None:
    configure(workspace, store=object_store, data_path="s3://lake/sqlite")
    lake = open_lake(workspace, create=True)
    spool(workspace, *(make_request(n) for n in range(20)))
    assert ingest(lake, workspace).accepted == 20
    assert workspace.catalog.is_file()
    assert object_store.keys("lake", "sqlite/main/requests/")
    close_lakes()


def test_commands_work_unchanged(
    remote: Workspace,
    toy_beir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def run(*words: str) -> Any:
        status = main(["--workspace", str(remote.root), *words, "--json"])
        out, err = capsys.readouterr()
        assert status == 0, err
        return json.loads(out)

    spec = tmp_path / "lexical.toml"
    spec.write_text('[lexical]\n[generator]\nkind = "extractive"\n')
    assert run("import", "beir", str(toy_beir))["passages"] == 8
    run("version", "add", "lexical", "--spec", str(spec))
    run("index", "build", "lexical")
    assert run("evaluate", "lexical", "--split", "test")["n"] == 6
    assert all(finding["state"] == "good" for finding in run("doctor"))
    monkeypatch.setenv(WORKSPACE_VARIABLE, str(remote.root))
    assert dashboard_workspace() == Workspace(remote.root.resolve())


def test_the_environment_of_these_tests_is_what_must_not_leak() -> None:
    assert {PASSWORD, SECRET_KEY} < set(ENVIRONMENT.values())
