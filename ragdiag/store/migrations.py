"""Numbered schema changes of the lake; a migration and its record share a transaction.

Never edit a migration that has shipped: append the next one. Timestamps are naive UTC.
Lists of hits are nested in their request, so one row tells one request whole.
"""

from __future__ import annotations

from collections.abc import Callable

import duckdb

from ragdiag.errors import NewerWorkspace
from ragdiag.store.facts import MEASURES, WHOLE_MEASURES
from ragdiag.store.rollups import fill_rollups

Migration = Callable[[duckdb.DuckDBPyConnection], None]

HITS = "struct(passage_id varchar, score double)[]"
CONTEXT = "struct(passage_id varchar, score double, chars integer)[]"


def first_tables(con: duckdb.DuckDBPyConnection) -> None:
    """Corpus, versions, requests and what is said about them."""
    for statement in f"""
        create table passages(
            passage_id varchar, document_id varchar, title varchar, text varchar,
            position integer, content_hash varchar, ingested_at timestamp, removed_at timestamp);
        create table questions(
            question_id varchar, text varchar, topic varchar, added_at timestamp);
        create table judgments(
            question_id varchar, passage_id varchar, grade integer, split varchar,
            judged_at timestamp);
        create table gold_answers(question_id varchar, answers varchar[], added_at timestamp);
        create table versions(
            version_id varchar, name varchar, spec varchar, created_at timestamp);
        create table requests(
            request_id varchar, asked_at timestamp, version_id varchar, build_id varchar,
            traffic varchar, question_id varchar, question varchar, topic varchar, user_key varchar,
            answer varchar, citations varchar[], status varchar, error varchar,
            degraded_reason varchar, cache_hit boolean,
            prompt_tokens integer, completion_tokens integer, cost_usd double,
            embed_ms double, lexical_ms double, dense_ms double, fusion_ms double,
            rerank_ms double, packing_ms double, generation_ms double, total_ms double,
            lexical {HITS}, dense {HITS}, fused {HITS}, reranked {HITS}, context {CONTEXT},
            searched_depth integer, logged_depth integer, rel utinyint[], segment varchar);
        create table feedback(
            feedback_id varchar, request_id varchar, given_at timestamp, kind varchar, value double,
            passage_id varchar);
        create table grades(
            request_id varchar, grader varchar, y integer, score double, status varchar,
            reason varchar, graded_at timestamp);
        create table replays(
            request_id varchar, arm varchar, draw integer, answer varchar, y integer, score double,
            passage_ids varchar[], replayed_at timestamp);
        create table verdicts(
            request_id varchar, cause varchar, verdict varchar, verified_fix varchar, tier varchar,
            evidence varchar, diagnosed_at timestamp);
        create table index_builds(
            build_id varchar, index_key varchar, corpus_hash varchar, passages bigint,
            dimension integer, ann_kind varchar, bytes bigint, seconds double, built_at timestamp,
            manifest varchar);
        create table rejects(
            source varchar, line bigint, reason varchar, body varchar, rejected_at timestamp);
        create table segments(
            segment varchar, lines bigint, accepted bigint, rejected bigint, ingested_at timestamp);
        alter table requests set partitioned by (year(asked_at), month(asked_at));
        create view latest_grades as
            select * from grades
            qualify row_number() over (partition by request_id, grader order by graded_at desc) = 1;
        create view latest_verdicts as
            select * from verdicts
            qualify row_number() over (partition by request_id order by diagnosed_at desc) = 1;
        create view current_passages as select * from passages where removed_at is null;
    """.split(";"):
        if statement.strip():
            con.execute(statement)


def foreign_logs(con: duckdb.DuckDBPyConnection) -> None:
    """What services log beside requests: passages of corpora that are not ours, and spans that
    wait until their trace can be read as a request. JSON columns are text."""
    con.execute("""
        create table logged_passages(
            passage_id varchar, document_id varchar, title varchar, text varchar,
            position integer, content_hash varchar, logged_at timestamp)""")
    con.execute("""
        create table spans(
            trace_id varchar, span_id varchar, parent_id varchar, name varchar,
            started_at timestamp, ended_at timestamp, attributes varchar, events varchar,
            status varchar, error varchar, resource varchar, segment varchar,
            received_at timestamp)""")


def remarks(con: duckdb.DuckDBPyConnection) -> None:
    """What is odd about lines that were loaded all the same: a request from the future."""
    con.execute("""
        create table remarks(source varchar, line bigint, reason varchar, noted_at timestamp)""")


def rollups(con: duckdb.DuckDBPyConnection) -> None:
    """Sums by day, and the requests that are wrong at the moment, filled from what is there.

    Of several opinions or verdicts of one moment the views take the same one as the rollups.
    """
    whole = ", ".join(f"{name} bigint" for name in WHOLE_MEASURES)
    other = ", ".join(f"{name} double" for name in MEASURES if name not in WHOLE_MEASURES)
    con.execute(f"""
        create table daily(
            day date, version_id varchar, topic varchar, traffic varchar, {whole}, {other})""")
    con.execute("""
        create table daily_latency(
            day date, version_id varchar, traffic varchar, stage varchar, bucket integer,
            n bigint)""")
    con.execute("""
        create table failures(
            request_id varchar, asked_at timestamp, version_id varchar, topic varchar,
            traffic varchar, question varchar, status varchar, total_ms double, score double,
            verdict varchar, cause varchar, verified_fix varchar)""")
    con.execute("alter table failures set partitioned by (year(asked_at), month(asked_at))")
    con.execute("""
        create or replace view latest_grades as
            select * from grades
            qualify row_number() over (
                partition by request_id, grader
                order by graded_at desc, y desc nulls first, score desc nulls first,
                         reason desc nulls first) = 1""")
    con.execute("""
        create or replace view latest_verdicts as
            select * from verdicts
            qualify row_number() over (
                partition by request_id
                order by diagnosed_at desc, verdict desc nulls first, cause desc nulls first,
                         verified_fix desc nulls first) = 1""")
    fill_rollups(con)


def smaller_files(con: duckdb.DuckDBPyConnection) -> None:
    """Zstandard for new Parquet files: 411 bytes a request where Snappy takes 535, at the same
    cost of writing (benchmarks/scale.py's requests, ten hits of four stages)."""
    con.execute("call lake.set_option('parquet_compression', 'zstd')")


MIGRATIONS: tuple[Migration, ...] = (
    first_tables,
    foreign_logs,
    remarks,
    rollups,
    smaller_files,
)
"""Migration n is the n-th entry, counted from 1."""


def migrate(con: duckdb.DuckDBPyConnection) -> int:
    """Bring the lake that ``con`` uses to the newest schema; returns how many steps ran.

    Raises NewerWorkspace where the lake has migrations that this code does not know.
    """
    con.execute(
        "create table if not exists migrations(number integer, name varchar, applied_at timestamp)"
    )
    row = con.execute("select coalesce(max(number), 0) from migrations").fetchone()
    done = int(row[0]) if row else 0
    if done > len(MIGRATIONS):
        raise NewerWorkspace(
            f"this workspace has schema {done}, this ragdiag knows {len(MIGRATIONS)}",
            remedy="upgrade ragdiag, or name another workspace with --workspace",
        )
    for number, migration in enumerate(MIGRATIONS[done:], start=done + 1):
        con.execute("begin")
        try:
            migration(con)
            con.execute(
                "insert into migrations values (?, ?, now() at time zone 'UTC')",
                [number, migration.__name__],
            )
            con.execute("commit")
        except BaseException:
            con.execute("rollback")
            raise
    return len(MIGRATIONS) - done
