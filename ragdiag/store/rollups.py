"""Sums by day that are always what the rows add up to, so that a year opens at once.

``daily`` holds facts.py's measures by day, version, topic and traffic; ``daily_latency``
histograms by day, version, traffic and stage (with topics they would have more rows than the
requests); ``failures`` one narrow row for each request that is graded wrong at the moment.
The first two only grow: a change is a row of differences, and whoever reads adds up. Each writer
of requests, grades, verdicts, judgments or feedback changes them in its own transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import duckdb
import pyarrow as pa

from ragdiag.store.facts import CELL, MEASURES, cells, failing, latencies
from ragdiag.store.tables import shown

Cursor = duckdb.DuckDBPyConnection

_BUCKET = ("day", "version_id", "traffic", "stage", "bucket")
_TOUCHED = """
    select * from requests
    where request_id in (select request_id from touched)
      and request_id >= (select min(request_id) from touched)
      and request_id <= (select max(request_id) from touched)"""


def count_new(cursor: Cursor, fresh: str) -> None:
    """Add requests that have just come in; ``fresh`` names a relation of their rows with ``rel``.

    Grades and feedback may have come before their request.
    """
    scope = f"select * from {fresh}"
    cursor.execute(f"insert into daily by name {cells(scope)}")
    cursor.execute(f"insert into daily_latency by name {latencies(scope)}")
    cursor.execute(f"insert into failures by name {failing(scope)}")


@contextmanager
def recounted(cursor: Cursor, request_ids: Iterable[str]) -> Iterator[None]:
    """Change within what is said about these requests; the rollups follow.

    For grades, verdicts, judgments and feedback, and for requests that are deleted within.
    """
    ids = sorted(set(request_ids))
    if not ids:
        yield
        return
    touched = pa.table({"request_id": pa.array(ids, pa.string())})
    with shown(cursor, "touched", touched):
        before = cursor.execute(cells(_TOUCHED)).to_arrow_table()
        buckets_before = cursor.execute(latencies(_TOUCHED)).to_arrow_table()
    yield
    with shown(cursor, "touched", touched):
        after = cursor.execute(cells(_TOUCHED)).to_arrow_table()
        wrong = cursor.execute(failing(_TOUCHED)).to_arrow_table()
        cursor.execute("delete from failures where request_id in (select request_id from touched)")
        with shown(cursor, "wrong", wrong):
            cursor.execute("insert into failures by name select * from wrong")
        if after.num_rows < before.num_rows or _total(after) != _total(before):
            buckets = cursor.execute(latencies(_TOUCHED)).to_arrow_table()
            _add_difference(cursor, "daily_latency", _BUCKET, ("n",), buckets_before, buckets)
    _add_difference(cursor, "daily", CELL, tuple(MEASURES), before, after)


def fill_rollups(cursor: Cursor) -> None:
    """Derive every rollup from the rows again, within the caller's transaction; pages see no
    difference, only fewer rows are left to add up."""
    for table in ("daily", "daily_latency", "failures"):
        cursor.execute(f"delete from {table}")
    count_new(cursor, "requests")


def _add_difference(
    cursor: Cursor,
    table: str,
    key: tuple[str, ...],
    measures: tuple[str, ...],
    before: pa.Table,
    after: pa.Table,
) -> None:
    """Append ``after`` − ``before``, without the rows where nothing is left of it."""
    names = ", ".join(key)
    sums = ", ".join(f"sum(sign * {name}) as {name}" for name in measures)
    changed = " or ".join(f"abs({name}) > 1e-9" for name in measures)
    with shown(cursor, "before", before), shown(cursor, "after", after):
        cursor.execute(
            f"insert into {table} by name select * from ("
            f"select {names}, {sums} from (select *, 1 as sign from after "
            f"union all by name select *, -1 as sign from before) group by {names}) "
            f"where {changed}"
        )


def _total(found: pa.Table) -> int:
    return sum(found["n"].to_pylist())
