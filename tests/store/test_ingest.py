from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ragdiag.records import Feedback, Grade, Hit, Judgment, Passage, Question, Request, Span
from ragdiag.settings import Workspace
from ragdiag.store import ingest as ingest_module
from ragdiag.store.corpus import add_documents, add_judgments, add_questions
from ragdiag.store.ingest import IngestReport, ingest
from ragdiag.store.kinds import Record
from ragdiag.store.lake import Lake
from ragdiag.store.results import load_requests
from ragdiag.store.rows import span_from_row
from ragdiag.store.spool import SpoolWriter, record_to_json

Start = Callable[..., subprocess.Popen[str]]
Finish = Callable[[subprocess.Popen[str]], str]
MakeRequest = Callable[..., Request]
MONDAY = datetime(2026, 1, 5, 12, tzinfo=UTC)


def spool(workspace: Workspace, *records: Record) -> None:
    with SpoolWriter(workspace) as writer:
        for record in records:
            writer.write(record)


def segment(workspace: Workspace, name: str, *lines: Any, end: str = "\n") -> Path:
    workspace.spool.mkdir(parents=True, exist_ok=True)
    path = workspace.spool / name
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(texts) + end)
    return path


def rejects(lake: Lake) -> list[tuple[str, int, str]]:
    rows = lake.rows("select source, line, reason from rejects order by source, line")
    return [(row["source"], row["line"], row["reason"]) for row in rows]


def test_grades_passages_and_spans_are_kept_once(lake: Lake, workspace: Workspace) -> None:
    opinions = [Grade("r1", "reviewer", y, reason=f"opinion {y}") for y in (0, 1)]
    texts = [Passage("p1", "d1", text) for text in ("as it was", "as it is")]
    span = Span("t1", "s1", None, "chain", MONDAY, MONDAY, {"input.value": "Why?"})
    records = [*opinions, *texts, span]
    spool(workspace, *records)
    assert ingest(lake, workspace) == IngestReport(segments=1, accepted=5)
    spool(workspace, *records, replace(span, name="another"))
    again = ingest(lake, workspace)
    assert again == IngestReport(segments=1, repeated=5, rejected=1)
    assert [row["y"] for row in lake.rows("select y from grades order by y")] == [0, 1]
    (stored,) = lake.rows("select * from spans")
    assert span_from_row(stored) == span
    assert len(lake.rows("select distinct content_hash from logged_passages")) == 2
    ((_, line, reason),) = rejects(lake)
    assert (line, reason) == (6, "another span has the id 't1/s1'; the first stays")


@pytest.mark.parametrize("said", [(0, 1), (1, 0)])
def test_of_one_graders_opinions_the_last_that_came_counts(
    lake: Lake, workspace: Workspace, make_request: MakeRequest, said: tuple[int, int]
) -> None:
    spool(workspace, make_request(1), *(Grade("r1", "judge:x", y) for y in said))
    ingest(lake, workspace)
    assert lake.rows("select y from latest_grades") == [{"y": said[-1]}]
    assert lake.rows("select sum(correct) as n from daily") == [{"n": said[-1]}]


def test_a_record_comes_back_as_it_was(
    lake: Lake,
    workspace: Workspace,
    make_request: MakeRequest,
    make_feedback: Callable[..., Feedback],
) -> None:
    first = make_request(1, dense=(), error="ab — ünïcode 漢字\nline", user_key="0f" * 16)
    second = make_request(2, lexical=None, reranked=(Hit("p9", -1e-300),), latency_ms={})
    spool(workspace, first, make_feedback(1, passage_id="p2"), second)
    assert ingest(lake, workspace) == IngestReport(segments=1, accepted=3, rejected=0)
    assert load_requests(lake) == [first, second]
    assert lake.rows("select kind, value, passage_id from feedback") == [
        {"kind": "thumbs", "value": -1.0, "passage_id": "p2"}
    ]
    (ledger,) = lake.rows("select lines, accepted, rejected from segments")
    assert ledger == {"lines": 3, "accepted": 3, "rejected": 0}
    assert list(workspace.spool.glob("*.jsonl")) == []
    assert len(list((workspace.spool / "archive").glob("*.jsonl"))) == 1


def test_nothing_to_ingest(lake: Lake, workspace: Workspace) -> None:
    assert ingest(lake, workspace) == IngestReport()


def test_a_segment_counts_once_even_if_it_comes_back(
    lake: Lake, workspace: Workspace, make_request: MakeRequest
) -> None:
    spool(workspace, make_request(1))
    ingest(lake, workspace)
    (archived,) = (workspace.spool / "archive").iterdir()
    archived.rename(workspace.spool / archived.name)
    assert ingest(lake, workspace) == IngestReport()
    assert len(load_requests(lake)) == 1
    assert list(workspace.spool.glob("*.jsonl")) == []


