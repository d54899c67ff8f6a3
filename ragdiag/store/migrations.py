"""Numbered schema changes of the lake; a migration and its record share a transaction.

Never edit a migration that has shipped: append the next one. Timestamps are naive UTC.
Lists of hits are nested in their request, so one row tells one request whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import takewhile

import duckdb

from ragdiag.errors import NewerWorkspace
from ragdiag.store.rollups import fill_rollups
from ragdiag.store.upkeep.ledger import TRACES, find_gaps, record_counts

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


def keep_probability(con: duckdb.DuckDBPyConnection) -> None:
    """The chance that a request was logged; everything was until now."""
    con.execute("alter table requests add column keep_probability double default 1.0")


def partition_by_version(con: duckdb.DuckDBPyConnection) -> None:
    """Requests lie by month and by a hash of their version, in eight buckets.

    A filter on month and version then reads one bucket of one month. Not by the version itself:
    a service that makes up a version per request would write a file per request. Measured on two
    cores, encrypted: 50,000 requests of 10,000 versions in one commit are 10,000 files and 262 s
    by version, 8 files and 1.4 s by bucket; 500,000 requests of 5 versions in 50 weekly commits
    are 300 files by version, 240 by bucket, 60 by month alone, and after compaction one month of
    one version is 1 file each time. Ids never become parts of paths. Files written before stay
    as they are.
    """
    con.execute(
        "alter table requests set partitioned by "
        "(year(asked_at), month(asked_at), bucket(8, version_id))"
    )


def upkeep_tables(con: duckdb.DuckDBPyConnection) -> None:
    """What upkeep remembers: rows by segment and kind, rows that left, named snapshots, hashes of
    data files, and files set aside. Segments loaded before count as they are now."""
    con.execute("create table segment_counts(segment varchar, kind varchar, accepted bigint)")
    con.execute("""
        insert into segment_counts
        select segment, 'request', count(*) from requests where segment <> '' group by segment
        union all select '', 'feedback', count(*) from feedback""")
    con.execute("""
        create table removals(
            segment varchar, kind varchar, n bigint, reason varchar, removed_at timestamp)""")
    con.execute("""
        create table named_snapshots(
            name varchar, snapshot_id bigint, reason varchar, named_at timestamp)""")
    con.execute("""
        create table file_hashes(
            name varchar, bytes bigint, sha256 varchar, hashed_at timestamp)""")
    con.execute("""
        create table set_aside(
            name varchar, table_name varchar, n bigint, reason varchar, snapshot_id bigint,
            set_aside_at timestamp)""")


def assembled_traces(con: duckdb.DuckDBPyConnection) -> None:
    """Which traces were read as requests, and from which spans."""
    con.execute("""
        create table assembled_traces(
            trace_id varchar, span_ids varchar[], assembled_at timestamp)""")


def requests_in_files(con: duckdb.DuckDBPyConnection) -> None:
    """No request is inlined into the catalog, as DuckLake does with small inserts: it writes lists
    of structs there as text, and one passage id with a quote and a brace makes it unable to read
    the whole table back (ducklake of DuckDB 1.5.5; lists of text come back as they were). What it
    writes out of the catalog later also lies in other folders of a partitioned table than what is
    inserted, and compaction cannot merge the two (duckdb/ducklake#1195)."""
    con.execute("call lake.set_option('data_inlining_row_limit', 0, table_name => 'requests')")


def remarks(con: duckdb.DuckDBPyConnection) -> None:
    """What is odd about lines that were loaded all the same: a request from the future."""
    con.execute("""
        create table remarks(source varchar, line bigint, reason varchar, noted_at timestamp)""")


def rollups(con: duckdb.DuckDBPyConnection) -> None:
    """Sums by day, and the requests that are wrong at the moment; ``cost_sums`` fills them, since
    what does that asks for its columns.

    Of several opinions or verdicts of one moment the views take the same one as the rollups.
    """
    con.execute("""
        create table daily(
            day date, version_id varchar, topic varchar, traffic varchar, n bigint,
            no_answer bigint, errors bigint, prompt_tokens bigint, completion_tokens bigint,
            priced bigint, graded bigint, correct bigint, judged bigint, clicked bigint,
            tasks bigint, task_successes bigint, thumbs bigint, thumbs_up bigint,
            cost_usd double, mrr double, mrr2 double, recall double, recall2 double)""")
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


def smaller_files(con: duckdb.DuckDBPyConnection) -> None:
    """Zstandard for new Parquet files: 411 bytes a request where Snappy takes 535, at the same
    cost of writing (benchmarks/scale.py's requests, ten hits of four stages)."""
    con.execute("call lake.set_option('parquet_compression', 'zstd')")


def forgotten_users(con: duckdb.DuckDBPyConnection) -> None:
    """Who must not come back: keyed hashes of pseudonyms and request ids."""
    con.execute("create table forgotten(tombstone varchar, forgotten_at timestamp)")


def index_tunings(con: duckdb.DuckDBPyConnection) -> None:
    """What was measured of index settings, which were chosen, and what builds take and give."""
    con.execute("""
        create table index_trials(tuning_id varchar, tried_at timestamp, trial varchar);
        create table index_tunings(
            tuning_id varchar, version_id varchar, tuned_at timestamp, tuning varchar);
        create table index_measurements(
            version_id varchar, build_id varchar, measured_at timestamp, measured varchar)""")


def index_health(con: duckdb.DuckDBPyConnection) -> None:
    """What looks at index builds found, and alerts. An alert that changes is written again under
    its id; the latest row of an id counts. JSON columns are text."""
    con.execute("""
        create table index_checks(
            build_id varchar, index_key varchar, version_id varchar, checked_at timestamp,
            checked_by varchar, status varchar, findings varchar, details varchar)""")
    con.execute("""
        create table alerts(
            alert_id varchar, raised_at timestamp, kind varchar, severity varchar, subject varchar,
            message varchar, runbook varchar, details varchar, resolved_at timestamp,
            noted_at timestamp)""")
    con.execute("""
        create view latest_alerts as
            select * from alerts
            qualify row_number() over (
                partition by alert_id order by noted_at desc, resolved_at desc nulls last) = 1""")


def deployments(con: duckdb.DuckDBPyConnection) -> None:
    """Which version served whom, and why that changed: rows are only added, the last one holds.
    ``evidence`` is JSON."""
    con.execute("""
        create table deployments(
            number bigint, happened_at timestamp, kind varchar, production varchar,
            previous varchar, canary varchar, share double, shadow varchar, actor varchar,
            evidence varchar)""")


def whole_ledger(con: duckdb.DuckDBPyConnection) -> None:
    """Grades, passages and spans are held to the ledger like requests and feedback, and so is what
    was read from traces. What came before counts as it is now; of requests from segments, and of
    feedback that is missing, the ledger knew already."""
    unknown = [
        gap
        for gap in find_gaps(con)
        if gap.kind not in ("request", "feedback")
        or gap.segment == TRACES
        or (gap.kind == "feedback" and gap.found > gap.expected)
    ]
    record_counts(con, {(gap.segment, gap.kind): gap.found - gap.expected for gap in unknown})


def weights(con: duckdb.DuckDBPyConnection) -> None:
    """How many requests each logged one stands for, in the rollups; what feedback says of that, and
    what it makes of its request. ``cost_sums`` fills the rollups anew."""
    con.execute("alter table requests add column certain boolean")
    _widen(con, "feedback", {"certain": "null::boolean"})
    for table in ("daily", "daily_latency", "failures"):
        _widen(con, table, {"weight": "1.0::double"})


def passage_metadata(con: duckdb.DuckDBPyConnection) -> None:
    """Who may find a passage, and by what it is filtered; of those known until now, nothing."""
    columns = {
        "tenant": "null::varchar",
        "topic": "null::varchar",
        "published_at": "null::timestamp",
        "roles": "null::varchar[]",
    }
    _widen(con, "passages", columns)
    con.execute(
        "create or replace view current_passages as select * from passages where removed_at is null"
    )


def training_runs(con: duckdb.DuckDBPyConnection) -> None:
    """How each fine-tuning stands: rows are only added, a run's last holds. ``run`` is JSON."""
    con.execute("""
        create table training_runs(
            run_id varchar, recorded_at timestamp, kind varchar, state varchar, run varchar)""")


def regression_questions(con: duckdb.DuckDBPyConnection) -> None:
    """Questions that every later release is checked on: rows are only added, a question's last
    holds. No column is called ``request_id``: a question stays when its request leaves the lake."""
    con.execute("""
        create table regression_questions(
            set_name varchar, question_id varchar, from_request varchar, reason varchar,
            state varchar, recorded_at timestamp)""")


def pruned_builds(con: duckdb.DuckDBPyConnection) -> None:
    """Index builds whose files were removed."""
    con.execute("create table pruned_builds(build_id varchar, pruned_at timestamp)")


def owed_checks(con: duckdb.DuckDBPyConnection) -> None:
    """Looks at the indexes that a change of the corpus owes: a row leaves when they were had."""
    con.execute("create table owed_checks(check_id varchar, owed_at timestamp)")


def request_filters(con: duckdb.DuckDBPyConnection) -> None:
    """For whom and for what passages were looked for; nobody said so until now."""
    for column in (
        "tenant varchar",
        "roles varchar[]",
        "only_topics varchar[]",
        "only_since timestamp",
        "only_until timestamp",
    ):
        con.execute(f"alter table requests add column {column}")


def grader_calibrations(con: duckdb.DuckDBPyConnection) -> None:
    """How far graders agree with people: rows are only added, a grader's last holds. ``found`` is
    JSON."""
    con.execute("""
        create table grader_calibrations(
            grader varchar, about varchar, calibrated_at timestamp, labels varchar,
            found varchar)""")


def influences(con: duckdb.DuckDBPyConnection) -> None:
    """What came of a context without some of its passages, and what that told: ``found`` is JSON.
    Rows are only added, a request's last of a method holds."""
    con.execute("""
        create table context_trials(
            request_id varchar, setting varchar, removed varchar[], draw integer, answer varchar,
            citations varchar[], y integer, log_probability double, tried_at timestamp)""")
    con.execute("""
        create table influences(
            request_id varchar, method varchar, found varchar, found_at timestamp)""")


def prescriptions(con: duckdb.DuckDBPyConnection) -> None:
    """What was advised for versions: rows are only added. ``prescription`` is JSON."""
    con.execute("""
        create table prescriptions(
            version_id varchar, split varchar, prescribed_at timestamp, prescription varchar)""")


def second_levels(con: duckdb.DuckDBPyConnection) -> None:
    """What splits a cause, and by what a replayed answer is known again; unknown until now."""
    con.execute("alter table verdicts add column second_level varchar")
    con.execute("alter table replays add column status varchar")
    con.execute("alter table replays add column draw_key varchar")
    con.execute("""
        create or replace view latest_verdicts as
            select * from verdicts
            qualify row_number() over (
                partition by request_id
                order by diagnosed_at desc, verdict desc nulls first, cause desc nulls first,
                         verified_fix desc nulls first) = 1""")


def trust_in_verdicts(con: duckdb.DuckDBPyConnection) -> None:
    """How known causes were diagnosed, and how the sufficiency of contexts is estimated: rows are
    only added, the last holds. ``found`` is JSON."""
    for statement in (
        "validations(version_id varchar, split varchar, validated_at timestamp, found varchar)",
        "sufficiency_models(version_id varchar, calibrated_at timestamp, found varchar)",
    ):
        con.execute(f"create table {statement}")


def people_decide(con: duckdb.DuckDBPyConnection) -> None:
    """What people and judges say goes before the default grade: ``cost_sums`` fills the rollups
    anew, which asks for its columns."""


def sentence_supports(con: duckdb.DuckDBPyConnection) -> None:
    """What graders say of each sentence of an answer, as JSON; of grades until now, unknown."""
    con.execute("alter table grades add column sentences varchar")
    con.execute("""
        create or replace view latest_grades as
            select * from grades
            qualify row_number() over (
                partition by request_id, grader
                order by graded_at desc, y desc nulls first, score desc nulls first,
                         reason desc nulls first) = 1""")


def question_splits(con: duckdb.DuckDBPyConnection) -> None:
    """Of which split a question is of which no passage was judged, and with those that have
    judgments all that a split holds. A split that nobody named counts while there is no other."""
    con.execute("""
        create table question_splits(
            question_id varchar, split varchar, named boolean, added_at timestamp);
        create view split_questions as
            with meant as (
                select question_id, split from judgments
                union select question_id, split from question_splits where named)
            select question_id, split from meant
            union select question_id, split from question_splits
            where not named and question_id not in (select question_id from meant)""")


def cost_sums(con: duckdb.DuckDBPyConnection) -> None:
    """Sums of what requests cost, by day; the rollups of every earlier lake are filled anew."""
    counts = ("outsized", "paid", "billed", "timed", "priced_timed", "here", "billed_here")
    sums = (
        *("cost_usd2", "seconds", "seconds2", "priced_seconds", "priced_seconds2"),
        *("here_seconds", "here_seconds2", "billed_usd", "billed_usd2"),
        *("billed_seconds", "billed_seconds2", "billed_usd_seconds"),
    )
    columns = dict.fromkeys(counts, "0::bigint") | dict.fromkeys(sums, "0::double")
    _widen(con, "daily", columns)
    ((requests,),) = con.execute("select count(*) from requests").fetchall()
    if requests:
        fill_rollups(con)


def _widen(con: duckdb.DuckDBPyConnection, table: str, columns: Mapping[str, str]) -> None:
    """Make ``table`` anew with more columns. One that is altered keeps a place in the catalog for
    small rows of its older form until compaction has written them out."""
    more = ", ".join(f"{value} as {column}" for column, value in columns.items())
    con.execute(f"create table wider as select *, {more} from {table} limit 0")
    if table == "failures":
        con.execute("alter table wider set partitioned by (year(asked_at), month(asked_at))")
    con.execute(f"insert into wider select *, {more} from {table}")
    con.execute(f"drop table {table}")
    con.execute(f"alter table wider rename to {table}")


MIGRATIONS: tuple[Migration, ...] = (
    first_tables,
    foreign_logs,
    keep_probability,
    partition_by_version,
    upkeep_tables,
    assembled_traces,
    requests_in_files,
    remarks,
    rollups,
    smaller_files,
    forgotten_users,
    index_tunings,
    index_health,
    deployments,
    weights,
    passage_metadata,
    whole_ledger,
    training_runs,
    regression_questions,
    pruned_builds,
    owed_checks,
    request_filters,
    grader_calibrations,
    influences,
    prescriptions,
    second_levels,
    trust_in_verdicts,
    people_decide,
    sentence_supports,
    question_splits,
    cost_sums,
)
"""Migration n is the n-th entry, counted from 1."""

SETS_AN_OPTION = requests_in_files
"""It sets an option of a table, which must be committed before."""


def is_behind(con: duckdb.DuckDBPyConnection) -> bool:
    """Whether the lake that ``con`` uses needs :func:`migrate`.

    Raises NewerWorkspace where the lake has migrations that this code does not know.
    """
    return _done(con) < len(MIGRATIONS)


def migrate(con: duckdb.DuckDBPyConnection) -> int:
    """Bring the lake that ``con`` uses to the newest schema; returns how many steps ran.

    Raises NewerWorkspace where the lake has migrations that this code does not know.
    """
    con.execute(
        "create table if not exists migrations(number integer, name varchar, applied_at timestamp)"
    )
    done = _done(con)
    for together in _transactions(done):
        con.execute("begin")
        try:
            for number, migration in together:
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


def _transactions(done: int) -> list[list[tuple[int, Migration]]]:
    """The numbered migrations that are left, by transaction. A lake with rows takes one at a time.
    A new one has nothing to lose, and each commit costs more than its step: it takes as many at
    once as DuckLake can."""
    left = list(enumerate(MIGRATIONS[done:], start=done + 1))
    if done:
        return [[one] for one in left]
    first = list(takewhile(lambda one: one[1] is not SETS_AN_OPTION, left))
    return [first, left[len(first) :]]


def _done(con: duckdb.DuckDBPyConnection) -> int:
    """How many migrations the lake has; none where it has not even the table of them."""
    try:
        # Read to the end: an open result would keep a SQLite catalog's log from being emptied.
        rows = con.execute("select max(number) from lake.migrations").fetchall()
    except (
        duckdb.CatalogException
    ):  # not even the table; to list tables first took a fifth of opening
        rows = []
    done = int(rows[0][0] or 0) if rows else 0
    if done > len(MIGRATIONS):
        raise NewerWorkspace(
            f"this workspace has schema {done}, this ragdiag knows {len(MIGRATIONS)}",
            remedy="upgrade ragdiag, or name another workspace with --workspace",
        )
    return done
