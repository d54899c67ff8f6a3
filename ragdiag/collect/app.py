"""The receiver as an ASGI application: OTLP in, spans and grades to the spool.

``POST /v1/traces`` takes spans. ``POST /v1/logs`` takes evaluation results that come as log
records, and says of all other records that they were not kept. ``/v1/metrics`` is 404: there is
nothing here that reads metrics. ``GET /health`` needs no token.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ragdiag.collect.answers import JSON, PROTOBUF, accepted, refused
from ragdiag.collect.commits import Committer, Taken
from ragdiag.collect.exports import take_logs, take_traces
from ragdiag.collect.limits import Limits
from ragdiag.http.bodies import read_body, unpack
from ragdiag.http.crowding import CrowdLimit
from ragdiag.http.limits import Buckets, Budget
from ragdiag.http.refusals import Refusal
from ragdiag.http.tokens import check_token
from ragdiag.settings import Workspace
from ragdiag.spans.bounds import ExportBounds
from ragdiag.store.spool import SpoolWriter

Take = Callable[[bytes, str, ExportBounds], Taken]


def make_app(workspace: Workspace, token: str | None, limits: Limits) -> Starlette:
    """The application; its spool writer lives from start-up to shutdown."""
    receiver = _Receiver(token, limits)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        receiver.committer = Committer(SpoolWriter(workspace, "collect"))
        yield
        receiver.committer.stop()

    routes = [
        Route("/v1/traces", receiver.export_traces, methods=["POST"]),
        Route("/v1/logs", receiver.export_logs, methods=["POST"]),
        Route("/v1/metrics", _refuse_metrics, methods=["POST"]),
        Route("/health", receiver.tell_health),
    ]
    crowd = Middleware(CrowdLimit, limit=limits.max_requests, refuse=_refuse)
    return Starlette(routes=routes, lifespan=lifespan, middleware=[crowd])


class _Receiver:
    """What the requests of one application share."""

    committer: Committer

    def __init__(self, token: str | None, limits: Limits) -> None:
        self._token = token
        self._limits = limits
        self._bounds = ExportBounds(parts=limits.max_spans)
        self._budget = Budget(limits.max_waiting)
        self._buckets = Buckets(limits.rate, limits.burst)

    async def export_traces(self, request: Request) -> Response:
        return await self._export(request, "traces", take_traces)

    async def export_logs(self, request: Request) -> Response:
        return await self._export(request, "logs", take_logs)

    async def tell_health(self, request: Request) -> Response:
        fault = self.committer.fault
        state = {
            "status": "ok" if fault is None else "failing",
            "reason": fault,
            "records": self.committer.committed,
            "refused": dict(self.committer.tally.refused),
            "remarks": dict(self.committer.tally.remarks),
            "waiting_bytes": self._budget.taken,
        }
        return JSONResponse(state, 200 if fault is None else 503)

    async def _export(self, request: Request, signal: str, take: Take) -> Response:
        media = _media(request)
        try:
            self._buckets.take(request.client.host if request.client else "")
            check_token(request, self._token)
            encoding = _check_encoding(request, media)
            taken = await self._commit(
                request, encoding, lambda body: take(body, media, self._bounds)
            )
        except Refusal as refusal:
            return _refuse(request, refusal)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is there to read it
        return accepted(taken, signal, media)

    async def _commit(
        self, request: Request, encoding: str, take: Callable[[bytes], Taken]
    ) -> Taken:
        limits = self._limits
        stated = request.headers.get("content-length")
        body = await read_body(
            request.stream(), stated, limits.max_body, self._budget, limits.read_s
        )
        try:
            return await self.committer.commit(
                lambda: take(unpack(body, encoding, limits.max_body))
            )
        finally:
            self._budget.give_back(len(body))


async def _refuse_metrics(request: Request) -> Response:
    message = "ragdiag keeps no metrics: set OTEL_METRICS_EXPORTER=none"
    return _refuse(request, Refusal(404, message))


def _refuse(request: Request, refusal: Refusal) -> Response:
    return refused(refusal, _media(request))


def _media(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _check_encoding(request: Request, media: str) -> str:
    if media not in (PROTOBUF, JSON):
        raise Refusal(415, f"Content-Type {media or 'is missing'}: send {PROTOBUF} or {JSON}")
    encoding = request.headers.get("content-encoding", "").strip().lower() or "identity"
    if encoding not in ("identity", "gzip"):
        raise Refusal(415, f"Content-Encoding {encoding}: send gzip or identity")
    return encoding
