"""A year of requests in one lake: how fast they come in, and how fast the pages' questions are.

    python -m benchmarks.scale 1_000_000 FOLDER [--pandas] >> docs/scale.md

Each request has lists of ten hits for all five stages, a question of about 60 characters and an
answer of about 200; twelve months, six versions, twenty topics; 95 % are graded, a fifth of those
is wrong and diagnosed. The first SPOOLED requests come in as spool segments, the rest as Arrow
tables.
Every question is asked first in a fresh process, the lake's files out of the page cache, then
again. ``--pandas`` asks pandas the same on the same rows, held in memory.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from ragdiag.records import RANKED_STAGES, Judgment, Passage, Question
from ragdiag.settings import Workspace
from ragdiag.store import queries
from ragdiag.store.corpus import add_documents, add_judgments, add_questions
from ragdiag.store.ingest import ingest
from ragdiag.store.intake.arrow_door import COLUMNS, ingest_table
from ragdiag.store.kinds import record_to_json
from ragdiag.store.lake import Lake, close_lakes, open_lake
from ragdiag.store.latency_trends import stage_latency, weekly_latency
from ragdiag.store.queries import Filters
from ragdiag.store.rollups import fill_rollups
from ragdiag.store.rows import requests_from_table
from ragdiag.store.spending import spent
from ragdiag.store.tables import SCHEMAS, shown
from ragdiag.store.trends import weekly_outcomes

SPOOLED = 200_000
PORTION = 100_000
QUESTIONS = 5_000
PASSAGES = 50_000
VERSIONS = [f"version-{n}" for n in range(6)]
TOPICS = [f"topic {n:02d}" for n in range(20)]
START = np.datetime64("2025-01-01", "us")
YEAR_US = 364 * 86_400 * 1_000_000
STAGES = {"embed": 8.0, "lexical": 5.0, "dense": 12.0, "fusion": 0.4, "generation": 600.0}
WORDS = np.array(
    [
        *("set", "up", "the", "page", "where", "a", "long", "name"),
        *("is", "read", "kept", "in", "memory"),
    ]
)
FAULTS = [
    ("retrieval", "recall_miss"),
    ("retrieval", "fusion_loss"),
    ("generator", "in_context"),
    ("corpus", "corpus_gap"),
    ("packing", "packing"),
]


def passage_name(number: int) -> str:
    return f"doc{number // 10}#{number % 10}"


def texts(chance: np.random.Generator, n: int, words: int) -> list[str]:
    drawn = WORDS[chance.integers(len(WORDS), size=(n, words))]
    return [" ".join(row) for row in drawn]


def request_ids(start: int, at: np.ndarray[Any, Any], chance: np.random.Generator) -> list[str]:
    """UUIDs that begin with the time, as services write them."""
    millis = at.astype("datetime64[ms]").astype(np.int64)
    noise = chance.integers(2**62, size=len(at))
    return [
        f"{ms >> 16:08x}-{ms & 0xFFFF:04x}-7{bits >> 50:03x}-8{bits >> 38 & 0xFFF:03x}-"
        f"{(bits & 0x3FFFFFFFFF) | (start + row) << 8 & 0xFFFFFFFFFF:012x}"
        for row, (ms, bits) in enumerate(zip(millis.tolist(), noise.tolist(), strict=True))
    ]


def hit_lists(
    chance: np.random.Generator, gold: np.ndarray[Any, Any], names: pa.Array, chars: bool
) -> pa.Array:
    """Ten passages each, scores falling; the gold one at a random rank in two of three lists."""
    n = len(gold)
    found = chance.integers(PASSAGES, size=(n, 10))
    rank = chance.geometric(0.4, size=n) - 1
    there = np.flatnonzero((chance.random(n) < 0.67) & (rank < 10))
    found[there, rank[there]] = gold[there]
    scores = -np.sort(-chance.gamma(2.0, 4.0, size=(n, 10)), axis=1)
    columns = {"passage_id": names.take(pa.array(found.ravel())), "score": pa.array(scores.ravel())}
    if chars:
        columns["chars"] = pa.array(chance.integers(100, 2000, size=n * 10), pa.int32())
    hits = pa.StructArray.from_arrays(list(columns.values()), names=list(columns))
    return pa.ListArray.from_arrays(pa.array(np.arange(0, n * 10 + 1, 10), pa.int32()), hits)


def make_requests(start: int, n: int, total: int) -> pa.Table:
    """Requests ``start`` … ``start + n`` of ``total``, in the order in which they were asked."""
    chance = np.random.default_rng(start)
    step = YEAR_US / total
    offsets = ((start + np.arange(n) + chance.random(n)) * step).astype(np.int64)
    at = START + offsets.astype("timedelta64[us]")
    question = chance.integers(QUESTIONS, size=n)
    names = pa.array([passage_name(number) for number in range(PASSAGES)])
    gold = question * 7 % PASSAGES
    version = np.minimum((offsets / YEAR_US * 5).astype(int) + chance.integers(2, size=n), 5)
    times = {
        f"{stage}_ms": pa.array(chance.lognormal(np.log(ms), 0.5, n))
        for stage, ms in STAGES.items()
    }
    asked, answers = texts(chance, n, 13), texts(chance, n, 46)
    columns = {
        "request_id": pa.array(request_ids(start, at, chance)),
        "asked_at": pa.array(at),
        "version_id": pa.array(VERSIONS).take(pa.array(version)),
        "build_id": pa.repeat("build-1", n),
        "traffic": pa.array(["production", "canary"]).take(
            pa.array(chance.random(n) < 0.05).cast("int8")
        ),
        "question_id": pa.array([f"q{number}" for number in question.tolist()]),
        "question": pa.array(asked),
        "topic": pa.array(TOPICS).take(pa.array(question % len(TOPICS))),
        "user_key": pa.array([f"user{number}" for number in chance.integers(20_000, size=n)]),
        "answer": pa.array(answers),
        "status": pa.array(["ok", "no_answer", "error"]).take(
            pa.array(chance.choice(3, size=n, p=[0.93, 0.06, 0.01]))
        ),
        "citations": pa.array([[passage_name(number)] for number in gold.tolist()]),
        "cache_hit": pa.array(chance.random(n) < 0.03),
        "prompt_tokens": pa.array(chance.integers(300, 3000, size=n), pa.int32()),
        "completion_tokens": pa.array(chance.integers(10, 300, size=n), pa.int32()),
        "cost_usd": pa.array(chance.random(n) / 500),
        **times,
        "total_ms": pa.array(sum(np.asarray(values) for values in times.values()) + 3.0),
        **{stage: hit_lists(chance, gold, names, stage == "context") for stage in RANKED_STAGES},
        "searched_depth": pa.repeat(pa.scalar(100, pa.int32()), n),
        "logged_depth": pa.repeat(pa.scalar(10, pa.int32()), n),
        "keep_probability": pa.repeat(1.0, n),
    }
    return pa.table(columns).select([name for name in COLUMNS.names if name in columns])


def write_opinions(lake: Lake, requests: pa.Table, start: int) -> None:
    """Grades and verdicts of one portion, straight into their tables; the rollups come after."""
    chance = np.random.default_rng(start + 1)
    n = requests.num_rows
    graded = chance.random(n) < 0.95
    wrong = graded & (chance.random(n) < 0.2)
    ids = requests["request_id"]
    now = pa.scalar(datetime.now(UTC).replace(tzinfo=None), pa.timestamp("us"))
    kept = ids.filter(pa.array(graded))
    score = chance.random(n)[graded]
    grades = pa.table(
        {
            "request_id": kept,
            "grader": pa.repeat("contains_or_f1", len(kept)),
            "status": pa.repeat("ok", len(kept)),
            "reason": pa.repeat("", len(kept)),
            "y": pa.array((~wrong[graded]).astype(np.int32)),
            "score": pa.array(score),
            "graded_at": pa.repeat(now, len(kept)),
        }
    )
    failed = ids.filter(pa.array(wrong))
    fault = chance.integers(len(FAULTS), size=len(failed))
    verdicts = pa.table(
        {
            "request_id": failed,
            "cause": pa.array([FAULTS[number][1] for number in fault]),
            "verdict": pa.array([FAULTS[number][0] for number in fault]),
            "verified_fix": pa.repeat("g", len(failed)),
            "tier": pa.repeat("A", len(failed)),
            "evidence": pa.repeat("{}", len(failed)),
            "diagnosed_at": pa.repeat(now, len(failed)),
        }
    )

    def add(cursor: duckdb.DuckDBPyConnection) -> None:
        for name, table in (("grades", grades), ("verdicts", verdicts)):
            with shown(cursor, "made", table):
                cursor.execute(f"insert into {name} by name select * from made")

    lake.write(add)


def spool_lines(workspace: Workspace, requests: pa.Table, start: int) -> int:
    """Write segments of 4 MB as a service does; their bytes."""
    missing = [field for field in SCHEMAS["requests"] if field.name not in requests.column_names]
    for field in missing:
        requests = requests.append_column(field, pa.nulls(requests.num_rows, field.type))
    workspace.spool.mkdir(parents=True, exist_ok=True)
    size = 0
    for part in range(0, requests.num_rows, 1_500):
        lines = [
            json.dumps(record_to_json(record))
            for record in requests_from_table(requests.slice(part, 1_500))
        ]
        path = workspace.spool / f"bench-1-{start + part}.jsonl"
        size += path.write_bytes("".join(line + "\n" for line in lines).encode())
    return size


class Clock:
    """Wall and processor seconds of what is done within."""

    def __init__(self) -> None:
        self.wall = self.cpu = 0.0

    def __enter__(self) -> None:
        self._from = (time.perf_counter(), time.process_time())

    def __exit__(self, *_: object) -> None:
        self.wall += time.perf_counter() - self._from[0]
        self.cpu += time.process_time() - self._from[1]


def rate(name: str, n: int, clock: Clock) -> None:
    """One row: by the clock, and by the two cores' processor time that the work took."""
    print(
        f"| {name} | {n / clock.wall:,.0f}/s | {2 * n / clock.cpu:,.0f}/s "
        f"| {clock.wall:.1f} s | {clock.cpu:.1f} s |",
        flush=True,
    )


