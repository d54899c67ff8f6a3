"""Answers that come word by word: their request ends when they do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from ragdiag.instrumentation.framework_trace import Trace

CLOSED = "the answer's stream was closed early"


def watch_stream(stream: Iterator[str], trace: Trace) -> Iterator[str]:
    """The parts as they come; at their end the whole is the answer of ``trace``."""
    parts = []
    try:
        for part in stream:
            parts.append(part)
            yield part
    except GeneratorExit:
        _end_early(trace, parts)
        raise
    except BaseException as error:
        trace.fail(error)
        raise
    trace.end("".join(parts))


async def watch_async_stream(stream: AsyncIterator[str], trace: Trace) -> AsyncIterator[str]:
    """As :func:`watch_stream`."""
    parts = []
    try:
        async for part in stream:
            parts.append(part)
            yield part
    except GeneratorExit:
        _end_early(trace, parts)
        raise
    except BaseException as error:
        trace.fail(error)
        raise
    trace.end("".join(parts))


def _end_early(trace: Trace, parts: list[str]) -> None:
    trace.request.note(degraded_reason=CLOSED)
    trace.end("".join(parts))
