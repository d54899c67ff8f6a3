"""Narrow rows of requests, against the records they come from."""

from __future__ import annotations

import math
from datetime import timedelta

import pytest

from ragdiag.records import DEFAULT_GRADER, Feedback, Grade
from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake
from ragdiag.store.outcomes import load_outcomes
from ragdiag.store.results import save_findings
from tests.answered import MONDAY, NEW, OLD, answer, fill_corpus, log

USERS = ("0" * 32, "1" * 32)


@pytest.fixture
def filled(lake: Lake, workspace: Workspace) -> Lake:
    fill_corpus(workspace)
    log(
        lake,
        workspace,
        [
            *(answer(n, OLD, traffic="production", user_key=USERS[n % 2]) for n in range(5)),
            answer(5, OLD, traffic="production", cost_usd=0.5),
            answer(6, OLD, traffic="production", cache_hit=True, question_id=None, cost_usd=0.0),
            answer(7, OLD, traffic="evaluation"),
            answer(8, NEW, traffic="production", keep_probability=0.5, status="error"),
            *(
                Feedback(f"f{n}", "old-00001", MONDAY + timedelta(hours=n), "thumbs", value)
                for n, value in enumerate((-1.0, 1.0))
            ),
            Feedback("click", "old-00001", MONDAY, "click", 1.0),
        ],
    )
    return lake


def test_a_row_tells_what_became_of_a_request(filled: Lake) -> None:
    for y in (1, 0):
        save_findings(filled, grades=[Grade("old-00002", DEFAULT_GRADER, y, 0.25)])
    first = [Grade(f"old-0000{n}", "contains_or_f1", 1, 0.75) for n in (2, 4)]
    save_findings(filled, grades=[Grade("old-00003", "judge:x", 0), *first])
    found = load_outcomes(filled, OLD.version_id, ["production"])
    assert [one.request_id for one in found] == [f"old-{n:05}" for n in range(7)]
    assert [one.asked_at for one in found] == [MONDAY + timedelta(seconds=n) for n in range(7)]
    assert [one.owner for one in found[:3]] == [USERS[0], USERS[1], USERS[0]]
    assert found[6].owner == "old-00006"
    assert (found[2].y, found[2].score, found[3].y) == (0, 0.25, None)
    assert (found[4].y, found[4].score) == (1, 0.75)
    assert (found[1].thumbs, found[2].thumbs) == (1, None)
    assert (found[0].question, found[0].question_id, found[0].rel) == ("q0", "q0", (1, 0, 0, 0))
    assert (found[6].rel, found[6].question_id) == (None, None)
    assert found[6].question not in ("", found[0].question)
    assert found[0].total_ms == 20.0
    assert (found[5].cost_usd, math.isnan(found[0].cost_usd)) == (0.5, True)
    assert found[0].keep_probability == 1.0
    assert [one.cache_hit for one in found] == [False] * 6 + [True]
    assert math.isnan(found[6].total_ms)
    assert math.isnan(found[6].cost_usd)


def test_a_wait_in_line_is_no_time_of_processing(lake: Lake, workspace: Workspace) -> None:
    stages = {"lexical": 3.0, "packing": 1.0, "generation": 20.0}
    fields: list[dict[str, object]] = [
        {"latency_ms": {**stages, "total": 90.0}},
        {"latency_ms": {**stages, "total": 90.0}, "cache_hit": True},
        {"latency_ms": {**stages, "total": 90.0}, "degraded_reason": "rerank: late"},
        {"latency_ms": {"generation": 20.0, "total": 90.0}},
        {"latency_ms": {"total": 90.0}, "status": "error"},
    ]
    log(lake, workspace, [answer(n, OLD, **changes) for n, changes in enumerate(fields)])
    found = load_outcomes(lake, OLD.version_id, ["evaluation"])
    times = [one.processing_ms for one in found]
    assert times == pytest.approx([24.0, math.nan, 90.0, 90.0, math.nan], nan_ok=True)


def test_windows_versions_and_traffic_are_kept_apart(filled: Lake) -> None:
    def ids(**window: object) -> list[int]:
        found = load_outcomes(filled, OLD.version_id, ["production"], **window)  # type: ignore[arg-type]
        return [int(one.request_id[-5:]) for one in found]

    assert ids(since=MONDAY + timedelta(seconds=4)) == [4, 5, 6]
    assert ids(until=MONDAY + timedelta(seconds=2)) == [0, 1]
    assert ids(last=2) == [5, 6]
    assert ids(request_ids=["old-00003", "old-00007", "new-00008"]) == [3]
    assert ids(first=2, since=MONDAY + timedelta(seconds=1)) == [1, 2]
    both = load_outcomes(filled, OLD.version_id, ["production", "evaluation"])
    assert len(both) == 8
    (other,) = load_outcomes(filled, NEW.version_id, ["canary", "production"])
    assert (other.status, other.keep_probability) == ("error", 0.5)
    assert load_outcomes(filled, NEW.version_id, ["canary"]) == []
