"""Sums by day that are always what the rows add up to, so that a year opens at once.

``daily`` holds facts.py's measures by day, version, topic, traffic and weight; ``daily_latency``
histograms by day, version, traffic, weight and stage (with topics they would have more rows than
the requests); ``failures`` one narrow row, with its question, for each request that is graded wrong
now: what a page lists is not looked for in the wide rows, whatever it is sorted by. Counts are of
logged requests; whoever speaks of all of them multiplies by the weight.
The first two grow with every change, a row of differences, and whoever reads adds up; compaction
makes them few again. Each writer of requests, grades, verdicts, judgments or feedback changes them
in its own transaction.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from ragdiag.records import LATENCY_STAGES
from ragdiag.store import facts
from ragdiag.store.facts import BETWEEN, CELL, MEASURES
from ragdiag.store.tables import shown

Cursor = duckdb.DuckDBPyConnection

_BUCKET = ("day", "version_id", "traffic", "weight", "stage", "bucket")
_SUMS = (("daily", CELL, tuple(MEASURES)), ("daily_latency", _BUCKET, ("n",)))
"""What is added up: a rollup, what it is kept by, and its sums."""
_COUNTED = ", ".join(
    [
        "request_id, asked_at, version_id, topic, traffic, question_id, question, status",
        "prompt_tokens, completion_tokens, cost_usd, cache_hit, keep_probability, certain, rel",
        *(f"{stage}_ms" for stage in LATENCY_STAGES),
    ]
)
"""The columns of a request that facts.py asks for; the wide ones are not among them."""
_COUNTED_ROWS = "select * from counted"


def count_new(cursor: Cursor, placed: pa.Table) -> None:
    """Add requests that have just come in, as rows with their ``rel``.

    Grades and feedback may have come before their request.
    """
    ends = pc.min_max(placed["request_id"])
    bounds = {"low": ends["min"].as_py(), "high": ends["max"].as_py()}
    scope = "select * from placed"
    with shown(cursor, "placed", placed):
        _count(cursor, scope, bounds)


def _count(cursor: Cursor, scope: str, bounds: dict[str, str]) -> None:
    """Add the requests of ``scope`` to every rollup. Who failed is asked only where somebody did:
    every look into the lake asks its catalog."""
    opinions = _read(cursor, facts.opinions(scope, BETWEEN), bounds)
    with shown(cursor, "decided", opinions):
        sums = facts.cells(scope, BETWEEN, "decided")
        cursor.execute(f"insert into daily by name {sums}", bounds)
        cursor.execute(f"insert into daily_latency by name {facts.latencies(scope)}")
        if _any_wrong(opinions):
            wrong = facts.failing(scope, BETWEEN, "decided")
            cursor.execute(f"insert into failures by name {wrong}", bounds)


def _any_wrong(opinions: pa.Table) -> bool:
    return bool(pc.any(pc.equal(pc.struct_field(opinions["found"], "y"), 0)).as_py())


def _read(cursor: Cursor, sql: str, params: dict[str, str] | None = None) -> pa.Table:
    return cursor.execute(sql, params).to_arrow_table()


@contextmanager
def recounted(cursor: Cursor, request_ids: Iterable[str]) -> Iterator[None]:
    """Change within what is said about these requests; the rollups follow.

    For grades, verdicts, judgments and feedback, and for requests that are deleted within.
    """
    named = sorted(set(request_ids))
    before = _read_requests(cursor, named) if named else None
    if before is None or not before.num_rows:
        yield
        return
    ids = sorted(before["request_id"].to_pylist())
    bounds = {"low": ids[0], "high": ids[-1]}
    opinions_before, cells_before = _sums(cursor, before, bounds)
    with shown(cursor, "counted", before):
        buckets_before = _read(cursor, facts.latencies(_COUNTED_ROWS))
    yield
    after = _read_requests(cursor, ids)
    opinions, cells = _sums(cursor, after, bounds)
    if _any_wrong(opinions_before):
        with shown(cursor, "touched", before.select(["request_id"])):
            cursor.execute(
                f"delete from failures where {BETWEEN} "
                "and request_id in (select request_id from touched)",
                bounds,
            )
    if _any_wrong(opinions):
        with shown(cursor, "counted", after), shown(cursor, "decided", opinions):
            wrong = facts.failing(_COUNTED_ROWS, BETWEEN, "decided")
            cursor.execute(f"insert into failures by name {wrong}", bounds)
    _add_difference(cursor, "daily", CELL, tuple(MEASURES), cells_before, cells)
    if _weights(cells) != _weights(cells_before):
        with shown(cursor, "counted", after):
            buckets = _read(cursor, facts.latencies(_COUNTED_ROWS))
        _add_difference(cursor, "daily_latency", _BUCKET, ("n",), buckets_before, buckets)


def _sums(cursor: Cursor, requests: pa.Table, bounds: dict[str, str]) -> tuple[pa.Table, pa.Table]:
    """What counts of the answers of ``requests`` now, and what they add to ``daily``."""
    with shown(cursor, "counted", requests):
        opinions = _read(cursor, facts.opinions(_COUNTED_ROWS, BETWEEN), bounds)
        with shown(cursor, "decided", opinions):
            return opinions, _read(cursor, facts.cells(_COUNTED_ROWS, BETWEEN, "decided"), bounds)


def _weights(counted: pa.Table) -> Counter[float]:
    """How many requests have which weight."""
    found: Counter[float] = Counter()
    for weight, n in zip(counted["weight"].to_pylist(), counted["n"].to_pylist(), strict=True):
        found[weight] += n
    return found


def _read_requests(cursor: Cursor, ids: list[str]) -> pa.Table:
    """What is counted of sorted ``ids``, those whose request is in the lake: what is said of others
    counts when they come. Read by itself, since every look into the lake asks its catalog."""
    touched = pa.table({"request_id": pa.array(ids, pa.string())})
    bounds = {"low": ids[0], "high": ids[-1]}
    with shown(cursor, "touched", touched):
        return cursor.execute(
            f"select {_COUNTED} from requests "
            f"where {BETWEEN} and request_id in (select request_id from touched)",
            bounds,
        ).to_arrow_table()


def fill_rollups(cursor: Cursor) -> None:
    """Derive every rollup from the rows again, within the caller's transaction; pages see no
    difference, only fewer rows are left to add up.

    Month by month, so that memory does not grow with the lake.
    """
    for table in ("daily", "daily_latency", "failures"):
        cursor.execute(f"delete from {table}")
    months = cursor.execute(
        "select date_trunc('month', asked_at), min(request_id), max(request_id) "
        "from requests group by 1 order by 1"
    ).fetchall()
    for month, low, high in months:
        within = (
            "asked_at is null"  # put there by hand
            if month is None
            else f"asked_at >= '{month}'::timestamp "
            f"and asked_at < '{month}'::timestamp + interval 1 month"
        )
        scope = f"select * from requests where {within}"
        _count(cursor, scope, {"low": low, "high": high})


def count_sums(cursor: Cursor) -> dict[str, int]:
    """The ``requests`` that ``daily`` counts, and in how many ``rows``."""
    ((requests, rows),) = cursor.execute(
        "select coalesce(sum(n), 0)::bigint, count(*) from daily"
    ).fetchall()
    return {"requests": requests, "rows": rows}


def sum_rollups(cursor: Cursor) -> None:
    """Make the rows of ``daily`` and ``daily_latency`` with equal keys one, within the caller's
    transaction, where that leaves less than half of them. Requests are not read.
    """
    for table, key, measures in _SUMS:
        sums = _summed(key, measures, f"select * from {table}")
        rows, left = cursor.execute(
            f"select (select count(*) from {table}), (select count(*) from ({sums}))"
        ).fetchall()[0]
        if rows > 2 * left:
            _rewrite(cursor, table, sums)


def sum_rollups_whole(cursor: Cursor) -> None:
    """As :func:`sum_rollups`, however little that spares: a key is left only where some request
    still counts for it, be it a topic that one user alone wrote."""
    for table, key, measures in _SUMS:
        _rewrite(cursor, table, _summed(key, measures, f"select * from {table}"))


def _rewrite(cursor: Cursor, table: str, rows: str) -> None:
    with shown(cursor, "summed", cursor.execute(rows).to_arrow_table()):
        cursor.execute(f"delete from {table}")
        cursor.execute(f"insert into {table} by name select * from summed")


def _add_difference(
    cursor: Cursor,
    table: str,
    key: tuple[str, ...],
    measures: tuple[str, ...],
    before: pa.Table,
    after: pa.Table,
) -> None:
    """Append ``after`` − ``before``, without the rows where nothing is left of it."""
    left = " or ".join(f"abs({name}) > 1e-9" for name in measures)
    negated = ", ".join(f"-{name} as {name}" for name in measures)
    both = f"select * from after union all by name select * replace ({negated}) from before"
    with shown(cursor, "before", before), shown(cursor, "after", after):
        cursor.execute(f"insert into {table} by name {_summed(key, measures, both, left)}")


def _summed(
    key: tuple[str, ...], measures: tuple[str, ...], rows: str, left: str = "n <> 0"
) -> str:
    """A SELECT of the sums of ``rows`` by ``key`` of which ``left`` holds: where requests still
    count, whatever rounding has left of the sums of others."""
    names = ", ".join(key)
    sums = ", ".join(f"sum({name}) as {name}" for name in measures)
    return f"select * from (select {names}, {sums} from ({rows}) group by {names}) where {left}"
