"""The receiver on uvicorn: where it may listen, and how it ends."""

from __future__ import annotations

import ipaddress
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import uvicorn

from ragdiag.collect.app import make_app
from ragdiag.collect.limits import Limits
from ragdiag.errors import InputError
from ragdiag.settings import Workspace

TOKEN_VARIABLE = "RAGDIAG_COLLECT_TOKEN"
DEFAULT_PORT = 4318
"""OTLP/HTTP's own."""
MAX_CONNECTIONS = 512
"""At once; one more is answered 503."""
GRACE_S = 10
"""How long requests that are being received may take to finish when the receiver is told to end."""


def read_token(token_file: Path | None) -> str | None:
    """The bearer token: of the file, else of $RAGDIAG_COLLECT_TOKEN, else none."""
    if token_file is None:
        token = os.environ.get(TOKEN_VARIABLE)
        source = f"${TOKEN_VARIABLE}"
    else:
        source = str(token_file)
        try:
            token = token_file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"cannot read {token_file} ({error})", remedy="name a file") from None
    if token is None:
        return None
    if not token.strip():
        raise InputError(f"the token in {source} is empty", remedy="put one there, or remove it")
    return token.strip()


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
    if token is None and not _is_local(host):
        raise InputError(
            f"without a token only this machine may send, and {host} is open to others",
            remedy=f"set ${TOKEN_VARIABLE} or --token-file, or listen on 127.0.0.1",
        )
    listener = _listen(host, port)
    config = uvicorn.Config(
        make_app(workspace, token, limits),
        loop="asyncio",
        http="h11",  # named, so that it serves alike whatever else is installed
        log_level="warning",
        access_log=False,
        proxy_headers=False,  # whoever sends X-Forwarded-For would choose its own rate limit
        server_header=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_graceful_shutdown=GRACE_S,
        lifespan="on",
    )
    server = uvicorn.Server(config)
    # uvicorn ends gracefully and then raises the signal again, for handlers like these.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    address, bound = listener.getsockname()[:2]
    started(f"http://[{address}]:{bound}" if ":" in address else f"http://{address}:{bound}")
    server.run(sockets=[listener])


def _is_local(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=1024)
    except (OSError, OverflowError) as error:
        raise InputError(
            f"cannot listen on {host}:{port} ({error})", remedy="name another --host or --port"
        ) from None
