"""uvicorn as ragdiag's servers run it: where it may listen, and how it ends."""

from __future__ import annotations

import ipaddress
import signal
import socket

import uvicorn
from starlette.types import ASGIApp

from ragdiag.errors import InputError

BACKLOG = 1024


def refuse_open_host(host: str, token: str | None, variable: str) -> None:
    """Raises InputError where anybody on the network could use a server without a token."""
    if token is None and not _is_local(host):
        raise InputError(
            f"without a token only this machine may send, and {host} is open to others",
            remedy=f"set ${variable} or --token-file, or listen on 127.0.0.1",
        )


def listen(host: str, port: int) -> socket.socket:
    """Raises InputError where that cannot be."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
        # Accepted connections inherit it; asyncio sets it on sockets made for TCP by name alone.
        # Without it a second answer over one connection waits 40 ms for the client's delayed ACK.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    except (OSError, OverflowError) as error:
        raise InputError(
            f"cannot listen on {host}:{port} ({error})", remedy="name another --host or --port"
        ) from None


def url_of(listener: socket.socket) -> str:
    address, port = listener.getsockname()[:2]
    return f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"


def make_server(app: ASGIApp, *, grace_s: int) -> uvicorn.Server:
    """A server that ends on SIGTERM and SIGINT with status 0, once ``app`` has shut down; requests
    that are under way have ``grace_s`` seconds to finish."""
    config = uvicorn.Config(
        app,
        loop="asyncio",
        http="h11",  # named, so that it serves alike whatever else is installed
        log_level="warning",
        access_log=False,
        proxy_headers=False,  # whoever sends X-Forwarded-For would choose its own rate limit
        server_header=False,
        timeout_graceful_shutdown=grace_s,
        lifespan="on",
    )
    # uvicorn ends gracefully and then raises the signal again, for handlers like these.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    return uvicorn.Server(config)


def _is_local(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
