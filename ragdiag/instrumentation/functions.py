"""Logging of a function that answers one question, without a line changed inside it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, Protocol, TypeVar, cast

from ragdiag.errors import InputError
from ragdiag.instrumentation.request_log import RequestLog

P = ParamSpec("P")
T = TypeVar("T")


class OpenRequest(Protocol):
    def __call__(self, question: str, *, user: object = None) -> RequestLog: ...


def log_calls(
    open_request: OpenRequest, *, question: str | None, user: str | None
) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """A decorator: each call is a request, its result the answer where it is a text.

    ``question`` and ``user`` name parameters of the function; the question is its first one if
    none is named. Within, ``current_request()`` is the request. Raises InputError, when it
    decorates, for a parameter that is not there and for a generator, whose end nobody knows.
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        find = _argument_finder(function, question, user)
        if inspect.iscoroutinefunction(function):

            @wraps(function)
            async def answer_async(*args: Any, **kwargs: Any) -> Any:
                asked, asker = find(args, kwargs)
                async with open_request(asked, user=asker) as request:
                    result = await function(*args, **kwargs)
                    _record(request, result)
                    return result

            return cast("Callable[P, T]", answer_async)

        @wraps(function)
        def answer(*args: P.args, **kwargs: P.kwargs) -> T:
            asked, asker = find(args, kwargs)
            with open_request(asked, user=asker) as request:
                result = function(*args, **kwargs)
                _record(request, result)
                return result

        return answer

    return decorate


def _record(request: RequestLog, result: object) -> None:
    """What the function has itself said with ``current_request().answer`` stays."""
    if isinstance(result, str) and not request.is_answered:
        request.answer(result)


def _argument_finder(
    function: Callable[..., Any], question: str | None, user: str | None
) -> Callable[[tuple[Any, ...], dict[str, Any]], tuple[Any, Any]]:
    parameters = inspect.signature(function).parameters
    asked = question or next((name for name in parameters if name != "self"), "")
    for name in (asked, user):
        if name is not None and name not in parameters:
            raise InputError(
                f"{function.__qualname__} has no parameter {name!r}",
                remedy=f"name one of: {', '.join(parameters)}",
            )
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise InputError(
            f"{function.__qualname__} is a generator",
            remedy="open the request within it: with logger.request(…) as request",
        )
    places = {name: place for place, name in enumerate(parameters)}

    def value(name: str | None, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if name is None:
            return None
        if name in kwargs:
            return kwargs[name]
        if places[name] < len(args):
            return args[places[name]]
        default = parameters[name].default
        return None if default is inspect.Parameter.empty else default

    return lambda args, kwargs: (value(asked, args, kwargs), value(user, args, kwargs))
