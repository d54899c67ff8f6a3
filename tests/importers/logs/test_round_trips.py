"""Random requests come back from every form in which a log may hold them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ragdiag.importers.logs.columns import Columns
from ragdiag.importers.logs.mapping import Mapping
from ragdiag.importers.logs.tables import read_table
from ragdiag.records import LATENCY_STAGES, ContextHit, Hit, Request, Status, Traffic
from ragdiag.store.kinds import record_to_json
from ragdiag.store.lake import Lake
from tests.importers.logs.conftest import Import, contents, write_table

QUICK = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
shown = texts.filter(lambda text: bool(text.strip()))
names = st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=20).filter(
    lambda name: not name.startswith(("{", "["))
)
scores = st.floats(allow_nan=False, allow_infinity=False, width=32).map(float)
hits = st.lists(st.builds(Hit, names, scores), max_size=3).map(tuple)
counts = st.integers(0, 2**31 - 1)
requests = st.builds(
    Request,
    request_id=names,
    asked_at=st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC)),
    version_id=names,
    traffic=st.sampled_from(get_args(Traffic)),
    question=shown,
    build_id=st.just("") | names,
    question_id=st.none() | names,
    topic=st.just("") | shown,
    user_key=st.none() | st.text("0123456789abcdef", min_size=32, max_size=32),
    answer=texts,
    citations=st.lists(names, max_size=3).map(tuple),
    status=st.sampled_from(get_args(Status)),
    error=st.none() | shown,
    degraded_reason=st.none() | shown,
    cache_hit=st.booleans(),
    prompt_tokens=st.none() | counts,
    completion_tokens=st.none() | counts,
    cost_usd=st.none() | st.floats(0, 1e6),
    latency_ms=st.dictionaries(st.sampled_from(LATENCY_STAGES), st.floats(0, 1e6)),
    lexical=st.none() | hits,
    dense=st.none() | hits,
    fused=hits,
    reranked=st.none() | hits,
    context=st.lists(st.builds(ContextHit, names, scores, counts), max_size=3).map(tuple),
    searched_depth=counts,
    logged_depth=st.none() | counts,
    keep_probability=st.floats(0, 1, exclude_min=True),
)
OURS = {
    "request_id": "id",
    "asked_at": "time",
    "version_id": "version",
    "build_id": "build",
    "latency_ms": "latency",
    "cost_usd": "cost",
    "context": "contexts",
}


def friendly(request: Request) -> dict[str, Any]:
    """The request as a friendly row; what is None is left out."""
    plain = dataclasses.asdict(request) | {"asked_at": request.asked_at.isoformat()}
    body = json.loads(json.dumps(plain))  # its tuples as lists
    row = {
        OURS.get(field.name, field.name): body[field.name] for field in dataclasses.fields(Request)
    }
    return {name: value for name, value in row.items() if value is not None and value != {}}


def read_back(path: Path) -> list[Any]:
    """The first record of every row; a fault where a row is none."""
    mapping = Mapping()
    table = read_table(path, None, "rows", mapping, Columns(mapping), lambda user: f"not {user}")
    return [reading.fault or reading.records[0] for reading, _ in table.readings]


@QUICK
@given(st.lists(requests, min_size=1, max_size=4))
@pytest.mark.parametrize("name", ["log.jsonl", "log.csv", "log.parquet"])
def test_friendly_rows(tmp_path: Path, name: str, given: list[Request]) -> None:
    assert read_back(write_table(tmp_path / name, [friendly(one) for one in given])) == given


@QUICK
@given(st.lists(requests, min_size=1, max_size=4))
def test_lines_of_our_spool(tmp_path: Path, given: list[Request]) -> None:
    path = write_table(tmp_path / "own.jsonl", [record_to_json(one) for one in given])
    assert read_back(path) == given


@QUICK
@given(requests, st.permutations(["noise", "question", "answer", "contexts", "time", "id"]))
def test_any_names_and_any_order_by_a_mapping(
    tmp_path: Path, given: Request, order: list[str]
) -> None:
    row = friendly(given)
    theirs = {name: f"c{number}" for number, name in enumerate([*order, *row])}
    renamed = {theirs[name]: row[name] for name in theirs if name in row}
    path = write_table(tmp_path / "log.jsonl", [renamed])
    mapping = Mapping(fields={name: theirs[name] for name in row})
    table = read_table(path, None, "rows", mapping, Columns(mapping), str)
    assert [reading.records[0] for reading, _ in table.readings] == [given]


@settings(QUICK, max_examples=4)
@given(st.lists(requests, min_size=1, max_size=8, unique_by=lambda request: request.request_id))
def test_what_is_stored_is_what_was_logged_and_once(
    load: Import,
    stored: Callable[[], dict[str, Request]],
    lake: Lake,
    tmp_path: Path,
    given: list[Request],
) -> None:
    known = stored()
    path = write_table(tmp_path / "log.jsonl", [friendly(one) for one in given])
    report = load(path)
    fresh = [one for one in given if one.request_id not in known]
    assert report.kinds["request"].new == len(fresh)
    assert stored() == known | {one.request_id: one for one in fresh}
    before = contents(lake)
    load(path)
    assert contents(lake) == before


def test_json_in_a_cell_is_json_only_where_a_list_is_wanted(tmp_path: Path) -> None:
    row = {"id": "r", "time": "0", "question": '["q?"]', "answer": "{}", "contexts": ['{"a": 1}']}
    (request,) = read_back(write_table(tmp_path / "log.csv", [row]))
    assert (request.question, request.answer) == ('["q?"]', "{}")
    assert request.context[0].chars == len(json.dumps({"a": 1}))
