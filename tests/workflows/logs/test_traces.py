"""Traces that wait become requests: once, whole, by whichever process, however it dies."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ragdiag.privacy.pseudonyms import user_key
from ragdiag.records import Feedback, Grade, Reject, Request, Span
from ragdiag.settings import PROJECT, Workspace
from ragdiag.spans.building import LINKS, excerpt
from ragdiag.spans.traces import NO_QUESTION
from ragdiag.store.ingest import ingest
from ragdiag.store.kinds import Record
from ragdiag.store.lake import Lake, close_lakes, open_lake
from ragdiag.store.results import load_requests
from ragdiag.store.spool import SpoolWriter
from ragdiag.store.times import now_utc
from ragdiag.store.upkeep.check import check_store
from ragdiag.store.upkeep.forgotten import REASON, add_forgotten, user_tombstone
from ragdiag.workflows.logs import forget as forgetting
from ragdiag.workflows.logs import traces as module
from ragdiag.workflows.logs.forget import forget_user
from ragdiag.workflows.logs.ingest import load_waiting
from ragdiag.workflows.logs.traces import LATE, AssemblyReport, assemble_traces

MONDAY = datetime(2026, 1, 5, 12, tzinfo=UTC)


def make_span(trace: int, number: int = 1, parent: int = 0, **attributes: Any) -> Span:
    asked = {"openinference.span.kind": "CHAIN", "input.value": f"q{trace}?", "output.value": "a"}
    started = MONDAY + timedelta(seconds=trace, milliseconds=number)
    return Span(
        f"{trace:032x}",
        f"{number:016x}",
        f"{parent:016x}" if parent else None,
        f"span {number}",
        started,
        started + timedelta(milliseconds=50),
        attributes or asked,
    )


RETRIEVER = {
    "openinference.span.kind": "RETRIEVER",
    "retrieval.documents.0.document.id": "p1",
    "retrieval.documents.0.document.content": "Cats sleep.",
}


def whole_trace(trace: int) -> list[Span]:
    return [make_span(trace), make_span(trace, 2, 1, **RETRIEVER)]


def stage(lake: Lake, *spans: Span) -> None:
    with SpoolWriter(lake.workspace) as spool:
        spool.write_all(spans)
    assert ingest(lake, lake.workspace).rejected == 0


def rejects(lake: Lake) -> list[tuple[str, str]]:
    rows = lake.rows("select source, reason from rejects order by source, reason")
    return [(row["source"], row["reason"]) for row in rows]


def waiting(lake: Lake) -> int:
    return int(lake.rows("select count(*) as n from spans")[0]["n"])


def in_s(seconds: float) -> datetime:
    return now_utc() + timedelta(seconds=seconds)


def test_a_trace_is_read_when_its_root_has_come_and_it_is_quiet(lake: Lake) -> None:
    stage(lake, *whole_trace(1))
    assert assemble_traces(lake, now=in_s(5)) == AssemblyReport()
    assert assemble_traces(lake, now=in_s(20)) == AssemblyReport(1, 1, 2, 0)
    (request,) = load_requests(lake)
    assert (request.request_id, request.question, request.degraded_reason) == (
        f"{1:032x}",
        "q1?",
        None,
    )
    assert [hit.passage_id for hit in request.fused] == ["p1"]
    assert lake.rows("select text from logged_passages") == [{"text": "Cats sleep."}]
    assert waiting(lake) == 0
    assert assemble_traces(lake, now=in_s(20)) == AssemblyReport()


def test_spans_that_still_come_keep_a_trace_waiting(lake: Lake) -> None:
    stage(lake, make_span(1))
    lake.write(lambda cursor: cursor.execute("update spans set received_at = ?", [in_s(-30)]))
    stage(lake, make_span(1, 2, 1, **RETRIEVER))
    assert assemble_traces(lake) == AssemblyReport()
    assert assemble_traces(lake, now=in_s(11)).requests == 1


def test_a_trace_of_several_roots_that_come_apart_is_one_request(lake: Lake) -> None:
    stage(lake, replace(make_span(1, 900), status="ok"))
    stage(lake, replace(make_span(1, 100), status="error", error="rate limit"))
    assert assemble_traces(lake, now=in_s(20)) == AssemblyReport(1, 1, 1, 0)
    (request,) = load_requests(lake)
    assert (request.status, request.latency_ms["total"]) == ("ok", 850.0)


def test_a_trace_without_its_root_is_read_when_it_is_given_up(lake: Lake) -> None:
    stage(lake, make_span(1, 2, 1))
    assert assemble_traces(lake, now=in_s(590)) == AssemblyReport()
    assert assemble_traces(lake, now=in_s(610)).requests == 1
    assert load_requests(lake)[0].degraded_reason == "no root span"


def test_what_comes_late(lake: Lake) -> None:
    stage(lake, *whole_trace(1))
    assemble_traces(lake, settle_s=0)
    verdict = {"evaluations.0.evaluation.name": "judge", "evaluations.0.evaluation.label": "pass"}
    again = make_span(1, 2, 1, **RETRIEVER)
    stage(lake, again, make_span(1, 3, 1), make_span(1, 4, 1, **verdict))
    assert assemble_traces(lake, settle_s=0, orphan_s=0) == AssemblyReport(1, 0, 1, 1)
    assert rejects(lake) == [(f"trace {1:032x}", LATE)]
    grades = lake.rows("select request_id, grader, y from grades")
    assert grades == [{"request_id": f"{1:032x}", "grader": "judge", "y": 1}]
    assert waiting(lake) == 0
    # What came late is known now, too.
    stage(lake, make_span(1, 3, 1), make_span(1, 4, 1, **verdict))
    assert assemble_traces(lake, settle_s=0, orphan_s=0) == AssemblyReport(1, 0, 0, 0)
    assert len(load_requests(lake)) == 1


def test_a_late_span_that_trips_a_defect_is_a_reject_and_others_go_on(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage(lake, *whole_trace(1))
    assemble_traces(lake, settle_s=0)

    def trip(_: Any) -> Any:
        raise OverflowError("int too large to convert to float")

    monkeypatch.setattr(module, "read_results", trip)
    stage(lake, make_span(1, 3, 1), *whole_trace(2))
    assert assemble_traces(lake, settle_s=0, orphan_s=0) == AssemblyReport(2, 1, 1, 1)
    assert "a defect of ragdiag" in rejects(lake)[0][1]
    assert waiting(lake) == 0


def test_a_verdict_on_another_trace(lake: Lake) -> None:
    verdict = {
        "openinference.span.kind": "EVALUATOR",
        "evaluations.0.evaluation.name": "judge",
        "evaluations.0.evaluation.label": "fail",
        LINKS: [{"trace_id": f"{9:032x}", "span_id": f"{1:016x}"}],
    }
    stage(lake, make_span(1, **verdict))
    assert assemble_traces(lake, settle_s=0) == AssemblyReport(1, 0, 1, 0)
    assert lake.rows("select request_id, y from grades") == [{"request_id": f"{9:032x}", "y": 0}]


def test_a_trace_that_asks_nothing_is_a_reject(lake: Lake) -> None:
    stage(lake, make_span(1, **{"http.method": "GET"}))
    assert assemble_traces(lake, settle_s=0) == AssemblyReport(1, 0, 0, 1)
    assert rejects(lake) == [(f"trace {1:032x}", NO_QUESTION)]


def test_a_request_that_is_there_already_stays(lake: Lake) -> None:
    with SpoolWriter(lake.workspace) as spool:
        spool.write(Grade(f"{1:032x}", "judge", 1))
    stage(lake, *whole_trace(1))
    assemble_traces(lake, settle_s=0)
    # The trace was forgotten, and another one of the same id comes.
    assert assemble_traces(lake, now=in_s(8 * 86_400)) == AssemblyReport()
    assert lake.rows("select * from assembled_traces") == []
    stage(lake, make_span(1, **{"ragdiag.question": "another?"}))
    assert assemble_traces(lake, settle_s=0) == AssemblyReport(1, 0, 0, 1)
    assert [request.question for request in load_requests(lake)] == ["q1?"]
    assert "the first stays" in rejects(lake)[0][1]


def test_user_ids_become_pseudonyms(lake: Lake) -> None:
    stage(lake, make_span(1, **{"input.value": "q?", "user.id": "jane@example.org"}))
    assemble_traces(lake, settle_s=0)
    (request,) = load_requests(lake)
    assert request.user_key == user_key(lake.workspace, "jane@example.org")
    assert "jane" not in json.dumps(lake.rows("select user_key, question, answer from requests"))


def test_batches_bound_what_is_in_memory(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BATCH_SPANS", 6)
    monkeypatch.setattr(module, "MAX_SPANS", 4)
    sizes: list[int] = []
    staged = module.staged_spans

    def counted(*arguments: Any) -> Any:
        found = staged(*arguments)
        sizes.append(sum(len(spans) for spans, _ in found.values()))
        return found

    monkeypatch.setattr(module, "staged_spans", counted)
    big = [make_span(9, number, number - 1) for number in range(1, 8)]
    stage(lake, *(span for trace in range(8) for span in whole_trace(trace)), *big)
    report = assemble_traces(lake, settle_s=0)
    assert (report.traces, report.requests, report.rejected) == (9, 9, 1)
    assert rejects(lake) == [(f"trace {9:032x}", "3 spans beyond the first 4 were not read")]
    assert max(sizes) <= 8
    assert sum(sizes) == 20
    assert waiting(lake) == 0


def test_hostile_attributes_are_stored_or_refused_and_never_stop_the_others(lake: Lake) -> None:
    odd = {
        "ragdiag.question": "nul \x01 and 👍",
        "retrieval.documents.0.document.id": "i" * 5_000,
        "retrieval.documents.0.document.score": 1e308,
        "llm.token_count.prompt": 10**18,
        "llm.cost.prompt": 1e308,
        "llm.cost.completion": 1e308,
        "metadata": "{not json",
    }
    stage(lake, make_span(1, **odd), *whole_trace(2))
    assert assemble_traces(lake, settle_s=0).requests == 2
    first, _ = load_requests(lake)
    assert first.cost_usd is None
    assert first.prompt_tokens == 2**31 - 1
    assert all(len(hit.passage_id) <= 500 for hit in first.fused)


ASSEMBLE = """
import sys
from pathlib import Path
from ragdiag.settings import Workspace
from ragdiag.store.lake import open_lake
from ragdiag.workflows.logs import forget as forgetting
from ragdiag.workflows.logs import traces as module
lake = open_lake(Workspace(Path(sys.argv[1])))
module.BATCH_SPANS = 10
"""


def run(code: str, workspace: Workspace) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", ASSEMBLE + code, str(workspace.root)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=PROJECT)


@pytest.mark.slow
def test_several_processes_read_each_trace_once(lake: Lake, workspace: Workspace) -> None:
    stage(lake, *(span for trace in range(1, 13) for span in whole_trace(trace)))
    close_lakes()
    code = "print(module.assemble_traces(lake, settle_s=0).requests)"
    processes = [run(code, workspace) for _ in range(2)]
    counts = [int(process.communicate(timeout=120)[0]) for process in processes]
    assert sum(counts) == 12
    lake = open_lake(workspace)
    assert len(load_requests(lake)) == 12
    assert rejects(lake) == []
    assert waiting(lake) == 0


KILLED = """
import os, signal
step = module.{step}
def die(*arguments):
    step(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)
