"""The chance that a request was logged, from the line to the lake and back, and what it weighs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence

import pytest

from ragdiag.records import Feedback, Request
from ragdiag.settings import Workspace
from ragdiag.store import migrations
from ragdiag.store.ingest import ingest
from ragdiag.store.lake import Lake, close_lakes, open_lake
from ragdiag.store.latency_trends import weekly_latency
from ragdiag.store.lines import BadLine, parse_line
from ragdiag.store.queries import Filters, inventory
from ragdiag.store.results import load_requests
from ragdiag.store.rollups import fill_rollups
from ragdiag.store.spool import SpoolWriter, record_to_json

MakeRequest = Callable[..., Request]


@pytest.fixture
def before(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """A workspace of schema 1 with one request."""
    with monkeypatch.context() as patched:
        patched.setattr(migrations, "MIGRATIONS", migrations.MIGRATIONS[:1])
        lake = open_lake(workspace, create=True)
        lake.rows("insert into requests by name (select 'old' as request_id, now() as asked_at)")
        close_lakes()
    yield workspace
    close_lakes()


def test_what_was_logged_before_was_all_that_was_asked(before: Workspace) -> None:
    lake = open_lake(before)
    (row,) = lake.rows("select request_id, keep_probability from requests")
    assert row == {"request_id": "old", "keep_probability": 1.0}


def test_it_is_stored_and_read_back(
    lake: Lake, workspace: Workspace, make_request: MakeRequest
) -> None:
    with SpoolWriter(workspace) as spool:
        spool.write(make_request(1, keep_probability=0.05))
        spool.write(make_request(2))
    assert ingest(lake, workspace).accepted == 2
    found = {request.request_id: request for request in load_requests(lake)}
    assert found["r1"] == make_request(1, keep_probability=0.05)
    assert found["r2"].keep_probability == 1.0


@pytest.mark.parametrize("value", [0.0, -0.5, 1.01, "0.5", None, True])
def test_only_a_chance_is_one(make_request: MakeRequest, value: object) -> None:
    line = encoded(make_request(keep_probability=value))
    with pytest.raises(BadLine, match="keep_probability"):
        parse_line(line)


def test_a_line_without_it_was_not_sampled(make_request: MakeRequest) -> None:
    line = record_to_json(make_request())
    del line["keep_probability"]
    assert parse_line(json.dumps(line).encode()) == make_request()


@pytest.mark.parametrize("first", ["request", "feedback"])
def test_feedback_makes_a_drawn_request_certain(
    lake: Lake,
    workspace: Workspace,
    make_request: MakeRequest,
    make_feedback: Callable[..., Feedback],
    first: str,
) -> None:
    drawn = [make_request(n, keep_probability=0.25) for n in range(3)]
    said = [make_feedback(0, certain=True), make_feedback(1)]
    order: list[Sequence[Request | Feedback]] = [drawn, said]
    for records in order if first == "request" else order[::-1]:
        with SpoolWriter(workspace) as spool:
            for record in records:
                spool.write(record)
        ingest(lake, workspace)
    assert weights(lake) == {1.0: 1, 4.0: 2}
    lake.write(fill_rollups)
    assert weights(lake) == {1.0: 1, 4.0: 2}
    assert [one.keep_probability for one in load_requests(lake)] == [0.25] * 3
    held = inventory(lake)
    assert (held["requests"], held["sampled"], held["meant"]) == (3, 2, 9)


def test_it_is_said_once_and_older_lines_do_not_say_it(
    lake: Lake, workspace: Workspace, make_feedback: Callable[..., Feedback]
) -> None:
    said = [make_feedback(0, certain=True), make_feedback(1)]
    for _ in range(2):
        with SpoolWriter(workspace) as spool:
            for record in said:
                spool.write(record)
        report = ingest(lake, workspace)
    assert (report.accepted, report.repeated, report.rejected) == (0, 2, 0)
    line = record_to_json(said[1])
    assert line.pop("certain") is False
    assert parse_line(json.dumps(line).encode()) == said[1]


def test_a_lake_that_was_sampled_before_weighs_its_requests(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        earlier = migrations.MIGRATIONS.index(migrations.weights)
        patched.setattr(migrations, "MIGRATIONS", migrations.MIGRATIONS[:earlier])
        lake = open_lake(workspace, create=True)
        lake.write(
            lambda cursor: cursor.execute("""
                insert into requests by name (
                    select 'r' || n as request_id, timestamp '2026-01-05' as asked_at,
                           'v' as version_id, 'production' as traffic, '' as topic,
                           10.0 as total_ms,
                           case n when 0 then 1.0 else 0.25 end as keep_probability
                    from range(3) t(n))""")
        )
        close_lakes()
    lake = open_lake(workspace)
    assert weights(lake) == {1.0: 1, 4.0: 2}
    (row,) = weekly_latency(lake, Filters())
    assert sorted(row["weights"]) == [1, 4, 4]
    close_lakes()


def weights(lake: Lake) -> dict[float, int]:
    """How many requests have which weight, by the rollup of counts; as many by that of latencies,
    since each toy has a total."""
    by_table = [
        {row["weight"]: row["n"] for row in lake.rows(sql)}
        for sql in (
            "select weight, sum(n) as n from daily group by 1 having sum(n) > 0",
            "select weight, sum(n) as n from daily_latency where stage = 'total' "
            "group by 1 having sum(n) > 0",
        )
    ]
    assert by_table[0] == by_table[1]
    return by_table[0]


def encoded(request: Request) -> bytes:
    return json.dumps(record_to_json(request)).encode()