def fill(workspace: Workspace, total: int) -> None:
    lake = open_lake(workspace, create=True)
    add_documents(
        lake, [Passage(passage_name(n), f"doc{n // 10}", f"Text {n}.") for n in range(PASSAGES)]
    )
    add_questions(lake, [Question(f"q{n}", f"Question {n}?") for n in range(QUESTIONS)])
    judged = [
        Judgment(f"q{n}", passage_name(n * 7 % PASSAGES), 1, "logs") for n in range(QUESTIONS)
    ]
    add_judgments(lake, judged)
    print(
        "| coming in | by the clock | by processor time | wall | processor |\n|---|---|---|---|---|"
    )
    spooled, arrow, opinions = Clock(), Clock(), Clock()
    size = lines = 0
    for start in range(0, total, PORTION):
        requests = make_requests(start, min(PORTION, total - start), total)
        if start < SPOOLED:
            lines += requests.num_rows
            size += spool_lines(workspace, requests, start)
            with spooled:
                ingest(lake, workspace)
        else:
            with arrow:
                ingest_table(lake, requests, "bench")
        with opinions:
            write_opinions(lake, requests, start)
    rate(f"spool JSONL, {size / lines:,.0f} bytes a line", lines, spooled)
    if lines < total:
        rate("Arrow", total - lines, arrow)
    with opinions:
        lake.write(fill_rollups)
    rate("grades and verdicts, and the rollups built anew", total, opinions)


