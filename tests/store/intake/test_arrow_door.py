"""Requests by the table: the rules and the outcome are those of the spool."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from ragdiag.errors import InputError
from ragdiag.records import Hit, Judgment, Passage, Question, Request
from ragdiag.settings import Workspace
from ragdiag.store.corpus import add_documents, add_judgments, add_questions
from ragdiag.store.ingest import IngestReport, ingest
from ragdiag.store.intake import arrow_door
from ragdiag.store.intake.arrow_door import COLUMNS, ingest_table
from ragdiag.store.lake import Lake
from ragdiag.store.results import load_requests
from ragdiag.store.rows import request_row
from ragdiag.store.spool import SpoolWriter

MakeRequest = Callable[..., Request]


def as_table(*requests: Request) -> pa.Table:
    return pa.Table.from_pylist([request_row(one, None, "") for one in requests], schema=COLUMNS)


def test_a_table_and_the_spool_lead_to_the_same_rows(
    lake: Lake, workspace: Workspace, make_request: MakeRequest
) -> None:
    add_documents(lake, [Passage(name, name, "text") for name in ("p1", "p2")])
    add_questions(lake, [Question("q1", "How long?")])
    add_judgments(lake, [Judgment("q1", "p2", 2, "test")])
    requests = [
        make_request(1, dense=(), reranked=(Hit("p1", 1.0), Hit("p2", 0.5))),
        make_request(2, question_id=None, logged_depth=10),
        make_request(3, latency_ms={}, fused=()),
    ]
    assert ingest_table(lake, as_table(*requests), "bulk") == IngestReport(1, accepted=3)
    assert load_requests(lake) == requests
    assert lake.rows("select rel from requests order by request_id") == [
        {"rel": [0, 2]},
        {"rel": None},
        {"rel": []},
    ]
    with SpoolWriter(workspace) as spool:
        for request in requests:
            spool.write(request)
    assert ingest(lake, workspace) == IngestReport(1, repeated=3)


def test_the_first_of_two_stays_and_transactions_are_bounded(
    lake: Lake, make_request: MakeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrow_door, "ROWS", 2)
    first = make_request(1)
    other = replace(first, answer="Nine.")
    table = as_table(first, first, other, make_request(2), make_request(2, topic="dogs"))
    assert ingest_table(lake, table, "bulk") == IngestReport(3, 2, 2, 1)
    assert ingest_table(lake, table, "bulk") == IngestReport(3, 0, 2, 3)
    assert load_requests(lake) == [first, make_request(2)]
    ledger = lake.rows("select sum(lines) as lines, sum(accepted) as accepted from segments")
    assert ledger == [{"lines": 10, "accepted": 2}]
    held = lake.rows("select distinct line, reason from rejects order by line")
    assert [row["line"] for row in held] == [3, 5]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"request_id": " "}, "request_id is empty"),
        ({"question": "\u2003"}, "question is empty"),
        ({"version_id": None}, "version_id is missing"),
        ({"asked_at": None}, "asked_at is missing"),
        ({"traffic": "organic"}, "traffic is none of production, "),
        ({"status": "fine"}, "status is none of ok, "),
        ({"prompt_tokens": -1}, "prompt_tokens is negative"),
        ({"total_ms": float("nan")}, "total_ms is negative or out of range"),
        ({"cost_usd": float("inf")}, "cost_usd is negative or out of range"),
        ({"cost_usd": 1e18}, "cost_usd is negative or out of range"),
        ({"citations": ["p", None]}, "citations: an id is missing"),
        ({"dense": [None]}, "dense: a hit is missing"),
        ({"fused": [{"passage_id": "", "score": 1.0}]}, "fused.passage_id is empty"),
        ({"fused": [{"passage_id": "p", "score": None}]}, "fused.score is empty or out"),
        ({"context": [{"passage_id": "p", "score": 1.0, "chars": -1}]}, "context.chars is"),
    ],
)
def test_each_bad_row_has_its_reason(
    lake: Lake, make_request: MakeRequest, changes: dict[str, Any], reason: str
) -> None:
    good = [request_row(make_request(number), None, "") for number in (1, 2, 3)]
    good[1] |= changes
    report = ingest_table(lake, pa.Table.from_pylist(good, schema=COLUMNS), "bulk")
    assert report == IngestReport(1, accepted=2, rejected=1)
    (reject,) = lake.rows("select source, line, reason from rejects")
    assert (reject["source"], reject["line"]) == ("bulk", 2)
    assert reject["reason"].startswith(reason)


def test_a_table_of_another_shape_is_refused(lake: Lake, make_request: MakeRequest) -> None:
    table = as_table(make_request(1))
    with pytest.raises(InputError, match="no column 'colour'"):
        ingest_table(lake, table.append_column("colour", pa.array(["red"])), "bulk")
    with pytest.raises(InputError, match="need the column 'question'"):
        ingest_table(lake, table.drop_columns(["question"]), "bulk")
    wrong = table.drop_columns(["asked_at"]).append_column("asked_at", pa.array(["soon"]))
    with pytest.raises(InputError, match="'asked_at' is no timestamp"):
        ingest_table(lake, wrong, "bulk")
    assert ingest_table(lake, table.slice(0, 0), "bulk") == IngestReport()
