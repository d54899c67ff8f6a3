"""Requests coming into the lake, a table at a time: each id once, the first of its kind stays.

The rule is the one of single records: an equal request with the same id is passed over, a
different one is turned away. Only ids that occur twice are compared at all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ragdiag.records import Request
from ragdiag.store.certainty import find_certain
from ragdiag.store.intake.parsing import ARRIVING, DERIVED
from ragdiag.store.rollups import count_new
from ragdiag.store.rows import requests_from_table
from ragdiag.store.tables import shown

CONTENT = tuple(name for name in ARRIVING.names if name not in ("segment", "line"))
"""Columns that say what a request is, not where it came from."""

_SAME = " and ".join(f"i.{name} is not distinct from r.{name}" for name in CONTENT)


@dataclass(frozen=True, slots=True)
class Arrival:
    """``accepted`` counts new rows by segment; ``conflicts`` are the segment, line and id of
    requests that differ from the first with their id."""

    accepted: Counter[str] = field(default_factory=Counter)
    conflicts: Sequence[tuple[str, int, str]] = ()


def place_requests(cursor: duckdb.DuckDBPyConnection, arriving: pa.Table) -> Arrival:
    """Store what is new of ``arriving`` (ARRIVING's columns), within the caller's transaction."""
    if not arriving.num_rows:
        return Arrival()
    twice = _met_twice(cursor, arriving)
    if not len(twice):
        fresh, conflicts = arriving, list[tuple[str, int, str]]()
    else:
        met = pc.is_in(arriving["request_id"], value_set=twice)
        first, conflicts = _firsts(cursor, arriving.filter(met))
        fresh = pa.concat_tables([arriving.filter(pc.invert(met)), first])
    if fresh.num_rows:
        insert_requests(cursor, fresh)
    counted = pc.value_counts(fresh["segment"]).to_pylist()
    return Arrival(Counter({one["values"]: one["counts"] for one in counted}), conflicts)


def _met_twice(cursor: duckdb.DuckDBPyConnection, arriving: pa.Table) -> pa.Array:
    """Ids that are in the lake already or more than once among ``arriving``.

    The bounds let files be passed over by their statistics: ids that begin with the time lie in
    few of them.
    """
    ids = arriving["request_id"]
    bounds = pc.min_max(ids).as_py()
    with shown(cursor, "incoming", arriving.select(["request_id"])):
        known = cursor.execute(
            "select distinct request_id from requests "
            "where request_id >= $min and request_id <= $max "
            "and request_id in (select request_id from incoming)",
            bounds,
        ).to_arrow_table()["request_id"]
    if pc.count_distinct(ids).as_py() == len(ids):
        return known.combine_chunks()
    counts = pc.value_counts(ids)
    repeated = counts.field("values").filter(pc.greater(counts.field("counts"), 1))
    return pa.concat_arrays([known.combine_chunks(), repeated])


def _firsts(
    cursor: duckdb.DuckDBPyConnection, candidates: pa.Table
) -> tuple[pa.Table, list[tuple[str, int, str]]]:
    """Of rows whose id is met twice: those that are the first with it, and those in conflict."""
    numbered = candidates.append_column("seq", pa.array(range(candidates.num_rows), pa.int64()))
    with shown(cursor, "incoming", numbered):
        equal = cursor.execute(
            f"select i.seq from incoming i join requests r using (request_id) where {_SAME}"
        ).to_arrow_table()["seq"]
        left = numbered.filter(pc.invert(pc.is_in(numbered["seq"], value_set=equal)))
        stored = cursor.execute(
            "select * from requests where request_id in (select unnest($ids::varchar[]))",
            {"ids": left["request_id"].to_pylist()},
        ).to_arrow_table()
    known = {request.request_id: request for request in requests_from_table(stored)}
    taken: dict[str, Request] = {}
    fresh, conflicts = [], []
    places = zip(left["segment"].to_pylist(), left["line"].to_pylist(), strict=True)
    for row, (request, (segment, line)) in enumerate(
        zip(requests_from_table(left), places, strict=True)
    ):
        first = known.get(request.request_id) or taken.setdefault(request.request_id, request)
        if first is request:
            fresh.append(row)
        elif first != request:
            conflicts.append((segment, line, request.request_id))
    return left.take(pa.array(fresh, pa.int64())).drop_columns(["seq"]), conflicts


def insert_requests(cursor: duckdb.DuckDBPyConnection, fresh: pa.Table) -> None:
    """Add rows of ``requests`` that are known to be new, within the caller's transaction.

    ``rel`` is derived here: :func:`ranked_grades` of each row, in one statement; ``certain`` too.
    The rollups count the rows.
    """
    kept = [name for name in fresh.column_names if name not in ("line", *DERIVED)]
    placed = fresh.select(kept).append_column("rel", _relevance(cursor, fresh))
    placed = placed.append_column("certain", find_certain(cursor, fresh))
    with shown(cursor, "placed", placed):
        cursor.execute("insert into requests by name select * from placed")
    count_new(cursor, placed)


def _relevance(cursor: duckdb.DuckDBPyConnection, fresh: pa.Table) -> pa.ChunkedArray:
    """``rel`` of each row, in their order."""
    asked = fresh.select(["question_id", "reranked", "fused"])
    asked = asked.append_column("seq", pa.array(np.arange(fresh.num_rows)))
    with shown(cursor, "asked", asked):
        found = cursor.execute("""
            with graded as (
                select question_id, map(list(passage_id), list(grade)) as grades
                from (select question_id, passage_id,
                             least(greatest(arg_max(grade, judged_at), 0), 255)::utinyint as grade
                      from judgments
                      where question_id in (select question_id from asked)
                      group by question_id, passage_id)
                group by question_id),
            ranked as (
                select a.seq, g.grades,
                       list_transform(coalesce(a.reranked, a.fused),
                                      lambda hit: hit.passage_id) as ids
                from asked a join graded g using (question_id))
            select seq, list_transform(
                ids, lambda id, rank: case when list_position(ids, id) = rank
                                           then coalesce(grades[id], 0::utinyint)
                                           else 0::utinyint end) as rel
            from ranked""").to_arrow_table()
    place = np.full(fresh.num_rows, -1)
    place[found["seq"].to_numpy()] = np.arange(found.num_rows)
    return found["rel"].take(pa.array(place, mask=place < 0))