def oracle(lake: Lake) -> dict[str, Any]:
    """What the questions need to know to be asked."""
    (row,) = lake.rows("select request_id from requests order by asked_at limit 1 offset 1000")
    return {"request_id": row["request_id"], "week": date(2025, 6, 2)}


def asked(known: dict[str, Any]) -> dict[str, Callable[[Lake], Any]]:
    production = Filters(traffic="production")
    week = Filters(traffic="production", week=known["week"], topic=TOPICS[3], cause="recall_miss")
    rows = Filters(traffic="production", text=" ")
    return {
        "recall@10 and MRR@10, version × week": lambda lake: weekly_outcomes(
            lake, production, "version_id"
        ),
        "p95, every stage × version": lambda lake: stage_latency(lake, production, "version_id"),
        "p95 of total, version × week": lambda lake: weekly_latency(lake, production),
        "p95 of all six stages, version × week": lambda lake: weekly_latency(
            lake, production, (*STAGES, "total")
        ),
        "failures by cause × topic": lambda lake: lake.rows(
            "select cause, topic, count(*) as n from failures group by all"
        ),
        "triage: first page, one topic, week and cause": lambda lake: queries.failures(lake, week),
        "triage: first page of everything": lambda lake: queries.failures(lake, production),
        "triage: slowest first": lambda lake: queries.failures(
            lake, production, order="slowest first"
        ),
        "one request": lambda lake: lake.rows(
            "select * from requests where request_id = ?", [known["request_id"]]
        ),
        "one version: counts": lambda lake: queries.graded_counts(
            lake, Filters(version_id=VERSIONS[2])
        ),
        "cost of a million queries, by version": lambda lake: spent(lake, production, 0.0),
        "latest 50 requests": lambda lake: lake.rows(
            "select request_id, asked_at, question, answer, status from requests "
            "order by asked_at desc limit 50"
        ),
        "rows: recall@10 and MRR@10, version × week": lambda lake: lake.rows(ROW_RANKING),
        "rows: p95 of 5 stages, version × week": lambda lake: lake.rows(ROW_LATENCY),
        "rows: p50, p95 and p99 by hour": lambda lake: lake.rows(ROW_HOURS),
        "rows: with a word in the question": lambda lake: weekly_outcomes(lake, rows, "version_id"),
    }


