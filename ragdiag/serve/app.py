"""The service as an ASGI application.

``POST /ask``, ``/search`` and ``/feedback`` take JSON; ``GET /metrics`` is Prometheus' text. All of
them need the token, where there is one. ``GET /health`` does not: 200 once questions are answered.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ragdiag.http.bodies import read_body
from ragdiag.http.crowding import CrowdLimit
from ragdiag.http.limits import Buckets, Budget
from ragdiag.http.refusals import Refusal
from ragdiag.http.tokens import check_token
from ragdiag.serve.bodies import AskBody, FeedbackBody, SearchBody, read_json
from ragdiag.serve.service import STARTING, Service
from ragdiag.serve.watch import Watch

Handler = Callable[[bytes], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Limits:
    """``rate`` and ``burst`` are requests per second and at once of one client address,
    ``max_requests`` how many requests are under way at once, ``max_body`` bytes of one body,
    ``max_receiving`` of all that are being received."""

    rate: float
    burst: float
    max_requests: int = 1024
    max_body: int = 256_000
    max_receiving: int = 16_000_000
    read_s: float = 10.0


def make_app(service: Service, watch: Watch, token: str | None, limits: Limits) -> Starlette:
    """The application; ``service`` and ``watch`` end with its shutdown."""
    doors = _Doors(service, token, limits)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        watch.start()
        yield
        watch.stop()
        service.close()

    routes = [
        Route("/ask", doors.ask, methods=["POST"]),
        Route("/search", doors.search, methods=["POST"]),
        Route("/feedback", doors.give_feedback, methods=["POST"]),
        Route("/metrics", doors.tell_metrics),
        Route("/health", doors.tell_health),
    ]
    crowd = Middleware(CrowdLimit, limit=limits.max_requests, refuse=doors.refuse)
    return Starlette(routes=routes, lifespan=lifespan, middleware=[crowd])


class _Doors:
    """Who comes in, and in what form answers go out."""

    def __init__(self, service: Service, token: str | None, limits: Limits) -> None:
        self._service, self._token, self._limits = service, token, limits
        self._budget = Budget(limits.max_receiving)
        self._buckets = Buckets(limits.rate, limits.burst)

    async def ask(self, request: Request) -> Response:
        async def answered(body: bytes) -> Response:
            outcome = await self._service.ask(read_json(body, AskBody))
            return JSONResponse(outcome.body, outcome.code)

        return await self._take(request, answered)

    async def search(self, request: Request) -> Response:
        async def found(body: bytes) -> Response:
            outcome = await self._service.search(read_json(body, SearchBody))
            return JSONResponse(outcome.body, outcome.code)

        return await self._take(request, found)

    async def give_feedback(self, request: Request) -> Response:
        async def taken(body: bytes) -> Response:
            self._service.give_feedback(read_json(body, FeedbackBody))
            return JSONResponse({"status": "taken"}, 202)

        return await self._take(request, taken)

    async def tell_metrics(self, request: Request) -> Response:
        try:
            check_token(request, self._token)
        except Refusal as refusal:
            return _refused(refusal)
        return Response(self._service.metrics.text(), media_type=CONTENT_TYPE_LATEST)

    async def tell_health(self, request: Request) -> Response:
        if not self._service.fleet.ready:
            return JSONResponse({"status": "starting", "reason": STARTING}, 503)
        serving = {
            role: {"version": served.version.name, "build_id": served.pipeline.build_id}
            for role, served in self._service.fleet.serving.items()
        }
        return JSONResponse({"status": "ok", "serving": serving})

    def refuse(self, request: Request, refusal: Refusal) -> Response:
        self._service.metrics.refuse(refusal.status)
        return _refused(refusal)

    async def _take(self, request: Request, handle: Handler) -> Response:
        try:
            self._buckets.take(request.client.host if request.client else "")
            check_token(request, self._token)
            return await handle(await self._read(request))
        except Refusal as refusal:
            return self.refuse(request, refusal)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is there to read it

    async def _read(self, request: Request) -> bytes:
        limits = self._limits
        stated = request.headers.get("content-length")
        body = await read_body(
            request.stream(), stated, limits.max_body, self._budget, limits.read_s
        )
        self._budget.give_back(len(body))
        return body


def _refused(refusal: Refusal) -> Response:
    return JSONResponse({"error": refusal.message}, refusal.status, refusal.headers)
