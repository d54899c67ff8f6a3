"""Milvus as it is asked here: every call has its time, every failure is one line."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

from ragdiag.ann_spec import AnnSpec
from ragdiag.errors import IndexFault, IndexUnreachable
from ragdiag.settings import Workspace

_NO_ANSWER = (1, 2)
"""Codes of Milvus and its client: not ready or out of time, unavailable or not connected."""

_LINE = {
    # pymilvus pings every 10 s, and a server busy with one long call cuts the line: too many pings
    "grpc.keepalive_time_ms": 600_000,
    # the longer a server was down, the more seldom gRPC would try it again
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 1_000,
}

_SHOWN = 200
"""Characters of a server's own words."""


class Connection:
    """One Milvus: a server, or the embedded engine over a folder whose name ends with .db.

    The embedded engine lives in this process and locks its folder against others. Safe in threads;
    what was lost is connected again by the next call.
    """

    def __init__(self, uri: str, spec: AnnSpec) -> None:
        """``uri`` is the spec's own, but a path is absolute. Nothing is connected yet."""
        self.uri, self.timeout_s = uri, spec.timeout_s
        self._token_env = spec.token_env
        self._client: Any = None
        self._lock = Lock()

    def ask(
        self, method: str, *arguments: Any, timeout_s: float | None = None, **named: Any
    ) -> Any:
        """What the client's ``method`` returns within ``timeout_s``, the spec's unless given.

        Raises IndexUnreachable without an answer in time, IndexFault where Milvus refuses.
        """
        with self._faults():
            client = self._connected()
            return getattr(client, method)(*arguments, timeout=timeout_s or self.timeout_s, **named)

    def create(self) -> None:
        """Make sure that the embedded engine has its folder; a server is there or is not."""
        if _is_path(self.uri):
            Path(self.uri).mkdir(parents=True, exist_ok=True)

    def unreachable(self, said: str) -> IndexUnreachable:
        """The error for no answer; the next call connects anew."""
        # the embedded engine comes back at another port
        self._client = None
        return IndexUnreachable(
            f"Milvus at {self.uri} does not answer ({said})",
            remedy="start it, or correct uri or timeout_s in [ann]",
        )

    def _connected(self) -> Any:
        with self._lock:
            if self._client is None:
                if _is_path(self.uri) and not Path(self.uri).is_dir():
                    raise IndexUnreachable(
                        f"there is no Milvus at {self.uri}",
                        remedy="put it back, or build again: ragdiag index build VERSION",
                    )
                self._client = _client_class()(
                    self.uri,
                    token=os.environ.get(self._token_env, ""),
                    timeout=self.timeout_s,
                    grpc_options=_LINE,
                )
            return self._client

    @contextmanager
    def _faults(self) -> Iterator[None]:
        import grpc
        from pymilvus.exceptions import ConnectionConfigException, MilvusException

        try:
            yield
        except ConnectionConfigException as error:
            raise IndexUnreachable(
                f"cannot open Milvus at {self.uri} ({error.message})",
                remedy="close the process that has it open, or serve it to all of them with "
                "milvus-lite server and name the server in uri",
            ) from None
        except grpc.RpcError as error:
            raise self.unreachable(str(error.code().name).lower()) from None
        except MilvusException as error:
            said = str(error.message)[:_SHOWN]
            if error.code in _NO_ANSWER or isinstance(error.code, grpc.StatusCode):
                raise self.unreachable(said) from None
            raise IndexFault(
                f"Milvus at {self.uri} refuses: {said}",
                remedy=f"check the server, the token in ${self._token_env}, and [ann] in the spec",
            ) from None


def connect(spec: AnnSpec, workspace: Workspace) -> Connection:
    """The Milvus that ``spec`` names; a relative path is one in the workspace."""
    assert spec.uri is not None
    path = spec.uri if not _is_path(spec.uri) else str(workspace.root / spec.uri)
    return Connection(path, spec)


def _is_path(uri: str) -> bool:
    return "://" not in uri


def _client_class() -> Any:
    from pymilvus import MilvusClient

    # what they log on an error, traceback and all, is raised as well
    for name in ("pymilvus", "milvus_lite"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return MilvusClient