ROW_RANKING = """
    with relevant as (select question_id, count(*) as n from judgments where grade > 0 group by 1)
    select version_id, date_trunc('week', asked_at) as week, count(*) as n,
           avg(coalesce(1.0 / nullif(list_position(rel, 1), 0), 0)) as mrr,
           avg(list_sum(rel) / r.n) as recall
    from requests join relevant r using (question_id)
    where traffic = 'production' and rel is not null group by all"""
ROW_LATENCY = f"""
    select version_id, date_trunc('week', asked_at) as week,
           {", ".join(f"approx_quantile({stage}_ms, 0.95)" for stage in STAGES)}
    from requests where traffic = 'production' and not cache_hit group by all"""

ROW_HOURS = """
    select date_trunc('hour', asked_at) as hour,
           approx_quantile(total_ms, [0.5, 0.95, 0.99]) as found
    from requests where traffic = 'production' and not cache_hit group by 1 order by 1"""


def ask(workspace: Workspace, name: str) -> None:
    """Within a fresh process: open the lake, ask once, then five times more."""
    started = time.perf_counter()
    lake = open_lake(workspace)
    known = oracle_file(workspace)
    opened = time.perf_counter() - started
    question = asked(known)[name]
    times = []
    for _ in range(4):
        started = time.perf_counter()
        question(lake)
        times.append(time.perf_counter() - started)
    found = {"opened": opened, "cold": times[0], "warm": min(times[1:]), "mb": peak_memory()}
    print(json.dumps(found))


def oracle_file(workspace: Workspace) -> dict[str, Any]:
    known = json.loads((workspace.root / "oracle.json").read_text())
    return {**known, "week": date.fromisoformat(known["week"])}


def peak_memory() -> float:
    """Of this process, in MB. (What getrusage says goes back to the parent's.)"""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def forget_files(workspace: Workspace) -> None:
    """Have the system drop what it keeps of the lake's files, and of no others."""
    for path in files(workspace):
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def time_questions(workspace: Workspace) -> None:
    lake = open_lake(workspace)
    known = oracle(lake)
    (workspace.root / "oracle.json").write_text(json.dumps(known, default=str))
    close_lakes()
    print("\n| question | first in a fresh process, files not cached | again | peak memory |")
    print("|---|---|---|---|")
    for name in asked(known):
        forget_files(workspace)
        command = [sys.executable, "-m", "benchmarks.scale", "ask", str(workspace.root), name]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found = json.loads(done.stdout)
        print(
            f"| {name} | {found['cold'] * 1000:,.0f} ms | {found['warm'] * 1000:,.0f} ms "
            f"| {found['mb']:,.0f} MB |",
            flush=True,
        )


