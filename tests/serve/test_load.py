"""Too many, too slow, told to end: nobody waits for ever, and the log tells what became of each."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from ragdiag.records import IndexBuild, Request
from ragdiag.version import Version

from .conftest import QUESTION, Start, ToyModel

Build = Callable[..., IndexBuild]
Logged = Callable[[], dict[str, Request]]


@pytest.fixture(autouse=True)
def _gate_open_again(model: ToyModel) -> object:
    yield
    model.gate.set()
    model.asked.clear()


def hold(model: ToyModel) -> None:
    model.gate.clear()
    model.asked.clear()


def test_overload_is_refused_and_lateness_told_and_both_pass(
    start: Start, build: Build, version: Version, model: ToyModel, logged: Logged
) -> None:
    build(of=version)
    service = start("plain", "--workers", "2", "--queue", "1", "--deadline-s", "3")
    hold(model)
    with ThreadPoolExecutor(3) as pool:
        held = [pool.submit(service.ask) for _ in range(3)]
        service.wait_until(lambda: "ragdiag_workers_waiting 1.0" in service.get("/metrics").body)
        refused = service.ask()
        assert refused.status == 503
        assert refused.body["error"] == "too many questions at once: try again"
        assert int(refused.headers["retry-after"]) >= 1
        late = [one.result() for one in held]
    assert [one.status for one in late] == [504] * 3
    assert {one.body["error"] for one in late} == {"no answer within the deadline of 3 s"}
    assert service.ask().status == 503  # two threads hang still, and the third waits for them
    model.gate.set()
    service.wait_until(lambda: "ragdiag_workers_busy 0.0" in service.get("/metrics").body)
    well = service.ask()
    assert well.status == 200
    assert len(model.asked) == 3  # what was late before it began was not begun
    service.end()
    requests = logged()
    assert requests.keys() == {one.body["request_id"] for one in [*late, well]}
    for one in late:
        request = requests[one.body["request_id"]]
        assert (request.status, request.error) == ("error", one.body["error"])
        assert request.latency_ms["total"] >= 3_000


def test_sigterm_finishes_what_runs_and_loses_no_line(
    start: Start, build: Build, version: Version, model: ToyModel, logged: Logged
) -> None:
    build(of=version)
    service = start("plain", "--workers", "2", "--queue", "8")
    before = [service.ask().body["request_id"] for _ in range(3)]
    hold(model)
    with ThreadPoolExecutor(7) as pool:
        running = [pool.submit(service.ask) for _ in range(6)]
        service.wait_until(lambda: "ragdiag_workers_waiting 4.0" in service.get("/metrics").body)
        ended = pool.submit(service.end)
        time.sleep(0.5)
        model.gate.set()
        replies = [one.result() for one in running]
        assert ended.result() == ""
    assert [one.status for one in replies] == [200] * 6
    answered = {*before, *(one.body["request_id"] for one in replies)}
    assert logged().keys() == answered


def test_sigterm_does_not_wait_for_a_generator_that_hangs(
    start: Start, build: Build, version: Version, model: ToyModel, logged: Logged
) -> None:
    build(of=version)
    service = start("plain", "--workers", "1", "--deadline-s", "0.5")
    hold(model)
    late = service.ask()
    assert late.status == 504
    began = time.monotonic()
    service.end()
    assert time.monotonic() - began < 30
    assert logged().keys() == {late.body["request_id"]}


def test_one_client_too_many_times_a_second_is_429(
    start: Start, build: Build, version: Version
) -> None:
    build(of=version)
    service = start("plain", "--rate", "0.5", ready=False)
    statuses = [service.post("/search", {"question": QUESTION}) for _ in range(2)]
    assert statuses[1].status == 429
    assert int(statuses[1].headers["retry-after"]) >= 1
