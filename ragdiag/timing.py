"""How long a stage took, on the monotonic clock, and the histogram that many times are kept in."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from time import perf_counter_ns

RELATIVE_ERROR = 0.01
"""Of a time that is known by its histogram bucket only."""

BUCKET_BASE = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
"""Bucket i holds the times in (BASE^(i-1), BASE^i]; its middle is off by RELATIVE_ERROR at most
(Masson, Rim & Lee 2019, DDSketch, PVLDB 12:2195)."""


@contextmanager
def timed(latency_ms: MutableMapping[str, float], stage: str) -> Iterator[None]:
    """Put the milliseconds that the block took into ``latency_ms[stage]``.

    A block that raises leaves no time: it did not finish.
    """
    started = perf_counter_ns()
    yield
    latency_ms[stage] = (perf_counter_ns() - started) / 1e6
