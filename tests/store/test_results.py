from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ragdiag.errors import InputError, StoreError, UnknownName
from ragdiag.records import (
    Diagnosis,
    Grade,
    Hit,
    IndexBuild,
    Reject,
    Replay,
    Request,
    SentenceSupport,
)
from ragdiag.settings import Workspace
from ragdiag.store.findings import load_grades
from ragdiag.store.ingest import ingest
from ragdiag.store.kinds import record_to_json
from ragdiag.store.lake import Lake
from ragdiag.store.results import (
    find_build,
    find_version,
    latest_build,
    list_versions,
    load_requests,
    plain_json,
    save_build,
    save_findings,
    save_rejects,
    save_version,
)
from ragdiag.store.rows import requests_from_table
from ragdiag.store.spool import SpoolWriter
from ragdiag.version import ExtractiveSpec, LexicalSpec, Spec, Version

LEXICAL = Version("lexical", Spec(lexical=LexicalSpec(), generator=ExtractiveSpec()))
STEEP = Version("steep", Spec(lexical=LexicalSpec(k1=2.0), generator=ExtractiveSpec()))
BUILD = IndexBuild(
    "b1", "k1", "c1", 3, None, "flat", 1024, 0.5, datetime(2026, 1, 5, tzinfo=UTC), {"a": [1]}
)


def test_versions_are_found_by_name_and_by_id(lake: Lake) -> None:
    save_version(lake, LEXICAL)
    save_version(lake, STEEP)
    save_version(lake, LEXICAL)
    assert list_versions(lake) == [LEXICAL, STEEP]
    assert find_version(lake, "steep") == STEEP
    assert find_version(lake, LEXICAL.version_id) == LEXICAL


def test_an_unknown_version_lists_those_there_are(lake: Lake) -> None:
    with pytest.raises(UnknownName, match="no version 'x'; add one"):
        find_version(lake, "x")
    save_version(lake, LEXICAL)
    save_version(lake, STEEP)
    with pytest.raises(UnknownName, match="name one of: lexical, steep"):
        find_version(lake, "x")


def test_a_version_never_changes(lake: Lake) -> None:
    save_version(lake, LEXICAL)
    with pytest.raises(InputError, match="already has another spec"):
        save_version(lake, replace(STEEP, name="lexical"))
    with pytest.raises(InputError, match="already is the version lexical"):
        save_version(lake, replace(LEXICAL, name="other"))
    assert list_versions(lake) == [LEXICAL]


def test_a_spec_from_another_ragdiag_is_a_store_error(lake: Lake) -> None:
    lake.write(
        lambda c: c.execute(
            """insert into versions(version_id, name, spec) values ('v', 'odd', '{"warp": 9}')"""
        )
    )
    with pytest.raises(StoreError, match="the spec of version odd cannot be read"):
        find_version(lake, "odd")


def test_builds_come_back_and_the_latest_wins(lake: Lake) -> None:
    later = replace(BUILD, build_id="b2", built_at=BUILD.built_at + timedelta(days=1))
    save_build(lake, later)
    save_build(lake, BUILD)
    save_build(lake, BUILD)
    assert find_build(lake, "b1") == BUILD
    assert latest_build(lake, "k1") == later
    assert latest_build(lake, "k2") is None
    assert lake.rows("select count(*) as n from index_builds") == [{"n": 2}]
    with pytest.raises(UnknownName, match="no index build 'b3'"):
        find_build(lake, "b3")


def test_the_latest_grade_of_a_grader_counts(lake: Lake) -> None:
    save_findings(
        lake, grades=[Grade("r1", "f1", 0, 0.2), Grade("r1", "judge", None, status="error")]
    )
    save_findings(lake, grades=[Grade("r1", "f1", 1, 0.9)])
    save_findings(lake, grades=[])
    rows = lake.rows("select grader, y, score, status from latest_grades order by grader")
    assert rows == [
        {"grader": "f1", "y": 1, "score": 0.9, "status": "ok"},
        {"grader": "judge", "y": None, "score": None, "status": "error"},
    ]


def test_what_a_grader_says_of_each_sentence_is_kept(lake: Lake) -> None:
    told = (SentenceSupport(True, 0.75, "p1"), SentenceSupport(False, None, None))
    grades = [Grade("r1", "g", 0, 0.5, sentences=told), Grade("r2", "g", 1)]
    save_findings(lake, grades=grades)
    assert load_grades(lake, "g", ["r1", "r2"]) == {"r1": grades[0], "r2": grades[1]}
    assert "sentences" not in record_to_json(grades[0])


