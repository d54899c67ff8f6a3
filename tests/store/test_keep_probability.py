"""The chance that a request was logged, from the line to the lake and back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from ragdiag.records import Request
from ragdiag.settings import Workspace
from ragdiag.store import migrations
from ragdiag.store.ingest import ingest
from ragdiag.store.lake import Lake, close_lakes, open_lake
from ragdiag.store.lines import BadLine, parse_line
from ragdiag.store.results import load_requests
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


def encoded(request: Request) -> bytes:
    return json.dumps(record_to_json(request)).encode()
