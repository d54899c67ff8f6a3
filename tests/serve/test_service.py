"""The service without its HTTP: defects, and a fleet that is not there yet."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from ragdiag import QueryLogger
from ragdiag.http.refusals import Refusal
from ragdiag.pipeline import Pipeline
from ragdiag.records import Request, Traffic
from ragdiag.serve.bodies import AskBody, SearchBody
from ragdiag.serve.fleet import Served
from ragdiag.serve.service import Capacity, Service
from ragdiag.settings import Workspace
from ragdiag.store.lines import parse_line
from ragdiag.version import Version, parse_spec

SPEC = parse_spec("[lexical]\n[generator]\nkind = 'extractive'", source="toy")


class Broken:
    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("out of memory")


@dataclass
class OneVersion:
    """A fleet whose only pipeline is broken, once it is ready."""

    ready: bool = True
    serving: dict[str, Served] = field(default_factory=dict)

    def choose(self, key: str) -> tuple[Served, Traffic]:
        broken: Any = Broken()
        pipeline = Pipeline(Version("toy", SPEC), "b1", broken, broken, broken)
        return Served(pipeline, None), "production"


@pytest.fixture
def logger(workspace: Workspace) -> Iterator[QueryLogger]:
    with QueryLogger(workspace, version_id="v1") as logger:
        yield logger


def make_service(fleet: Any, logger: QueryLogger) -> Service:
    return Service(fleet, logger, Capacity(workers=1, waiting=1, deadline_s=10))


def test_a_defect_is_told_logged_and_survived(logger: QueryLogger, workspace: Workspace) -> None:
    async def run() -> None:
        service = make_service(OneVersion(), logger)
        for _ in range(2):
            outcome = await service.ask(AskBody(question="Why?", user="ada"))
            assert outcome.code == 500
            assert outcome.body["error"].endswith("its own log has the traceback (RuntimeError)")
        assert (await service.search(SearchBody(question="Why?"))).code == 500
        service.close()
        assert b'status="error"' in service.metrics.text()

    asyncio.run(run())
    (segment,) = workspace.spool.glob("*.jsonl")
    requests = [parse_line(line) for line in segment.read_bytes().splitlines()]
    assert len(requests) == 2
    for request in requests:
        assert isinstance(request, Request)
        assert (request.status, request.error) == ("error", "RuntimeError: out of memory")
        assert (request.build_id, request.question) == ("b1", "Why?")


def test_nothing_is_asked_of_a_fleet_that_is_not_ready(logger: QueryLogger) -> None:
    async def run() -> None:
        service = make_service(OneVersion(ready=False), logger)
        with pytest.raises(Refusal, match="are being loaded") as caught:
            await service.ask(AskBody(question="Why?"))
        assert (caught.value.status, caught.value.retry_after) == (503, 5.0)
        service.close()

    asyncio.run(run())