def test_replays_verdicts_and_rejects_are_kept(lake: Lake) -> None:
    save_findings(lake, replays=[Replay("r1", "g+", 0, "yes", 1, 0.5, ("p1", "p2"))])
    evidence = {"p": {"g": 1.0, "r": math.nan}, "ranks": (1, None)}
    save_findings(lake, diagnoses=[Diagnosis("r1", "packing", "packing", "g+", "A", evidence)])
    save_rejects(lake, [Reject("corpus.jsonl", 7, "not JSON", "{")])
    save_rejects(lake, [])
    assert lake.rows("select arm, passage_ids from replays") == [
        {"arm": "g+", "passage_ids": ["p1", "p2"]}
    ]
    assert lake.rows("select verdict, evidence from latest_verdicts") == [
        {"verdict": "packing", "evidence": '{"p": {"g": 1.0, "r": null}, "ranks": [1, null]}'}
    ]
    assert lake.rows("select source, line, reason, body from rejects") == [
        {"source": "corpus.jsonl", "line": 7, "reason": "not JSON", "body": "{"}
    ]


def test_json_has_no_nan() -> None:
    assert plain_json({1: [math.inf, 0.5], "b": (math.nan,)}) == {"1": [None, 0.5], "b": [None]}


def test_thousands_of_results_are_saved_in_one_snapshot(lake: Lake) -> None:
    grades = [Grade(f"r{n}", "f1", n % 2, n / 5000) for n in range(5000)]
    replays = [Replay(f"r{n}", "g", 0, "answer", 1, 0.5, ("p1",)) for n in range(5000)]
    diagnoses = [Diagnosis(f"r{n}", "packing", "packing", "g", "A", {"n": n}) for n in range(5000)]
    before, start = lake.snapshot(), time.perf_counter()
    save_findings(lake, grades=grades, replays=replays, diagnoses=diagnoses)
    print(f"saved 3 × 5,000 results in {time.perf_counter() - start:.2f} s")
    assert lake.snapshot() == before + 1
    for table in ("grades", "replays", "verdicts"):
        assert lake.rows(f"select count(*) as n from {table}") == [{"n": 5000}]


@pytest.fixture
def logged(
    lake: Lake, workspace: Workspace, make_request: Callable[..., Request]
) -> dict[str, Request]:
    """Six requests of two versions, one a day."""
    monday = datetime(2026, 1, 5, tzinfo=UTC)
    requests = [
        make_request(
            n,
            asked_at=monday + timedelta(days=n),
            version_id="v2" if n % 2 else "v1",
            traffic="canary" if n == 5 else "production",
            question_id=f"q{n % 3}",
        )
        for n in range(6)
    ]
    with SpoolWriter(workspace) as spool:
        for request in requests[::-1]:
            spool.write(request)
    ingest(lake, workspace)
    return {request.request_id: request for request in requests}


def test_filters_join(lake: Lake, logged: dict[str, Request]) -> None:
    thursday = datetime(2026, 1, 8, tzinfo=UTC)
    cases: list[tuple[dict[str, Any], str]] = [
        ({}, "r0 r1 r2 r3 r4 r5"),
        ({"version_id": "v2"}, "r1 r3 r5"),
        ({"traffic": "canary"}, "r5"),
        ({"since": thursday}, "r3 r4 r5"),
        ({"until": thursday}, "r0 r1 r2"),
        ({"request_ids": ["r4", "r1", "r9"]}, "r1 r4"),
        ({"request_ids": []}, ""),
        ({"question_ids": ["q0"]}, "r0 r3"),
        ({"question_ids": ["q0"], "version_id": "v1"}, "r0"),
    ]
    for filters, expected in cases:
        assert load_requests(lake, **filters) == [logged[name] for name in expected.split()], (
            filters
        )


def test_lists_of_hits_survive_many_chunks(
    lake: Lake, workspace: Workspace, make_request: Callable[..., Request]
) -> None:
    """Empty, absent and long lists, over more rows than one Arrow batch holds."""
    hits = tuple(Hit(f"p{n}", n / 7) for n in range(100))
    requests = [
        make_request(
            n,
            lexical=(None, (), hits[: n % 100])[n % 3],
            dense=(hits[:3], None)[n % 2],
            fused=hits[: n % 5],
        )
        for n in range(3_000)
    ]
    with SpoolWriter(workspace) as spool:
        for request in requests:
            spool.write(request)
    ingest(lake, workspace)
    start = time.perf_counter()
    assert load_requests(lake) == requests
    print(f"loaded 3,000 requests in {time.perf_counter() - start:.2f} s")
    table = lake.table("select * from requests order by asked_at")
    assert requests_from_table(table.slice(1001, 500)) == requests[1001:1501]
