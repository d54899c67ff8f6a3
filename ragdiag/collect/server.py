"""The receiver on uvicorn."""

from __future__ import annotations

from collections.abc import Callable

from ragdiag.collect.app import make_app
from ragdiag.collect.limits import Limits
from ragdiag.http.server import listen, make_server, refuse_open_host, url_of
from ragdiag.settings import Workspace

TOKEN_VARIABLE = "RAGDIAG_COLLECT_TOKEN"
GRACE_S = 10


def collect(
    workspace: Workspace,
    *,
    host: str,
    port: int,
    token: str | None,
    limits: Limits,
    started: Callable[[str], None],
) -> None:
    """Receive until SIGTERM or SIGINT; returns when everything received is handed over.

    ``started`` is told the URL once the port is open. Raises InputError where it may not or
    cannot listen there.
    """
    refuse_open_host(host, token, TOKEN_VARIABLE)
    listener = listen(host, port)
    server = make_server(make_app(workspace, token, limits), grace_s=GRACE_S)
    started(url_of(listener))
    server.run(sockets=[listener])
