"""How many requests are under way at once: what comes beyond is refused before it is read.

uvicorn's own ``limit_concurrency`` counts open connections, idle ones too, and answers plain text
without ``Retry-After``.
"""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ragdiag.http.refusals import Refusal


class CrowdLimit:
    """ASGI middleware: at most ``limit`` HTTP requests are in ``app`` at once. ``refuse`` puts the
    Refusal (503) of any other into the answers' form."""

    def __init__(
        self, app: ASGIApp, limit: int, refuse: Callable[[Request, Refusal], Response]
    ) -> None:
        self._app = app
        self._limit = limit
        self._refuse = refuse
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._under_way >= self._limit:
            refusal = Refusal(503, "too many requests at once: try again", retry_after=1)
            await self._refuse(Request(scope), refusal)(scope, receive, send)
            return
        self._under_way += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._under_way -= 1
