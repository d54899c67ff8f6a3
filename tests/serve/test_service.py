"""The service without its HTTP: defects, and a fleet that is not there yet."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.testclient import TestClient

from ragdiag import QueryLogger
from ragdiag.http.refusals import Refusal
from ragdiag.pipeline import Pipeline
from ragdiag.records import Answer, ContextPassage, Hit, Request, Retrieval, Traffic
from ragdiag.retrieval.filters import PassageFilter
from ragdiag.serve.app import Limits, make_app
from ragdiag.serve.bodies import AskBody, SearchBody
from ragdiag.serve.fleet import Served
from ragdiag.serve.service import Capacity, Service
from ragdiag.settings import Workspace
from ragdiag.store.lines import parse_line
from ragdiag.version import Version, parse_spec

SPEC = parse_spec("[lexical]\n[generator]\nkind = 'extractive'", source="toy")


class Broken:
    name = "broken"

    def fail(self, *asked: object, **options: object) -> Any:
        raise RuntimeError("out of memory")

    retrieve = pack = read = answer = fail


@dataclass
class OneVersion:
    """A fleet whose only pipeline is broken, once it is ready."""

    ready: bool = True
    serving: dict[str, Served] = field(default_factory=dict)

    def choose(self, key: str) -> tuple[Served, Traffic]:
        return _served(Broken()), "production"


@dataclass
class Slow:
    """Every part of a pipeline: it finds nothing, and answers after ``seconds``."""

    seconds: float = 0.0
    name: str = "slow"

    def retrieve(self, question: str, *, only: PassageFilter) -> Retrieval:
        return Retrieval(fused=())

    def pack(self, hits: Sequence[Hit]) -> tuple[ContextPassage, ...]:
        return ()

    read = pack

    def answer(self, question: str, context: Sequence[ContextPassage]) -> Answer:
        time.sleep(self.seconds)
        return Answer("because")


@dataclass
class WithShadow:
    """A fleet of two pipelines, each made of one thing for all of its parts."""

    production: Any
    shadow: Any
    ready: bool = True

    @property
    def serving(self) -> dict[str, Served]:
        return {"production": _served(self.production), "shadow": _served(self.shadow)}

    def choose(self, key: str) -> tuple[Served, Traffic]:
        return self.serving["production"], "production"


def _served(part: Any) -> Served:
    return Served(Pipeline(Version("toy", SPEC), "b1", part, part, part), None)


@pytest.fixture
def logger(workspace: Workspace) -> Iterator[QueryLogger]:
    with QueryLogger(workspace, version_id="v1") as logger:
        yield logger


def make_service(fleet: Any, logger: QueryLogger, deadline_s: float = 10) -> Service:
    return Service(fleet, logger, Capacity(workers=1, waiting=1, deadline_s=deadline_s))


async def shadows_are_done(service: Service) -> None:
    async with asyncio.timeout(30):
        while b'traffic="shadow"' not in service.metrics.text():
            await asyncio.sleep(0.02)


def logged(workspace: Workspace) -> list[Request]:
    files = [path.read_bytes() for path in workspace.spool.glob("*.jsonl")]
    requests = [parse_line(line) for file in files for line in file.splitlines()]
    return [one for one in requests if isinstance(one, Request)]


def test_blanks_around_a_user_are_no_part_of_the_id() -> None:
    """Else one user would meet both sides of a canary, and be logged as one."""
    assert AskBody(question="Why?", user=" ada\n").user == "ada"


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
    requests = logged(workspace)
    assert len(requests) == 2
    for request in requests:
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


@pytest.mark.parametrize(
    ("production", "shadow", "told"),
    [
        (Slow(), Broken(), ["", "RuntimeError: out of memory"]),
        (Broken(), Slow(), ["RuntimeError: out of memory", ""]),
        (Slow(), Slow(1.2), ["", "no answer within the "]),
    ],
)
def test_whatever_production_took_is_put_to_the_shadow_and_logged(
    production: Any, shadow: Any, told: list[str], logger: QueryLogger, workspace: Workspace
) -> None:
    async def run() -> None:
        service = make_service(WithShadow(production, shadow), logger, deadline_s=1.0)
        await service.ask(AskBody(question="Why?"))
        await shadows_are_done(service)
        service.close()

    asyncio.run(run())
    first, second = sorted(logged(workspace), key=lambda one: one.request_id)
    assert [one.traffic for one in (first, second)] == ["production", "shadow"]
    for request, error in zip((first, second), told, strict=True):
        assert request.status == ("error" if error else "ok")
        assert (request.error or "").startswith(error)


def test_a_question_whose_turn_never_came_has_no_shadow(
    logger: QueryLogger, workspace: Workspace
) -> None:
    async def run() -> None:
        service = make_service(WithShadow(Slow(1.5), Slow()), logger, deadline_s=0.7)
        asked = [service.ask(AskBody(question=question)) for question in ("Why?", "How?")]
        assert [one.code for one in await asyncio.gather(*asked)] == [504, 504]
        await shadows_are_done(service)
        service.close()

    asyncio.run(run())
    requests = [(one.traffic, one.question) for one in logged(workspace)]
    assert sorted(requests) == [("production", "How?"), ("production", "Why?"), ("shadow", "Why?")]


def test_a_crowd_is_refused_in_json_and_counted(logger: QueryLogger) -> None:
    service = make_service(OneVersion(), logger)
    watch: Any = None  # nothing starts without the lifespan
    client = TestClient(make_app(service, watch, None, Limits(rate=1, burst=1, max_requests=0)))
    answer = client.post("/ask", json={"question": "Why?"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json() == {"error": "too many requests at once: try again"}
    assert b'ragdiag_refusals_total{status="503"} 1.0' in service.metrics.text()
    service.close()
