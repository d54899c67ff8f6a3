"""The service on uvicorn: what it opens, where it listens, how it ends."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import uvicorn

from ragdiag.deploy.release import existing
from ragdiag.http.server import listen, make_server, refuse_open_host, url_of
from ragdiag.instrumentation.query_logger import QueryLogger
from ragdiag.serve.app import Limits, make_app
from ragdiag.serve.fleet import Fleet
from ragdiag.serve.service import PATIENCE_S, Capacity, Service
from ragdiag.serve.watch import Watch
from ragdiag.settings import Workspace
from ragdiag.store.deployments import current_deployment
from ragdiag.store.lake import open_lake
from ragdiag.store.results import find_version

TOKEN_VARIABLE = "RAGDIAG_SERVE_TOKEN"


@dataclass(frozen=True, slots=True)
class Place:
    """Where to listen; ``token_variable`` is named to whom it would have helped."""

    host: str
    port: int
    token: str | None
    token_variable: str = TOKEN_VARIABLE


def serve(
    workspace: Workspace,
    version_name: str | None,
    place: Place,
    capacity: Capacity,
    limits: Limits,
    started: Callable[[str], None],
) -> None:
    """Answer until SIGTERM or SIGINT; returns when all that was answered is in the log.

    Without a version what is deployed answers. ``started`` is told the URL once the port is open,
    while the index is still being loaded. Raises InputError where nothing is deployed or it may
    not listen there, and what keeps the version from being opened.
    """
    refuse_open_host(place.host, place.token, place.token_variable)
    lake = open_lake(workspace)
    version = None if version_name is None else find_version(lake, version_name)
    logged_as = version.version_id if version else existing(current_deployment(lake)).production
    listener = listen(place.host, place.port)
    fleet = Fleet(lake, workspace, version)
    servers: list[uvicorn.Server] = []

    def stop() -> None:
        for server in servers:
            server.should_exit = True

    watch = Watch(fleet, stop)
    service = Service(fleet, QueryLogger(workspace, version_id=logged_as, writer="serve"), capacity)
    server = make_server(
        make_app(service, watch, place.token, limits),
        grace_s=math.ceil(capacity.deadline_s + PATIENCE_S),
    )
    servers.append(server)
    started(url_of(listener))
    server.run(sockets=[listener])
    if watch.fault is not None:
        raise watch.fault
