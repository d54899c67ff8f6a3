"""How long a stage took, on the monotonic clock."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from time import perf_counter_ns


@contextmanager
def timed(latency_ms: MutableMapping[str, float], stage: str) -> Iterator[None]:
    """Put the milliseconds that the block took into ``latency_ms[stage]``.

    A block that raises leaves no time: it did not finish.
    """
    started = perf_counter_ns()
    yield
    latency_ms[stage] = (perf_counter_ns() - started) / 1e6
