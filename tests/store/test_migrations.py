"""An older lake is brought up to date, and what the newest layout promises holds."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from ragdiag.records import Request
from ragdiag.settings import Workspace
from ragdiag.store import migrations
from ragdiag.store.ingest import ingest
from ragdiag.store.lake import Lake, close_lakes, open_lake
from ragdiag.store.results import load_requests
from ragdiag.store.spool import SpoolWriter

pytestmark = pytest.mark.usefixtures("planned_as_anywhere")

MakeRequest = Callable[..., Request]


def load(lake: Lake, workspace: Workspace, requests: list[Request]) -> None:
    with SpoolWriter(workspace) as writer:
        for request in requests:
            writer.write(request)
    assert ingest(lake, workspace).accepted == len(requests)


def files_read(lake: Lake, where: str) -> int:
    """How many files of ``requests`` DuckDB opens to answer."""
    plan = lake.rows(
        f"explain (analyze, format json) select sum(total_ms) from requests where {where}"
    )
    text = json.dumps(json.loads(plan[0]["explain_value"]))
    found = re.search(r'"Total Files Read": "(\d+)"', text)
    return int(found.group(1)) if found else 0


def requests_of(make_request: MakeRequest, months: range, versions: list[str]) -> list[Request]:
    return [
        make_request(
            n,
            request_id=f"{month}-{version}-{n}",
            asked_at=datetime(2026, month, 10, tzinfo=UTC),
            version_id=version,
        )
        for month in months
        for version in versions
        for n in range(4)
    ]


def test_a_month_and_a_version_read_only_their_files(
    lake: Lake, workspace: Workspace, make_request: MakeRequest
) -> None:
    versions = [f"version-{n}" for n in range(12)]
    load(lake, workspace, requests_of(make_request, range(1, 4), versions))
    all_files = len(lake.rows("from ducklake_list_files('lake', 'requests')"))
    assert 3 < all_files <= 3 * 8
    month = "asked_at >= '2026-02-01' and asked_at < '2026-03-01'"
    of_month = files_read(lake, month)
    assert 1 < of_month <= 8
    assert files_read(lake, "total_ms > 0") == all_files
    for version in versions:
        assert files_read(lake, f"{month} and version_id = '{version}'") == 1
        assert files_read(lake, f"version_id = '{version}'") <= 3


def test_versions_without_number_do_not_make_files_without_number(
    lake: Lake, workspace: Workspace, make_request: MakeRequest
) -> None:
    hostile = [f"../v{n}?*'\"\x01 é/" for n in range(100)]
    requests = requests_of(make_request, range(1, 2), hostile)
    load(lake, workspace, requests)
    files = [row["data_file"] for row in lake.rows("from ducklake_list_files('lake', 'requests')")]
    assert len(files) <= 8
    assert all(".." not in path and "é" not in path for path in files)
    assert {r.request_id for r in load_requests(lake)} == {r.request_id for r in requests}


def test_a_lake_of_every_earlier_schema_is_migrated(
    workspace: Workspace, make_request: MakeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = migrations.MIGRATIONS
    lake = open_lake_of(newest[:1], workspace, monkeypatch, create=True)
    lake.write(
        lambda c: c.execute(
            "insert into requests(request_id, asked_at, version_id, question, fused, context)"
            " select i, timestamp '2026-01-10', 'v' || i % 3, 'q', [], [] from range(24) t(i)"
        )
    )
    for known in range(2, len(newest) + 1):
        lake = open_lake_of(newest[:known], workspace, monkeypatch)
        assert lake.rows("select max(number) as n from migrations") == [{"n": known}]
        assert lake.rows("select count(*) as n from requests") == [{"n": 24}]
    load(lake, workspace, requests_of(make_request, range(3, 4), ["v1", "v2", "v3"]))
    assert lake.rows("select count(*) as n from requests") == [{"n": 36}]
    assert files_read(lake, "asked_at >= '2026-03-01' and version_id = 'v1'") == 1
    step_by_step = shape(lake)
    close_lakes()
    assert shape(open_lake(Workspace(workspace.root / "new"), create=True)) == step_by_step


def shape(lake: Lake) -> list[tuple[Any, ...]]:
    """Columns, views, options and the steps taken."""
    return lake.read(
        lambda c: [
            row
            for sql in (
                "select table_name, column_name, data_type, column_default from duckdb_columns()"
                " where database_name = 'lake' order by table_name, column_index",
                "select view_name, sql from duckdb_views() where database_name = 'lake' order by 1",
                "select option_name, value, scope, scope_entry from lake.options()"
                " where option_name <> 'data_path' order by all",
                "select number, name from migrations order by number",
            )
            for row in c.execute(sql).fetchall()
        ]
    )


def open_lake_of(
    known: tuple[migrations.Migration, ...],
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    create: bool = False,
) -> Lake:
    close_lakes()
    monkeypatch.setattr(migrations, "MIGRATIONS", known)
    return open_lake(workspace, create=create)