module.{step} = die
module.assemble_traces(lake, settle_s=0)
"""


@pytest.mark.slow
@pytest.mark.parametrize("step", ["admit", "finish_traces"])
def test_killed_between_two_steps_nothing_is_half_done(
    lake: Lake, workspace: Workspace, step: str
) -> None:
    stage(lake, *whole_trace(1), make_span(2, **{"http.method": "GET"}))
    close_lakes()
    process = run(KILLED.format(step=step), workspace)
    process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL
    lake = open_lake(workspace)
    assert load_requests(lake) == []
    assert (rejects(lake), waiting(lake)) == ([], 3)
    assert assemble_traces(lake, settle_s=0) == AssemblyReport(2, 1, 2, 1)
    assert len(load_requests(lake)) == 1


CHILD = {
    "openinference.span.kind": "LLM",
    "llm.input_messages.0.message.role": "user",
    "llm.input_messages.0.message.content": "Who am I?",
}
NAMES: list[dict[str, Any]] = [
    {"user.id": "ann"},
    {"ragdiag.user_id": "ann"},
    {"metadata": json.dumps({"user_id": "ann", "n": 1})},
    {"traceloop.association.properties.user_id": "ann"},
]


def roots(first: int = 1) -> list[Span]:
    kind = {"openinference.span.kind": "CHAIN"}
    return [make_span(trace, **kind, **names) for trace, names in enumerate(NAMES, start=first)]


def children(first: int = 1) -> list[Span]:
    spans = []
    for trace in range(first, first + len(NAMES)):
        spans += [make_span(trace, 2, 1, **CHILD), make_span(trace, 3, 1, **RETRIEVER)]
    return spans


def test_a_forgotten_users_traces_go_whole_and_none_becomes_a_request(
    lake: Lake, workspace: Workspace
) -> None:
    stage(lake, *roots(), *children(), make_span(9))
    assert "ann" not in repr(lake.rows("select attributes from spans"))
    assert forget_user(lake, workspace, "ann").clean
    assert waiting(lake) == 1
    archive = [path.read_text() for path in (workspace.spool / "archive").iterdir()]
    assert "Who am I?" not in "".join(archive)
    # The spans below a root are exported before it, and do not name the user.
    for spans in (children(20), roots(20)):
        with SpoolWriter(workspace) as spool:
            spool.write_all(spans)
        ingest(lake, workspace)
    assert waiting(lake) == 1 + 8
    assert assemble_traces(lake, settle_s=0, orphan_s=0) == AssemblyReport(5, 1, 1, 4)
    assert [one.question for one in load_requests(lake)] == ["q9?"]
    assert lake.rows("from logged_passages") == []
    assert {reason for _, reason in rejects(lake)} == {REASON}


def test_what_was_refused_of_a_forgotten_users_traces_goes_too(
    lake: Lake, workspace: Workspace
) -> None:
    bodies = [excerpt(f"{trace:032x}", "7", "Who am I?") for trace in (1, 2, 9)]
    told = [Reject("otlp", 1, "its end is unknown", body) for body in bodies]
    for place in ("lake", "spool"):
        with SpoolWriter(workspace) as spool:
            spool.write_all([*roots(), make_span(9)])
            spool.write_rejects(told)
        if place == "lake":
            ingest(lake, workspace)
    done = forget_user(lake, workspace, "ann")
    assert done.clean, done.to_json()
    removed = {place.name: place.removed for place in done.places}
    names = ("lake: rejects", "spool", "spool archive")
    assert [removed[name] for name in names] == [2, len(NAMES) + 2, len(NAMES) + 2]
    ingest(lake, workspace)
    assert {row["body"] for row in lake.rows("select body from rejects")} == {bodies[-1]}
    assert spooled_bytes(workspace).count("Who am I?") == 2
    assert check_store(lake, workspace).findings == ()


def put(workspace: Workspace, *records: Record) -> None:
    """Into a segment of its own, which waits."""
    with SpoolWriter(workspace) as spool:
        spool.write_all(records)


def spooled_bytes(workspace: Workspace) -> str:
    files = [path for path in workspace.spool.rglob("*.jsonl") if path.is_file()]
    return "".join(path.read_text() for path in files)


@pytest.mark.slow
@pytest.mark.parametrize("ingested", ["nothing", "the spans below the roots"])
def test_a_trace_goes_whole_where_its_root_waits_in_a_segment_of_its_own(
    lake: Lake, workspace: Workspace, ingested: str
) -> None:
    put(workspace, *children())
    if ingested != "nothing":
        ingest(lake, workspace)
    put(workspace, *roots(), make_span(9))
    trial = forget_user(lake, workspace, "ann", dry_run=True)
    done = forget_user(lake, workspace, "ann")
    assert done.clean, done.to_json()
    removed = {place.name: place.removed for place in done.places}
    tried = {place.name: place.found for place in trial.places}
    assert {name: tried[name] for name in ("spool", "lake: spans")} == {
        name: removed[name] for name in ("spool", "lake: spans")
    }
    assert removed["spool"] == (12 if ingested == "nothing" else 4)
    assert "Who am I?" not in spooled_bytes(workspace)
    ingest(lake, workspace)
    put(workspace, *children())
    ingest(lake, workspace)
    assemble_traces(lake, settle_s=0, orphan_s=0)
    assert [one.question for one in load_requests(lake)] == ["q9?"]
    assert lake.rows("from logged_passages") == []


@pytest.mark.slow
def test_what_hangs_on_a_request_that_waits_goes_with_it(lake: Lake, workspace: Workspace) -> None:
    ann = Request("r-ann", MONDAY, "v1", "production", "Who?", user_key=user_key(workspace, "ann"))
    said = Feedback("f1", "r-ann", MONDAY, "thumbs", -1)
    put(workspace, said)
    ingest(lake, workspace)
    put(workspace, replace(said, feedback_id="f2"))
    put(workspace, Grade("r-ann", "judge", 0, reason="It asked who."), *roots())
    put(workspace, ann, Feedback("f3", f"{1:032x}", MONDAY, "thumbs", -1))
    done = forget_user(lake, workspace, "ann")
    assert done.clean, done.to_json()
    removed = {place.name: place.removed for place in done.places}
    assert (removed["spool"], removed["lake: feedback"], done.requests) == (8, 1, 1)
    put(workspace, replace(said, feedback_id="f4"))
    assert ingest(lake, workspace).accepted == 0
    assert lake.rows("from feedback") == []


@pytest.mark.slow
def test_a_root_that_comes_while_its_user_is_forgotten_is_left_for_ingest(
    lake: Lake, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(workspace, *children())
    find = forgetting.find_in_segments

    def and_then(*given: Any) -> Any:
        found = find(*given)
        put(workspace, *roots())
        return found

    with monkeypatch.context() as patch:
        patch.setattr(forgetting, "find_in_segments", and_then)
        assert not forget_user(lake, workspace, "ann").clean
    assert forget_user(lake, workspace, "ann").clean
    assert "Who am I?" not in spooled_bytes(workspace)


def test_a_trace_of_a_user_who_is_forgotten_while_it_waits_is_turned_away(
    lake: Lake, workspace: Workspace
) -> None:
    stage(lake, *roots(), *children())
    tombstone = user_tombstone(workspace, user_key(workspace, "ann"))
    lake.write(lambda cursor: add_forgotten(cursor, [tombstone]))
    assert assemble_traces(lake, settle_s=0) == AssemblyReport(4, 0, 0, 4)
    assert (load_requests(lake), lake.rows("from logged_passages")) == ([], [])


def test_the_ingest_of_everything_says_what_it_did(lake: Lake, workspace: Workspace) -> None:
    with SpoolWriter(workspace) as spool:
        spool.write_all(whole_trace(1))
    loaded = load_waiting(lake, workspace, settle_s=0)
    assert loaded.to_json() == {
        "segments": 1,
        "accepted": 2,
        "rejected": 0,
        "traces": 1,
        "requests": 1,
    }
    assert loaded.records == 4
