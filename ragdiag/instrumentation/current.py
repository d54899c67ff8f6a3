"""The request that the running code serves, wherever it runs.

asyncio tasks and ``asyncio.to_thread`` inherit it. A plain thread does not: carry it there.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar, Token, copy_context
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from ragdiag.instrumentation.request_log import RequestLog

P = ParamSpec("P")
T = TypeVar("T")

_current: ContextVar[RequestLog | None] = ContextVar("ragdiag_request", default=None)


def open_request() -> RequestLog | None:
    """The request within whose ``with`` block this runs, or None."""
    return _current.get()


def enter_request(request: RequestLog) -> Token[RequestLog | None]:
    return _current.set(request)


def leave_request(token: Token[RequestLog | None]) -> None:
    """What was current before is so again. A generator that is closed from elsewhere has another
    context, in which nothing is to be undone."""
    try:
        _current.reset(token)
    except ValueError:
        return


def carry_request(function: Callable[P, T]) -> Callable[P, T]:
    """``function`` for another thread, with the request that is current now. May be called many
    times, also at once.

    ``executor.map(carry_request(search), shards)``
    """
    context = copy_context()

    @wraps(function)
    def carried(*args: P.args, **kwargs: P.kwargs) -> T:
        return context.copy().run(function, *args, **kwargs)

    return carried
