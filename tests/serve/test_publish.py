"""What is published or deployed while the service runs serves from then on; nobody notices."""

from __future__ import annotations

import http.client
import json
from collections import Counter, defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Lock

import pytest

from ragdiag.deploy.publish import begin_history, publish_build
from ragdiag.deploy.release import route, set_production, start_canary, start_shadow
from ragdiag.identifiers import shadow_id
from ragdiag.records import Deployment, IndexBuild, Request
from ragdiag.settings import Workspace
from ragdiag.store.deployments import append_deployment
from ragdiag.store.lake import Lake
from ragdiag.store.results import save_version
from ragdiag.version import Version

from .conftest import Running, Start, ToyModel, toy_version

Build = Callable[..., IndexBuild]
Logged = Callable[[], dict[str, Request]]
RUST = "What is known about rust?"


def ask_on(connection: http.client.HTTPConnection, question: str, user: str) -> tuple[int, dict]:
    body = json.dumps({"question": question, "user": user})
    connection.request("POST", "/ask", body)
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


@pytest.mark.slow
def test_a_thousand_requests_outlive_a_publication(
    start: Start,
    build: Build,
    version: Version,
    corpus: Lake,
    workspace: Workspace,
    logged: Logged,
) -> None:
    old = build(of=version).build_id
    begin_history(corpus, workspace, version.spec.index_key)
    new = build("rust", of=version).build_id
    service = start("plain", "--workers", "4", "--queue", "64")
    replies: list[dict] = []
    moved, lock = Event(), Lock()

    def be_a_client(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
        while len(replies) < 1_000 or not moved.is_set():
            status, told = ask_on(connection, RUST, f"user {number}")
            assert status == 200, told
            with lock:
                replies.append(told)
                if len(replies) == 300:
                    publish_build(workspace, version.spec.index_key, new, by="test")
            if told["build_id"] == new:
                moved.set()
        connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(be_a_client, range(8)))
    assert service.end() == ""
    found = defaultdict(set)
    for told in replies:
        found[told["build_id"]].add(told["answer"])
    assert found.keys() == {old, new}
    assert found[new] == {"What is known about rust."}
    assert len(found[old]) == 1
    assert found[old] != found[new]
    requests = logged()
    assert len(requests) == len(replies) >= 1_000
    assert {one["request_id"]: one["build_id"] for one in replies} == {
        key: request.build_id for key, request in requests.items()
    }


def deploy(lake: Lake, change: Callable[[Deployment | None], Deployment]) -> Deployment:
    return append_deployment(lake, "set", change, actor="test", evidence={}).deployment


def test_canary_and_shadow_answer_by_the_deployment_and_it_is_followed(
    start: Start,
    build: Build,
    version: Version,
    corpus: Lake,
    model: ToyModel,
    logged: Logged,
) -> None:
    build(of=version)
    canary, shadow = (
        toy_version(name, model, f"[context]\nk = {k}") for name, k in (("canary", 1), ("shade", 2))
    )
    for one in (canary, shadow):
        save_version(corpus, one)
    deploy(corpus, lambda state: set_production(state, version.version_id))
    service = start("--workers", "2")
    assert service.ask(user="ada").body["version"] == "plain"
    deploy(corpus, lambda state: start_canary(state, canary.version_id, 0.5))
    deployment = deploy(corpus, lambda state: start_shadow(state, shadow.version_id))
    service.wait_until(lambda: len(service.get("/health").body["serving"]) == 3)
    users = [f"user {number}" for number in range(20)]
    told = {user: service.ask(user=user).body for user in users}
    names = {version.version_id: "plain", canary.version_id: "canary"}
    assert {user: one["version"] for user, one in told.items()} == {
        user: names[route(deployment, user)] for user in users
    }
    assert len(Counter(one["version"] for one in told.values())) == 2
    wait_for_shadows(service, sum(one["version"] == "plain" for one in told.values()))
    deploy(corpus, lambda state: Deployment(canary.version_id))
    service.wait_until(lambda: service.ask(user=users[0]).body["version"] == "canary")
    service.end()
    requests = logged()
    for one in told.values():
        request = requests[one["request_id"]]
        mirrored = requests.get(shadow_id(one["request_id"], shadow.version_id))
        if one["version"] == "canary":
            assert (request.traffic, mirrored) == ("canary", None)
        else:
            assert mirrored is not None
            assert (request.traffic, mirrored.traffic) == ("production", "shadow")
            assert mirrored.version_id == shadow.version_id
            assert (mirrored.question, mirrored.user_key) == (request.question, request.user_key)


def wait_for_shadows(service: Running, n: int) -> None:
    def done() -> bool:
        lines = service.get("/metrics").body.splitlines()
        counts = [line for line in lines if "requests_total" in line and 'c="shadow"' in line]
        return sum(float(line.rsplit(" ", 1)[1]) for line in counts) == n

    service.wait_until(done)
