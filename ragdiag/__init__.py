"""ragdiag: why a RAG answer was wrong, proven by replay, and whether a new version may ship."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ragdiag.instrumentation.current import carry_request
    from ragdiag.instrumentation.query_logger import QueryLogger
    from ragdiag.instrumentation.request_log import current_request
    from ragdiag.instrumentation.sampling import Sampling

__all__ = ["QueryLogger", "Sampling", "carry_request", "current_request"]

_PLACES = {
    "QueryLogger": "query_logger",
    "Sampling": "sampling",
    "carry_request": "current",
    "current_request": "request_log",
}


def __getattr__(name: str) -> Any:
    """What a service needs, imported when it is asked for: commands must not pay for it."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"ragdiag.instrumentation.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
