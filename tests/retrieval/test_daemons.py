from __future__ import annotations

import subprocess
import sys
import threading
import weakref
from concurrent.futures import CancelledError

import pytest

from ragdiag.retrieval.daemons import Daemons

HANGS = """
import threading
from ragdiag.retrieval.breaker import CircuitBreaker, Guard, Unavailable
try:
    Guard("dense", 20, CircuitBreaker(1, 30)).call(threading.Event().wait)
except Unavailable as error:
    print(error)
"""


def named(name: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith(name)]


def test_work_comes_back_with_what_it_returned_or_raised() -> None:
    daemons = Daemons(2, "toy")
    assert [daemons.submit(lambda n=n: n).result(5) for n in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(ZeroDivisionError):
        daemons.submit(lambda: 1 / 0).result(5)
    assert daemons.submit(lambda: "on").result(5) == "on"


def test_no_more_than_so_many_run_at_once_and_what_is_cancelled_in_line_never_does() -> None:
    release, ran = threading.Event(), list[int]()
    daemons = Daemons(1, "toy")
    running = daemons.submit(release.wait)
    waiting, last = daemons.submit(lambda: ran.append(1)), daemons.submit(lambda: ran.append(2))
    assert waiting.cancel()
    release.set()
    last.result(5)
    assert (running.result(5), ran) == (True, [2])
    with pytest.raises(CancelledError):
        waiting.result(5)


def test_its_threads_end_with_it() -> None:
    daemons = Daemons(3, "ending")
    for _ in range(3):
        daemons.submit(int).result(5)
    threads, gone = named("ending"), weakref.ref(daemons)
    assert len(threads) == 3
    del daemons
    for thread in threads:
        thread.join(5)
    assert gone() is None
    assert not named("ending")


def test_a_process_ends_although_guarded_work_hangs() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HANGS], timeout=60, capture_output=True, text=True, check=True
    )
    assert done.stdout == "dense: no answer within its deadline\n"
