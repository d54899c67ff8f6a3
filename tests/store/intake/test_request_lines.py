"""The fast reader against the plain one, over good lines and broken ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ragdiag.records import (
    LARGEST_COST,
    LATENCY_STAGES,
    ContextHit,
    Hit,
    Request,
    Status,
    Traffic,
)
from ragdiag.store.intake.blocks import Block
from ragdiag.store.intake.parsing import Parsed, parse_block, reject_line
from ragdiag.store.intake.request_lines import is_plain_request, read_request_lines
from ragdiag.store.kinds import record_to_json
from ragdiag.store.lines import BadLine, parse_line
from ragdiag.store.rows import requests_from_table

CHARACTERS = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
TEXT = st.text(CHARACTERS, max_size=12) | st.sampled_from(
    ["漢字", "\x1c", "\u2003", "'; --", '"}\\']
)
NAME = TEXT.filter(str.strip)
SCORE = st.floats(allow_nan=False, allow_infinity=False)
MILLISECONDS = st.floats(0, allow_infinity=False)
WHOLE = st.integers(0, 2**31 - 1)
HITS = st.lists(st.builds(Hit, st.text(CHARACTERS, min_size=1, max_size=4), SCORE), max_size=3).map(
    tuple
)
CONTEXT = st.lists(
    st.builds(ContextHit, st.text(CHARACTERS, min_size=1, max_size=4), SCORE, WHOLE), max_size=3
).map(tuple)
TIMES = st.datetimes(
    min_value=datetime(2, 1, 1),
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))]),
)
REQUESTS = st.builds(
    Request,
    request_id=NAME,
    asked_at=TIMES,
    version_id=NAME,
    traffic=st.sampled_from(get_args(Traffic)),
    question=NAME,
    build_id=TEXT,
    question_id=st.none() | TEXT,
    topic=TEXT,
    user_key=st.none() | TEXT,
    answer=TEXT,
    citations=st.lists(TEXT, max_size=2).map(tuple),
    status=st.sampled_from(get_args(Status)),
    error=st.none() | TEXT,
    degraded_reason=st.none() | TEXT,
    cache_hit=st.booleans(),
    prompt_tokens=st.none() | WHOLE,
    completion_tokens=st.none() | WHOLE,
    cost_usd=st.none() | st.floats(0, LARGEST_COST),
    latency_ms=st.dictionaries(st.sampled_from(LATENCY_STAGES), MILLISECONDS, max_size=3),
    lexical=st.none() | HITS,
    dense=st.none() | HITS,
    fused=HITS,
    reranked=st.none() | HITS,
    context=CONTEXT,
    searched_depth=WHOLE,
    logged_depth=st.none() | WHOLE,
    keep_probability=st.floats(0, 1, exclude_min=True),
    tenant=st.none() | TEXT,
    roles=st.none() | st.lists(TEXT, max_size=2).map(tuple),
    only_topics=st.none() | st.lists(TEXT, max_size=2).map(tuple),
    only_since=st.none() | TIMES,
    only_until=st.none() | TIMES,
)
HOSTILE: list[Any] = [
    *("a\0b", ["a\0b"], {"passage_id": ["\0"], "score": [1.0]}),
    *(None, True, False, 0, -1, 1.5, 2**31, 2**70, -0.0, 1e308, "", " ", "\x1c", "\u3000", "x"),
    *("2026-01-05", "2026-02-30T00:00:00Z", "2026-01-05T12:00:00", "2026-01-05T23:59:60Z"),
    *([], {}, [None], ["p", None], [[]], {"total": None}, {"total": -1.0}, {"lunch": 1.0}),
    *({"total": "1"}, {"total": True}, {"passage_id": ["p"], "score": [1]}),
    *({"passage_id": ["p"], "score": []}, {"passage_id": [""], "score": [1.0]}),
    *({"passage_id": None, "score": None}, {"passage_id": ["p"], "score": [1.0], "x": [1]}),
    *({"passage_id": ["p"], "score": [1.0], "chars": [-1]}, {"passage_id": [1], "score": [1.0]}),
    *({"passage_id": [], "score": [], "chars": []}, [{"passage_id": "p", "score": 1.0}]),
]
RAW = [b"NaN", b"1e999", b"-Infinity", b'"\\ud800"', b'"\xff"', b'"\xed\xa0\x80"', b"1.0", b"01"]


def encoded(request: Request) -> bytes:
    return json.dumps(record_to_json(request)).encode()


@st.composite
def lines(draw: st.DrawFn) -> bytes:
    """A good line, or one that was hurt somewhere."""
    request = draw(REQUESTS)
    body = record_to_json(request)
    field = draw(st.sampled_from([one.name for one in fields(Request)]))
    match draw(st.sampled_from(["good"] * 6 + ["value", "raw", "cut", "without", "twice", "more"])):
        case "value":
            return json.dumps({**body, field: draw(st.sampled_from(HOSTILE))}).encode()
        case "raw":
            marked = json.dumps({**body, field: "<here>"}).encode()
            return marked.replace(b'"<here>"', draw(st.sampled_from(RAW)))
        case "cut":
            line = encoded(request)
            at = draw(st.integers(0, len(line)))
            junk = draw(st.sampled_from([b"", b"}", b"{", b"\0", b"\r", b"{}", b'"', b" "]))
            return (line[:at] + junk + line[at + draw(st.integers(0, 3)) :]).replace(b"\n", b"")
        case "without":
            body.pop(field, None)  # an absent filter has no field
        case "twice":
            return encoded(request) + draw(st.sampled_from([b" ", b""])) + encoded(request)
        case "more":
            again = json.dumps({field: draw(st.sampled_from(HOSTILE)), "colour": 1}).encode()
            return encoded(request)[:-1] + b", " + again[1:]
    return json.dumps(body, ensure_ascii=draw(st.booleans())).encode(errors="surrogatepass")


def plain(block: Block) -> tuple[list[tuple[int, Any]], list[Any]]:
    """The definition: one line after the other."""
    good, bad = [], []
    for number, line in enumerate(block.lines, start=block.first):
        if line.strip():
            try:
                good.append((number, parse_line(line)))
            except BadLine as fault:
                bad.append(reject_line(block.segment, number, str(fault), line))
    return good, bad


def read(parsed: Parsed) -> tuple[list[tuple[int, Any]], list[Any]]:
    numbers = parsed.requests["line"].to_pylist()
    good = [*zip(numbers, requests_from_table(parsed.requests), strict=True), *parsed.records]
    return sorted(good, key=lambda one: one[0]), sorted(parsed.rejects, key=lambda one: one.line)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(lines(), min_size=1, max_size=4))
def test_every_line_is_read_as_the_plain_reader_reads_it(given_lines: list[bytes]) -> None:
    block = Block("s", 1, given_lines)
    assert read(parse_block(block)) == plain(block)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(REQUESTS, min_size=1, max_size=4))
def test_good_lines_take_the_fast_way(requests: list[Request]) -> None:
    modern = [
        request
        for request in requests
        if all(
            moment is None or moment.astimezone(UTC).year in range(1000, 3000)
            for moment in (request.asked_at, request.only_since, request.only_until)
        )
    ]
    if modern:
        table = read_request_lines([encoded(request) for request in modern])
        assert table is not None
        assert requests_from_table(table) == modern


@pytest.mark.parametrize(
    "trick",
    [
        lambda line: [line + line, line, b""],
        lambda line: [line + b"\0}", line + line],
        lambda line: [line[:-1] + b', "x": {}', b"}" + line],
    ],
    ids=["two in one line", "a zero byte", "an object over two lines"],
)
def test_lines_that_hold_more_or_less_than_one_object(
    trick: Callable[[bytes], list[bytes]], make_request: Callable[..., Request]
) -> None:
    block = Block("s", 1, [encoded(make_request()), *trick(encoded(make_request(2)))])
    assert read(parse_block(block)) == plain(block)


def test_a_bad_line_slows_down_only_its_neighbours(
    make_request: Callable[..., Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    from ragdiag.store.intake import parsing

    asked = []

    def counted(line: bytes) -> Any:
        asked.append(line)
        return parse_line(line)

    monkeypatch.setattr(parsing, "parse_line", counted)
    good = [encoded(make_request(number)) for number in range(500)]
    good[321] = good[321].replace(b'"traffic": "production"', b'"traffic": "organic"')
    assert is_plain_request(good[321])
    found = parse_block(Block("s", 1, good))
    assert found.requests.num_rows == 499
    assert [reject.line for reject in found.rejects] == [322]
    assert len(asked) <= parsing.FEW
    assert found.requests["line"].to_pylist() == [n for n in range(1, 501) if n != 322]