def test_a_name_used_again_with_other_content_is_loaded_too(
    lake: Lake, workspace: Workspace, make_request: MakeRequest
) -> None:
    segment(workspace, "foreign-1.jsonl", record_to_json(make_request(1)))
    ingest(lake, workspace)
    segment(workspace, "foreign-1.jsonl", record_to_json(make_request(2)))
    ingest(lake, workspace)
    assert ingest(lake, workspace).segments <= 1
    assert [request.request_id for request in load_requests(lake)] == ["r1", "r2"]
    assert list(workspace.spool.glob("*.jsonl")) == []


def test_of_two_with_one_id_the_first_stays(
    lake: Lake,
    workspace: Workspace,
    make_request: MakeRequest,
    make_feedback: Callable[..., Feedback],
) -> None:
    first = make_request(1)
    other = replace(first, answer="Nine.")
    spool(workspace, first, first, other, make_feedback(1), make_feedback(1, value=1.0))
    assert ingest(lake, workspace) == IngestReport(1, accepted=2, rejected=2, repeated=1)
    spool(workspace, first, other, make_feedback(1), make_feedback(1, value=1.0))
    assert ingest(lake, workspace) == IngestReport(1, accepted=0, rejected=2, repeated=2)
    assert load_requests(lake) == [first]
    assert [reason for _, _, reason in rejects(lake)] == [
        "another request has the id 'r1'; the first stays",
        "another feedback has the id 'f1'; the first stays",
    ] * 2
    assert lake.rows("select value from feedback") == [{"value": -1.0}]


def test_an_equal_time_in_another_zone_is_the_same_request(
    lake: Lake, workspace: Workspace, make_request: MakeRequest
) -> None:
    line = record_to_json(make_request(1))
    moved = {**line, "asked_at": "2026-01-05T14:01:00+02:00"}
    segment(workspace, "a-1-1.jsonl", line, moved)
    assert ingest(lake, workspace) == IngestReport(1, accepted=1, rejected=0, repeated=1)


def test_bad_lines_are_rejected_and_the_rest_is_loaded(
    lake: Lake, workspace: Workspace, make_request: MakeRequest
) -> None:
    good = record_to_json(make_request(1))
    segment(
        workspace,
        "a-1-1.jsonl",
        good,
        "{not json",
        "",
        good | {"request_id": "r2"},
        '{"kind": "r',
        end="",
    )
    assert ingest(lake, workspace) == IngestReport(1, accepted=2, rejected=2)
    assert [(name, line) for name, line, _ in rejects(lake)] == [
        ("a-1-1.jsonl", 2),
        ("a-1-1.jsonl", 5),
    ]
    assert rejects(lake)[0][2].startswith("not JSON")
    assert rejects(lake)[1][2].startswith("torn")
    assert lake.rows("select body from rejects order by line")[0]["body"] == "{not json"


def test_a_segment_of_rubbish_harms_nothing(
    lake: Lake, workspace: Workspace, make_request: MakeRequest
) -> None:
    workspace.spool.mkdir(parents=True)
    (workspace.spool / "rubbish.jsonl").write_bytes(bytes(range(256)) * 50)
    (workspace.spool / "empty.jsonl").touch()
    spool(workspace, make_request(1))
    report = ingest(lake, workspace)
    assert (report.segments, report.accepted) == (3, 1)
    assert report.rejected == len(rejects(lake)) > 0


def test_rel_follows_the_judgments(
    lake: Lake, workspace: Workspace, make_request: MakeRequest
) -> None:
    add_documents(lake, [Passage(name, name, "text") for name in ("p1", "p2")])
    add_questions(lake, [Question("q1", "How long?")])
    add_judgments(lake, [Judgment("q1", "p2", 2, "test")])
    hits = (Hit("p1", 3.0), Hit("p2", 2.0), Hit("p2", 1.0))
    spool(
        workspace,
        make_request(1, fused=hits),
        make_request(2, fused=hits, reranked=hits[::-1]),
        make_request(3, question_id="unjudged"),
        make_request(4, question_id=None),
        make_request(5, fused=()),
    )
    ingest(lake, workspace)
    rel = {
        row["request_id"]: row["rel"] for row in lake.rows("select request_id, rel from requests")
    }
    assert rel == {"r1": [0, 2, 0], "r2": [2, 0, 0], "r3": None, "r4": None, "r5": []}


def test_many_small_segments_share_few_commits(
    lake: Lake, workspace: Workspace, make_request: MakeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(30):
        segment(workspace, f"w-1-{number}.jsonl", record_to_json(make_request(number)))
    size = (workspace.spool / "w-1-0.jsonl").stat().st_size
    monkeypatch.setattr(ingest_module, "BATCH_BYTES", 10 * size)
    before = lake.snapshot()
    assert ingest(lake, workspace) == IngestReport(30, accepted=30, rejected=0)
    assert 2 <= lake.snapshot() - before <= 4