def time_pandas(total: int) -> None:
    """The same on a frame of the same rows, read already; its lists as numpy arrays."""
    import pandas as pd

    unscored = [stage for stage in RANKED_STAGES if stage != "reranked"]
    frames = []
    for start in range(0, total, PORTION):
        made = make_requests(start, min(PORTION, total - start), total)
        chance = np.random.default_rng(start + 1)
        graded = chance.random(made.num_rows) < 0.95
        wrong = graded & (chance.random(made.num_rows) < 0.2)
        frame = made.drop_columns([*unscored, "citations"]).to_pandas()
        frame["wrong"] = wrong
        frame["cause"] = np.where(wrong, "recall_miss", None)
        frames.append(frame)
    rows = pd.concat(frames, ignore_index=True)
    del frames
    gold = {f"q{n}": passage_name(n * 7 % PASSAGES) for n in range(QUESTIONS)}
    week = rows["asked_at"].dt.to_period("W")

    def ranking() -> Any:
        wanted = rows["question_id"].map(gold)
        rank = [
            next((1 / at for at, hit in enumerate(hits, 1) if hit["passage_id"] == one), 0.0)
            for hits, one in zip(rows["reranked"], wanted, strict=True)
        ]
        scored = pd.DataFrame({"v": rows["version_id"], "w": week, "rr": rank})
        return scored.groupby(["v", "w"])["rr"].agg(["mean", lambda x: (x > 0).mean()])

    columns = [f"{stage}_ms" for stage in STAGES]
    asked_of: dict[str, Callable[[], Any]] = {
        "recall@10 and MRR@10, version × week": ranking,
        "p95, every stage × version × week": lambda: rows.groupby([rows["version_id"], week])[
            columns
        ].quantile(0.95),
        "failures by cause × topic": lambda: rows[rows["wrong"]].groupby(["cause", "topic"]).size(),
        "triage: first page, one topic": lambda: rows[
            rows["wrong"] & (rows["topic"] == TOPICS[3])
        ].nlargest(50, "asked_at"),
        "one request": lambda: rows[rows["request_id"] == rows["request_id"].iat[1000]],
    }
    print("\n| pandas, the frame in memory already | time |\n|---|---|")
    for name, question in asked_of.items():
        started = time.perf_counter()
        question()
        print(f"| {name} | {(time.perf_counter() - started) * 1000:,.0f} ms |", flush=True)
    print(f"\npandas: {peak_memory():,.0f} MB at the peak, without four of the five lists of hits.")


def files(workspace: Workspace) -> Iterator[Path]:
    return (path for path in (workspace.catalog.parent).rglob("*") if path.is_file())


def main(arguments: list[str]) -> None:
    if arguments[:1] == ["ask"]:
        ask(Workspace(Path(arguments[1])), arguments[2])
        return
    parser = argparse.ArgumentParser()
    parser.add_argument("requests", type=int)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pandas", action="store_true")
    given = parser.parse_args(arguments)
    workspace = Workspace(given.folder)
    print(f"\n## {given.requests:,} requests, {datetime.now(UTC):%Y-%m-%d}\n")
    load = os.getloadavg()[0]
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}, duckdb {duckdb.__version__}, pyarrow {pa.__version__}; "
        f"load at the start {load:.1f}.\n"
    )
    fill(workspace, given.requests)
    peak = peak_memory()
    size = sum(path.stat().st_size for path in files(workspace))
    print(f"\nPeak memory while loading: {peak:,.0f} MB (the generator's own included). ", end="")
    print(f"On disk: {size / given.requests * 1e6 / 1e6:,.0f} MB per million requests.")
    time_questions(workspace)
    if given.pandas:
        time_pandas(given.requests)
    print(f"\nLoad at the end: {statistics.mean(os.getloadavg()[:2]):.1f}.")


if __name__ == "__main__":
    main(sys.argv[1:])
