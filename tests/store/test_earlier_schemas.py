"""A lake of every earlier schema, with rows in every table it had, opened by today's code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from ragdiag.settings import Workspace
from ragdiag.store import lake as lake_module
from ragdiag.store import migrations
from ragdiag.store.lake import close_lakes, open_lake
from ragdiag.store.migrations import MIGRATIONS
from ragdiag.store.upkeep.check import check_store
from ragdiag.store.upkeep.ledger import find_gaps
from ragdiag.store.upkeep.snapshots import name_snapshot

VALUES = {"TIMESTAMP": "timestamp '2026-01-05 12:00'", "VARCHAR": "'x' || i", "BOOLEAN": "true"}

MADE_BY_MIGRATIONS = ("segment_counts", "daily", "daily_latency", "failures")
"""What the ledger did not know is entered there; the rollups are what the requests add up to."""


def columns(cursor: duckdb.DuckDBPyConnection) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for table, name, kind in cursor.execute(
        "select c.table_name, c.column_name, c.data_type from duckdb_columns() c "
        "join duckdb_tables() t using (database_name, table_name) where database_name = 'lake'"
    ).fetchall():
        found.setdefault(table, []).append((name, kind))
    return found


def fill(cursor: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Thirty rows more in every table but the record of migrations; all rows by table."""
    filled = {}
    for table, described in columns(cursor).items():
        if table != "migrations":
            names = ", ".join(name for name, _ in described)
            values = ", ".join(
                f"try_cast({VALUES.get(kind, 'null' if '[]' in kind else 'i')} as {kind})"
                for _, kind in described
            )
            cursor.execute(f"insert into {table}({names}) select {values} from range(30) t(i)")
            (filled[table],) = cursor.execute(f"select count(*) from {table}").fetchone() or (0,)
    return filled


@pytest.mark.parametrize("schema", range(1, len(MIGRATIONS)))
def test_todays_code_opens_every_earlier_schema(
    workspace: Workspace, schema: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with monkeypatch.context() as earlier:
        earlier.setattr(migrations, "MIGRATIONS", MIGRATIONS[:schema])
        filled = open_lake(workspace, create=True).write(fill)
        close_lakes()
    lake = lake_module.open_lake(workspace)
    done: list[dict[str, Any]] = lake.rows("select number, name from migrations order by number")
    assert [row["name"] for row in done] == [one.__name__ for one in MIGRATIONS]
    made = dict.fromkeys(MADE_BY_MIGRATIONS, 0)
    counts = {t: lake.rows(f"select count(*) as n from {t}")[0]["n"] for t in filled}
    assert {**counts, **made} == {**filled, **made}
    assert lake.rows("select sum(n)::int as n from daily") == [{"n": 30}]
    if schema < [one.__name__ for one in MIGRATIONS].index("whole_ledger") + 1:
        gaps = [gap.kind for gap in lake.read(find_gaps)]
        assert not {"grade", "passage", "span"} & {*gaps}
    for view in lake.rows(
        "select view_name from duckdb_views() where database_name = 'lake' and not internal"
    ):
        lake.rows(f"select * from {view['view_name']}")
    assert len(lake.rows("select * from latest_grades")) == 30
    assert not check_store(lake, workspace).damaged
    assert name_snapshot(lake, "after").snapshot > 0
    close_lakes()
