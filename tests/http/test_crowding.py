"""Requests beyond the limit are refused in the server's own form, while there is a crowd."""

from __future__ import annotations

import asyncio

import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from ragdiag.http.crowding import CrowdLimit
from ragdiag.http.refusals import Refusal


def refuse(request: Request, refusal: Refusal) -> Response:
    told = {"path": request.url.path, "message": refusal.message}
    return JSONResponse(told, refusal.status, refusal.headers)


def test_a_request_beyond_the_limit_is_refused_until_another_ends() -> None:
    async def run() -> None:
        gate = asyncio.Event()
        entered = asyncio.Event()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            entered.set()
            await gate.wait()
            if scope["path"] == "/fault":
                raise RuntimeError
            await PlainTextResponse("done")(scope, receive, send)

        limited = httpx.ASGITransport(CrowdLimit(app, 1, refuse), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=limited, base_url="http://test") as client:
            held = asyncio.create_task(client.get("/fault"))
            await entered.wait()
            refused = await client.get("/second")
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
            assert refused.json() == {
                "path": "/second",
                "message": "too many requests at once: try again",
            }
            gate.set()
            assert (await held).status_code == 500
            assert (await client.get("/third")).text == "done"

    asyncio.run(run())
