"""The ``[lake]`` table: every mistake is one line that names file, key and what to write."""

from __future__ import annotations

import pytest

from ragdiag.backends import LakeTable, PostgresTable, S3Table
from ragdiag.configuration import read_configuration
from ragdiag.errors import InputError
from ragdiag.settings import Workspace, command_workspace, dashboard_workspace

SERVER = '[lake]\ncatalog = "postgres"\ndata_path = "s3://bucket/prefix"\n[lake.postgres]\n'
BUCKET = '[lake]\ndata_path = "s3://bucket"\n[lake.s3]\n'


def read(workspace: Workspace, text: str) -> LakeTable:
    workspace.root.mkdir(exist_ok=True)
    workspace.configuration.write_text(text, encoding="utf-8")
    return read_configuration(workspace).lake


def test_nothing_configured_is_sqlite_and_local_files(workspace: Workspace) -> None:
    assert read_configuration(workspace).lake == LakeTable()
    assert LakeTable().encrypted
    assert not LakeTable().in_bucket


def test_a_uri_is_its_parts(workspace: Workspace) -> None:
    uri = "postgresql://rag%40diag@[::1]:6000/lake%20one?sslmode=require&connect_timeout=3"
    by_uri = read(workspace, f'{SERVER}uri = "{uri}"\n')
    by_key = read(
        workspace,
        f"""{SERVER}host = "::1"\nport = 6000\ndatabase = "lake one"\nuser = "rag@diag"
        sslmode = "require"\nconnect_timeout = 3\n""",
    )
    assert by_uri == by_key
    socket = read(workspace, f'{SERVER}uri = "postgresql:///ragdiag?host=/run/postgresql"\n')
    assert socket.postgres == PostgresTable(host="/run/postgresql")


def test_a_bucket_and_its_store(workspace: Workspace) -> None:
    lake = read(workspace, f'{BUCKET}endpoint = "minio:9000"\nurl_style = "path"\nuse_ssl = false')
    assert (lake.in_bucket, lake.bucket) == (True, "bucket")
    assert lake.s3 == S3Table(endpoint="minio:9000", url_style="path", use_ssl=False)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[lake]\ncatalog = 'mysql'", "lake.catalog"),
        ("[lake]\nencrypted = 'yes'", "lake.encrypted"),
        ("[lake]\ndatapath = '/data'", "lake.datapath"),
        ("[lake]\ndata_path = 'data'", "an absolute folder"),
        ("[lake]\ndata_path = 'gs://bucket'", "neither s3://"),
        ("[lake]\ndata_path = 's3:///prefix'", "names no bucket"),
        ("[lake]\ncatalog = 'postgres'\ndata_path = '/data'", "needs a table [lake.postgres]"),
        ("[lake]\ncatalog = 'postgres'\n[lake.postgres]", "a data_path that every machine reaches"),
        ("[lake.postgres]\nhost = 'db'", 'catalog must be "postgres"'),
        ("[lake.s3]\nregion = 'eu-1'", "data_path must be"),
        (f"{SERVER}port = '5432'", "lake.postgres.port"),
        (f"{SERVER}host = 'db password=x'", "lake.postgres.host"),
        (f"{SERVER}user = ''", "lake.postgres.user"),
        (f"{SERVER}sslmode = 'on'", "lake.postgres.sslmode"),
        (f"{SERVER}uri = 'mysql://db'", "must begin with postgresql://"),
        (f"{SERVER}uri = 5", "uri must be text"),
        (f"{SERVER}uri = 'postgresql://db:port/x'", "uri cannot be read"),
        (f"{SERVER}uri = 'postgresql://db/x?options=-c'", "uri says 'options'"),
        (f"{SERVER}uri = 'postgresql://db/x'\nhost = 'other'", "uri and host both say it"),
        (f"{SERVER}password_env = 'not a name'", "lake.postgres.password_env"),
        (f"{BUCKET}endpoint = 'http://minio:9000'", "lake.s3.endpoint"),
        (f"{BUCKET}url_style = 'virtual'", "lake.s3.url_style"),
        (f"{BUCKET}secret_env = 'a/b+c='", "lake.s3.secret_env"),
    ],
)
def test_a_mistake_is_one_line(workspace: Workspace, text: str, says: str) -> None:
    with pytest.raises(InputError) as caught:
        read(workspace, text)
    assert says in str(caught.value)
    assert str(workspace.configuration) in str(caught.value)
    assert "docs/backends.md" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        f"{SERVER}password = 'hunter2'",
        f"{SERVER}uri = 'postgresql://me:hunter2@db/x'",
        f"{SERVER}uri = 'postgresql://me@db/x?password=hunter2'",
        f"{SERVER}uri = 'postgresql://me:hunter2/@db/x'",
        f"{BUCKET}secret = 'hunter2'",
        f"{BUCKET}secret_env = 'hunter2/'",
    ],
)
def test_a_secret_in_the_file_is_refused_and_not_repeated(workspace: Workspace, text: str) -> None:
    with pytest.raises(InputError) as caught:
        read(workspace, text)
    assert "hunter2" not in str(caught.value)


def test_a_configured_workspace_goes_before_the_demo(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAGDIAG_WORKSPACE", raising=False)
    monkeypatch.setattr("ragdiag.settings.DATA", workspace.root)
    (workspace.root / "demo" / "lake").mkdir(parents=True)
    (workspace.root / "demo" / "lake" / "catalog.sqlite").touch()
    assert dashboard_workspace() == Workspace(workspace.root / "demo")
    read(Workspace(workspace.root / "workspace"), "[lake]\n")
    assert dashboard_workspace() == command_workspace()
