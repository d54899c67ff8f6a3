from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import TimeoutError as FutureTimeout

import pytest

from ragdiag.errors import ModelError, PromptRefused
from ragdiag.retrieval.breaker import WORKERS, CircuitBreaker, Guard, Unavailable


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def fails() -> str:
    raise OSError("no route to the index")


def refuses() -> str:
    raise PromptRefused("the prompt is too long", remedy="ask less")


def works() -> str:
    return "found"


def test_it_opens_after_failures_in_a_row_and_one_caller_probes_later() -> None:
    clock = Clock()
    breaker = CircuitBreaker(failures=2, retry_s=10, clock=clock)
    guard = Guard("dense", None, breaker)
    for _ in range(2):
        with pytest.raises(Unavailable, match="dense: OSError"):
            guard.call(fails)
    assert breaker.state == "open"
    with pytest.raises(Unavailable, match="left alone"):
        guard.call(works)
    clock.now = 10
    assert breaker.state == "half_open"
    assert [breaker.allows(), breaker.allows()] == [True, False]
    breaker.failed()
    assert breaker.state == "open"
    clock.now = 20
    assert guard.call(works) == "found"
    assert breaker.state == "closed"


def test_a_prompt_refused_for_itself_is_no_failure_of_the_part() -> None:
    clock = Clock()
    breaker = CircuitBreaker(failures=2, retry_s=10, clock=clock)
    guard = Guard("generation", None, breaker)

    def cause(work: Callable[[], str]) -> tuple[str, str]:
        with pytest.raises(Unavailable) as caught:
            guard.call(work)
        return str(caught.value), caught.value.cause

    refused = ("generation: PromptRefused", "the prompt is too long; ask less")
    assert [cause(refuses) for _ in range(5)] == [refused] * 5
    assert breaker.state == "closed"
    for work in (fails, refuses, fails):  # nor does it end a row of failures
        cause(work)
    assert breaker.state == "open"
    left_alone = "generation: left alone after failures in a row"
    assert cause(works) == (left_alone, "no route to the index")
    clock.now = 10
    assert cause(refuses) == refused  # the probe told nothing: the next caller is one, too
    assert breaker.state == "half_open"
    assert guard.call(works) == "found"


def test_a_success_between_failures_keeps_it_closed() -> None:
    breaker = CircuitBreaker(failures=2, retry_s=10)
    guard = Guard("dense", None, breaker)
    for work in (fails, works, fails, works):
        try:
            guard.call(work)
        except Unavailable:
            continue
    assert breaker.state == "closed"


def test_late_work_is_left_behind_at_the_deadline() -> None:
    release = threading.Event()
    guard = Guard("dense", 30, CircuitBreaker(failures=100, retry_s=1))
    started = time.perf_counter()
    with pytest.raises(Unavailable, match="no answer within its deadline"):
        guard.call(release.wait)
    assert time.perf_counter() - started >= 0.03
    release.set()
    assert guard.call(works) == "found"
    guard.close()


def test_what_was_spent_elsewhere_is_taken_from_the_deadline() -> None:
    guard = Guard("dense", 60_000, CircuitBreaker(failures=100, retry_s=1))
    release = threading.Event()
    with pytest.raises(Unavailable, match="deadline"):
        guard.call(release.wait, spent_ms=59_990)
    release.set()
    assert guard.call(works, spent_ms=10) == "found"
    guard.close()


def test_workers_that_hang_do_not_hold_up_callers_beyond_their_deadline() -> None:
    release = threading.Event()
    guard = Guard("dense", 20, CircuitBreaker(failures=100, retry_s=1))
    for _ in range(WORKERS + 3):
        with pytest.raises(Unavailable, match="deadline"):
            guard.call(release.wait)
    ran: list[int] = []
    with pytest.raises(Unavailable, match="deadline"):
        guard.call(lambda: ran.append(1))
    release.set()
    guard.call(works)
    assert not ran, "what was given up while it waited in line must not run later"
    guard.close()


@pytest.mark.parametrize("deadline_ms", [None, 5_000.0])
def test_many_threads_agree_on_one_state(deadline_ms: float | None) -> None:
    breaker = CircuitBreaker(failures=3, retry_s=60)
    guard = Guard("dense", deadline_ms, breaker)
    asked: list[int] = []

    def counted() -> str:
        asked.append(1)
        return fails()

    def caller(work: Callable[[], str]) -> None:
        with pytest.raises(Unavailable):
            guard.call(work)

    threads = [threading.Thread(target=caller, args=(counted,)) for _ in range(20)]
    for thread in threads:
        thread.start()
        thread.join()
    assert (breaker.state, len(asked)) == ("open", 3)
    guard.close()


@pytest.mark.parametrize(
    ("raised", "logged"),
    [
        (KeyError("p1"), True),
        (ModelError("the model is gone", remedy="download it"), False),
        (FutureTimeout(), False),
        (Unavailable("rerank: over its budget of 5 ms"), False),
    ],
)
def test_only_a_failure_that_nobody_foresaw_is_logged_with_its_traceback(
    raised: Exception, logged: bool, caplog: pytest.LogCaptureFixture
) -> None:
    def work() -> None:
        raise raised

    with pytest.raises(Unavailable):
        Guard("rerank", None, CircuitBreaker(failures=2, retry_s=10)).call(work)
    assert [one.exc_info is not None for one in caplog.records] == [True] * logged
