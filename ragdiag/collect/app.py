"""The receiver as an ASGI application: OTLP in, spans and grades to the spool.

``POST /v1/traces`` takes spans. ``POST /v1/logs`` takes evaluation results that come as log
records, and says of all other records that they were not kept. ``/v1/metrics`` is 404: there is
nothing here that reads metrics. ``GET /health`` needs no token.
"""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ragdiag.collect.answers import JSON, PROTOBUF, accepted, refused
from ragdiag.collect.bodies import read_body, unpack
from ragdiag.collect.commits import Committer, Taken
from ragdiag.collect.exports import take_logs, take_traces
from ragdiag.collect.limits import Buckets, Budget, Limits
from ragdiag.collect.refusals import Refusal
from ragdiag.settings import Workspace
from ragdiag.store.spool import SpoolWriter

_TAKE: dict[str, Callable[[bytes, str], Taken]] = {"traces": take_traces, "logs": take_logs}


def make_app(workspace: Workspace, token: str | None, limits: Limits) -> Starlette:
    """The application; its spool writer lives from start-up to shutdown."""
    budget = Budget(limits.max_waiting)
    buckets = Buckets(limits.rate, limits.burst)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        app.state.committer = Committer(SpoolWriter(workspace, "collect"))
        yield
        app.state.committer.stop()

    async def export(request: Request, signal: str) -> Response:
        media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        try:
            buckets.take(request.client.host if request.client else "")
            _check_token(request, token)
            encoding = _check_encoding(request, media)
            stated = request.headers.get("content-length")
            body = await read_body(request.stream(), stated, limits.max_body, budget, limits.read_s)
            try:
                committer: Committer = request.app.state.committer
                taken = await committer.commit(
                    lambda: _TAKE[signal](unpack(body, encoding, limits.max_body), media)
                )
            finally:
                budget.give_back(len(body))
        except Refusal as refusal:
            return refused(refusal, media)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is there to read it
        return accepted(taken, signal, media)

    async def health(request: Request) -> Response:
        committer: Committer = request.app.state.committer
        state = {
            "status": "ok" if committer.fault is None else "failing",
            "reason": committer.fault,
            "records": committer.committed,
            "waiting_bytes": budget.taken,
        }
        return JSONResponse(state, 200 if committer.fault is None else 503)

    def route(signal: str) -> Route:
        async def endpoint(request: Request) -> Response:
            return await export(request, signal)

        return Route(f"/v1/{signal}", endpoint, methods=["POST"])

    routes = [route("traces"), route("logs"), Route("/health", health)]
    return Starlette(
        routes=[*routes, Route("/v1/metrics", _no_metrics, methods=["POST"])], lifespan=lifespan
    )


async def _no_metrics(request: Request) -> Response:
    message = "ragdiag keeps no metrics: set OTEL_METRICS_EXPORTER=none"
    return refused(Refusal(404, message), request.headers.get("content-type", ""))


def _check_token(request: Request, token: str | None) -> None:
    if token is None:
        return
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(
        given.strip().encode(), token.encode()
    ):
        raise Refusal(401, "the bearer token is missing or wrong")


def _check_encoding(request: Request, media: str) -> str:
    if media not in (PROTOBUF, JSON):
        raise Refusal(415, f"Content-Type {media or 'is missing'}: send {PROTOBUF} or {JSON}")
    encoding = request.headers.get("content-encoding", "").strip().lower() or "identity"
    if encoding not in ("identity", "gzip"):
        raise Refusal(415, f"Content-Encoding {encoding}: send gzip or identity")
    return encoding
