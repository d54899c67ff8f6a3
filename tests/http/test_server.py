"""How ragdiag's servers listen."""

from __future__ import annotations

import socket

from ragdiag.http.server import listen, url_of


def test_an_answer_does_not_wait_for_the_clients_acknowledgement() -> None:
    with listen("127.0.0.1", 0) as listener:
        assert url_of(listener).startswith("http://127.0.0.1:")
        with socket.create_connection(listener.getsockname()):
            accepted, _ = listener.accept()
            with accepted:
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
