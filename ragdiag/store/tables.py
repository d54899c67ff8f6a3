"""The lake's tables as Arrow sees them, and how rows get in: one statement for all of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import duckdb
import pyarrow as pa

from ragdiag.records import LATENCY_STAGES

TEXT = pa.string()
TEXTS = pa.list_(TEXT)
NUMBER = pa.float64()
WHOLE = pa.int32()
TIME = pa.timestamp("us")
HITS = pa.list_(pa.struct({"passage_id": TEXT, "score": NUMBER}))
CONTEXT = pa.list_(pa.struct({"passage_id": TEXT, "score": NUMBER, "chars": WHOLE}))


def _table(*groups: tuple[Any, str]) -> pa.Schema:
    """Each group: a type and the columns that have it."""
    return pa.schema({name: kind for kind, names in groups for name in names.split()})


SCHEMAS: Mapping[str, pa.Schema] = {
    "passages": _table(
        (TEXT, "passage_id document_id title text content_hash tenant topic"),
        (WHOLE, "position"),
        (TIME, "ingested_at removed_at published_at"),
        (TEXTS, "roles"),
    ),
    "questions": _table((TEXT, "question_id text topic"), (TIME, "added_at")),
    "judgments": _table(
        (TEXT, "question_id passage_id split"), (WHOLE, "grade"), (TIME, "judged_at")
    ),
    "question_splits": _table(
        (TEXT, "question_id split"), (pa.bool_(), "named"), (TIME, "added_at")
    ),
    "gold_answers": _table((TEXT, "question_id"), (TEXTS, "answers"), (TIME, "added_at")),
    "requests": _table(
        (TEXT, "request_id version_id build_id traffic question_id question topic user_key"),
        (TEXT, "answer status error degraded_reason segment tenant"),
        (TIME, "asked_at only_since only_until"),
        (TEXTS, "citations roles only_topics"),
        (pa.bool_(), "cache_hit certain"),
        (WHOLE, "prompt_tokens completion_tokens searched_depth logged_depth"),
        (
            NUMBER,
            " ".join(["cost_usd keep_probability", *(f"{stage}_ms" for stage in LATENCY_STAGES)]),
        ),
        (HITS, "lexical dense fused reranked"),
        (CONTEXT, "context"),
        (pa.list_(pa.uint8()), "rel"),
    ),
    "feedback": _table(
        (TEXT, "feedback_id request_id kind passage_id"),
        (TIME, "given_at"),
        (NUMBER, "value"),
        (pa.bool_(), "certain"),
    ),
    "grades": _table(
        (TEXT, "request_id grader status reason sentences"),
        (WHOLE, "y"),
        (NUMBER, "score"),
        (TIME, "graded_at"),
    ),
    "replays": _table(
        (TEXT, "request_id arm answer status draw_key"),
        (WHOLE, "draw y"),
        (NUMBER, "score"),
        (TEXTS, "passage_ids"),
        (TIME, "replayed_at"),
    ),
    "verdicts": _table(
        (TEXT, "request_id cause verdict verified_fix tier evidence second_level"),
        (TIME, "diagnosed_at"),
    ),
    "context_trials": _table(
        (TEXT, "request_id setting answer"),
        (TEXTS, "removed citations"),
        (WHOLE, "draw y"),
        (NUMBER, "log_probability"),
        (TIME, "tried_at"),
    ),
    "influences": _table((TEXT, "request_id method found"), (TIME, "found_at")),
    "logged_passages": _table(
        (TEXT, "passage_id document_id title text content_hash"),
        (WHOLE, "position"),
        (TIME, "logged_at"),
    ),
    "spans": _table(
        (TEXT, "trace_id span_id parent_id name attributes events status error resource segment"),
        (TIME, "started_at ended_at received_at"),
    ),
    "segment_counts": _table((TEXT, "segment kind"), (pa.int64(), "accepted")),
    "file_hashes": _table((TEXT, "name sha256"), (pa.int64(), "bytes"), (TIME, "hashed_at")),
    "assembled_traces": _table((TEXT, "trace_id"), (TEXTS, "span_ids"), (TIME, "assembled_at")),
    "index_checks": _table(
        (TEXT, "build_id index_key version_id checked_by status findings details"),
        (TIME, "checked_at"),
    ),
    "alerts": _table(
        (TEXT, "alert_id kind severity subject message runbook details"),
        (TIME, "raised_at resolved_at noted_at"),
    ),
    "forgotten": _table((TEXT, "tombstone"), (TIME, "forgotten_at")),
    "index_trials": _table((TEXT, "tuning_id trial"), (TIME, "tried_at")),
    "index_tunings": _table((TEXT, "tuning_id version_id tuning"), (TIME, "tuned_at")),
    "training_runs": _table((TEXT, "run_id kind state run"), (TIME, "recorded_at")),
    "regression_questions": _table(
        (TEXT, "set_name question_id from_request reason state"), (TIME, "recorded_at")
    ),
    "grader_calibrations": _table((TEXT, "grader about labels found"), (TIME, "calibrated_at")),
    "validations": _table((TEXT, "version_id split found"), (TIME, "validated_at")),
    "sufficiency_models": _table((TEXT, "version_id found"), (TIME, "calibrated_at")),
    "index_measurements": _table((TEXT, "version_id build_id measured"), (TIME, "measured_at")),
    "prescriptions": _table((TEXT, "version_id split prescription"), (TIME, "prescribed_at")),
    "rejects": _table((TEXT, "source reason body"), (pa.int64(), "line"), (TIME, "rejected_at")),
}
"""Only the tables whose rows are inserted by :func:`insert`."""


def insert(
    cursor: duckdb.DuckDBPyConnection, table: str, rows: Sequence[Mapping[str, Any]]
) -> None:
    """Append ``rows`` to ``table``; a missing column is null. No row, no statement."""
    if rows:
        with registered(cursor, "incoming", rows, SCHEMAS[table]):
            cursor.execute(f"insert into {table} by name select * from incoming")


@contextmanager
def registered(
    cursor: duckdb.DuckDBPyConnection,
    name: str,
    rows: Sequence[Mapping[str, Any]],
    schema: pa.Schema,
) -> Iterator[None]:
    """Let SQL read ``rows`` by name, the columns of ``schema`` and no others."""
    with shown(cursor, name, pa.Table.from_pylist(list(rows), schema=schema)):
        yield


@contextmanager
def shown(cursor: duckdb.DuckDBPyConnection, name: str, table: pa.Table) -> Iterator[None]:
    """Let SQL read ``table`` by name."""
    cursor.register(name, table)
    try:
        yield
    finally:
        cursor.unregister(name)


def count_rows(cursor: duckdb.DuckDBPyConnection, tables: Iterable[str]) -> dict[str, int]:
    """Table → the number of its rows."""
    counts = {}
    for table in tables:
        ((counts[table],),) = cursor.execute(f"select count(*) from {table}").fetchall()
    return counts


def is_unicode(text: str) -> bool:
    """Whether ``text`` can be stored: JSON may smuggle in lone surrogates, which UTF-8 has not,
    and NUL, where the catalog's SQL ends.

    >>> is_unicode("naïve"), is_unicode("\\ud800"), is_unicode("\\0")
    (True, False, False)
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text
