"""What the service answers, and what of it is in the log."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from ragdiag.cli import main
from ragdiag.privacy.pseudonyms import user_key
from ragdiag.records import Feedback, IndexBuild, Request
from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake
from ragdiag.store.results import save_version
from ragdiag.version import Version

from .conftest import QUESTION, House, Start, ToyModel, toy_version

Build = Callable[..., IndexBuild]
Logged = Callable[[], dict[str, Request]]


def test_an_answer_with_all_that_it_rests_on_and_its_line_in_the_lake(
    start: Start, build: Build, version: Version, logged: Logged, workspace: Workspace
) -> None:
    build_id = build(of=version).build_id
    service = start("plain")
    reply = service.ask(user="ada", topic="animals", question_id="q1")
    assert reply.status == 200
    told = reply.body
    assert told["answer"].startswith("Cats sleep about fifteen hours a day.")
    assert told["citations"] == ["cats"]
    assert told["context"][0] == {"passage_id": "cats", "title": "", "text": told["answer"]}
    assert (told["version"], told["build_id"]) == ("plain", build_id)
    assert (told["status"], told["cache_hit"], told["degraded_reason"]) == ("ok", False, None)
    assert told["latency_ms"].keys() == {"lexical", "packing", "generation", "total"}
    assert service.end() == ""
    (request,) = logged().values()
    assert request.request_id == told["request_id"]
    assert (request.version_id, request.build_id) == (version.version_id, build_id)
    assert (request.traffic, request.topic) == ("production", "animals")
    assert (request.question, request.question_id) == (QUESTION, "q1")
    assert request.user_key == user_key(workspace, "ada")
    assert (request.answer, request.citations) == (told["answer"], ("cats",))
    assert (request.prompt_tokens, request.searched_depth) == (50, 100)
    assert request.latency_ms["total"] == pytest.approx(told["latency_ms"]["total"])
    assert [hit.passage_id for hit in request.fused][:1] == ["cats"]


def test_who_asks_the_same_again_is_answered_from_the_cache(house: House, model: ToyModel) -> None:
    first = house.ask("How hot is the water for green tea?", tenant="a", roles=["x", "y"]).body
    before = len(model.asked)
    again = house.ask(" how hot is THE water for green tea", tenant="a", roles=["y", "x"]).body
    assert (first["cache_hit"], again["cache_hit"], len(model.asked)) == (False, True, before)
    for name in ("answer", "citations", "context", "version_id", "build_id"):
        assert again[name] == first[name]
    assert again["request_id"] != first["request_id"]
    assert again["latency_ms"].keys() == {"total"}
    (kept,), (hit,) = house.spooled(first["request_id"]), house.spooled(again["request_id"])
    assert isinstance(kept, Request)
    assert isinstance(hit, Request)
    assert (kept.cache_hit, hit.cache_hit) == (False, True)
    assert (hit.fused, hit.lexical, hit.context) == (kept.fused, kept.lexical, kept.context)
    assert (hit.prompt_tokens, hit.question) == (0, " how hot is THE water for green tea")
    for other in ({}, {"tenant": "b", "roles": ["x", "y"]}, {"tenant": "a", "roles": ["x"]}):
        assert not house.ask("How hot is the water for green tea?", **other).body["cache_hit"]


def test_a_running_service_serves_nothing_that_it_kept_before_somebody_was_forgotten(
    start: Start,
    build: Build,
    corpus: Lake,
    model: ToyModel,
    workspace: Workspace,
) -> None:
    version = toy_version("cached", model, "[cache]")
    save_version(corpus, version)
    build(of=version)
    service = start("cached")

    def is_kept(user: str) -> bool:
        return bool(service.ask(user=user).body["cache_hit"])

    assert [is_kept("ann"), is_kept("bob")] == [False, True]
    # A service has the catalog open, so the command may have to be run again when it has ended.
    main(["--workspace", str(workspace.root), "privacy", "forget-user", "ann"])
    assert not is_kept("ann"), "what was kept before"
    assert not is_kept("bob"), "what a forgotten user asks is not kept"
    assert is_kept("carol")


def test_a_dead_generator_leaves_the_passages_and_nothing_is_kept_of_it(
    house: House, model: ToyModel
) -> None:
    model.status = 500
    try:
        reply = house.ask("What makes sourdough rise?")
    finally:
        model.status = 200
    assert (reply.status, reply.body["status"]) == (200, "error")
    assert reply.body["degraded_reason"] == "generation: ProviderUnreachable"
    assert "Sourdough rises with wild yeast." in reply.body["answer"]
    assert "bread" in reply.body["citations"]
    (request,) = house.spooled(reply.body["request_id"])
    assert isinstance(request, Request)
    assert (request.status, request.degraded_reason) == ("error", reply.body["degraded_reason"])
    well = house.ask("What makes sourdough rise?").body
    assert (well["cache_hit"], well["status"]) == (False, "ok")


def test_a_search_gives_the_lists_and_is_not_logged(house: House, model: ToyModel) -> None:
    before = len(model.asked)
    reply = house.post("/search", {"question": "What is glass made of?", "user": "ada"})
    assert reply.status == 200
    assert reply.body["stages"].keys() == {"lexical", "fused"}
    assert reply.body["stages"]["fused"][0]["passage_id"] == "glass"
    assert "answer" not in reply.body
    after = house.ask("Which wolves were tamed?").body["request_id"]
    assert house.spooled(after)
    everything = b"".join(file.read_bytes() for file in house.workspace.spool.glob("*.*"))
    assert reply.body["request_id"].encode() not in everything
    assert len(model.asked) == before + 1


def test_feedback_is_logged_under_the_request(house: House) -> None:
    request_id = house.ask("How much pressure does espresso need?").body["request_id"]
    given = {"request_id": request_id, "kind": "click", "passage_id": "coffee"}
    assert house.post("/feedback", given).status == 202
    assert house.post("/feedback", {**given, "kind": "thumbs", "value": -1}).status == 202
    last = house.ask("And what is pressure?").body["request_id"]
    assert house.spooled(last)
    said = [one for one in house.spooled(request_id) if isinstance(one, Feedback)]
    assert [(one.kind, one.value, one.passage_id) for one in said] == [
        ("click", 1.0, "coffee"),
        ("thumbs", -1.0, "coffee"),
    ]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "Invalid JSON"),
        (b"{", "Invalid JSON"),
        (b"\xff\xfe", "Invalid JSON"),
        (b"[" * 100_000, "Invalid JSON"),
        (b'{"question": ' + b"[" * 50_000 + b"]" * 50_000 + b"}", "Invalid JSON"),
        (b'"How?"', "should be an object"),
        (b"{}", "question: Field required"),
        ({"question": 7}, "question: Input should be a valid string"),
        ({"question": None}, "question: "),
        ({"question": ["How?"]}, "question: "),
        ({"question": ""}, "question: holds neither a letter nor a digit"),
        ({"question": " \n\t"}, "question: holds neither"),
        ({"question": "???"}, "question: holds neither"),
        ({"question": "How\0 long?"}, "question: holds a NUL"),
        ({"question": "How long?", "user": " "}, "user: is blank"),
        (b'{"question": "How \\ud800 long?"}', "hex escape"),
        ({"question": "sleep " * 10_000}, "question: String should have at most 20000"),
        ({"question": "of the and to"}, "is one letter long or in nearly every text"),
        ({"question": "Is it C?"}, "a rarer word of two letters or more"),
        ({"question": QUESTION, "user": 7}, "user: "),
        ({"question": QUESTION, "roles": "admin"}, "roles: "),
        ({"question": QUESTION, "roles": [["admin"]]}, "roles."),
        ({"question": QUESTION, "tenant": "x" * 501}, "tenant: "),
        ({"question": QUESTION, "qustion": "typo"}, "qustion: Extra inputs"),
    ],
)
def test_what_is_no_question_is_one_line_and_400(house: House, body: Any, message: str) -> None:
    reply = house.post("/ask", body)
    assert reply.status == 400, reply.body
    assert message in reply.body["error"]
    assert len(reply.body["error"]) < 300
    assert "\n" not in reply.body["error"]
    assert house.service.get("/health").status == 200


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "applause"}, "kind: "),
        ({"value": 5}, "the value of thumbs is -1 or 1"),
        ({"value": "1"}, "value: "),
        ({"request_id": ""}, "request_id: "),
        ({"request_id": "x\0y"}, "request_id: holds a NUL"),
    ],
)
def test_what_is_no_feedback_is_one_line_and_400(
    house: House, changes: dict[str, Any], message: str
) -> None:
    reply = house.post("/feedback", {"request_id": "r", "kind": "thumbs", **changes})
    assert reply.status == 400
    assert message in reply.body["error"]
    nan = b'{"request_id": "r", "kind": "thumbs", "value": NaN}'
    assert house.post("/feedback", nan).status == 400


def test_a_long_question_within_the_limit_is_answered(house: House) -> None:
    reply = house.ask("How long do cats sleep, and why? " * 600)
    assert (reply.status, reply.body["citations"]) == (200, ["cats"])


def test_the_token_opens_all_but_health(house: House) -> None:
    body = json.dumps({"question": QUESTION}).encode()
    for path in ("/ask", "/search", "/feedback"):
        for key in ("", "Bearer wrong", "s3cret"):
            reply = house.service.post(path, body, Authorization=key)
            assert (reply.status, reply.headers["www-authenticate"]) == (401, "Bearer")
    assert house.service.get("/metrics").status == 401
    assert house.service.get("/health").body["serving"]["production"]["version"] == "cached"
    assert house.service.get("/ask").status == 405
    assert house.service.get("/elsewhere").status == 404
    assert house.post("/ask", b"x" * 300_000).status == 413


def test_the_counters_tell_requests_stages_hits_and_refusals(house: House) -> None:
    for _ in range(2):
        house.ask("How long does the Moon take around the Earth?")
    house.post("/ask", b"{")
    text = house.service.get("/metrics", Authorization="Bearer s3cret").body
    found = {
        name: float(value)
        for name, value in (line.rsplit(" ", 1) for line in text.splitlines() if line[0] != "#")
    }

    def read(name: str, **labels: str) -> float:
        told = ",".join(f'{label}="{value}"' for label, value in sorted(labels.items()))
        return found[f"ragdiag_{name}{{{told}}}" if told else f"ragdiag_{name}"]

    of: dict[str, str] = {"version": "cached"}
    for hit in ("true", "false"):
        outcome = {"status": "ok", "degraded": "false", "traffic": "production"}
        assert read("requests_total", **of, **outcome, cache_hit=hit) >= 1
    assert read("refusals_total", status="400") >= 1
    assert read("stage_seconds_count", **of, stage="lexical") >= 1
    of["role"] = "production"
    assert read("breaker_state", **of, stage="generation") == 0
    assert read("serving", **of, build=house.build_id) == read("ready") == 1
    assert read("cache_entries", **of) >= 1
    assert read("workers_waiting") == read("log_lost") == 0
