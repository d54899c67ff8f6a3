"""The openai generator against servers on 127.0.0.1 that misbehave as real ones do."""

from __future__ import annotations

import re
import socket
import time
from contextlib import closing

import pytest

from ragdiag.errors import (
    GenerationError,
    PromptRefused,
    ProviderRefused,
    ProviderUnreachable,
    SpecError,
)
from ragdiag.generation.chat import MAX_BODY_BYTES
from ragdiag.generation.generator import load_generator
from ragdiag.records import ContextPassage
from ragdiag.version import OpenAISpec
from tests.faulty_server import FaultyServer

KEY = "sk-test-0123456789abcdef"
CONTEXT = (
    ContextPassage("doc#0", "Aspirin thins the blood."),
    ContextPassage("doc#1", "Take two tablets daily."),
)


@pytest.fixture(autouse=True)
def _surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGDIAG_TEST_KEY", KEY)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        # a proxy of this machine must not stand between the test and its own server
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def spec_for(base_url: str, **settings: object) -> OpenAISpec:
    values = {"retries": 0, "timeout_s": 5.0, "api_key_env": "RAGDIAG_TEST_KEY", **settings}
    return OpenAISpec.model_validate(
        {"kind": "openai", "model": "m", "base_url": base_url, **values}
    )


def completion(content: object, **extra: object) -> dict[str, object]:
    return {"choices": [{"message": {"role": "assistant", "content": content}}], **extra}


def failure(spec: OpenAISpec) -> GenerationError:
    with pytest.raises(GenerationError) as caught:
        load_generator(spec).answer("How many?", CONTEXT)
    assert KEY not in str(caught.value)
    assert "\n" not in str(caught.value)
    return caught.value


def test_what_is_sent(faulty_server: FaultyServer) -> None:
    faulty_server.answers(200, completion("Two [2]."))
    spec = spec_for(faulty_server.base_url, temperature=0.5, max_output_tokens=7)
    load_generator(spec).answer("How many?", CONTEXT)
    (sent,) = faulty_server.seen
    assert {key: sent[key] for key in ("model", "temperature", "max_tokens")} == {
        "model": "m",
        "temperature": 0.5,
        "max_tokens": 7,
    }
    assert [message["role"] for message in sent["messages"]] == ["system", "user"]
    assert faulty_server.keys == [f"Bearer {KEY}"]


def test_tokens_that_the_server_does_not_count_are_none(faulty_server: FaultyServer) -> None:
    faulty_server.answers(200, completion("Two."))
    answer = load_generator(spec_for(faulty_server.base_url, prompt_price=1)).answer("?", CONTEXT)
    assert (answer.prompt_tokens, answer.completion_tokens, answer.cost_usd) == (None, None, None)


@pytest.mark.parametrize("content", [None, "", "NO_ANSWER"])
def test_empty_content_is_no_answer_with_its_cost(
    faulty_server: FaultyServer, content: str | None
) -> None:
    usage = {"prompt_tokens": 1000, "completion_tokens": 0}
    faulty_server.answers(200, completion(content, usage=usage))
    answer = load_generator(
        spec_for(faulty_server.base_url, prompt_price=2, completion_price=0)
    ).answer("?", CONTEXT)
    assert (answer.status, answer.text, answer.cost_usd) == ("no_answer", "", 0.002)


def test_the_default_server_without_a_key_is_refused_before_any_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("RAGDIAG_TEST_KEY")
    monkeypatch.setattr(socket, "create_connection", lambda *_: pytest.fail("it called"))
    spec = OpenAISpec(kind="openai", model="m", api_key_env="RAGDIAG_TEST_KEY")
    with pytest.raises(ProviderRefused, match="RAGDIAG_TEST_KEY is not set"):
        load_generator(spec)


def test_a_key_with_strange_characters_is_refused_before_any_call(
    faulty_server: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAGDIAG_TEST_KEY", "sk-ключ")
    with pytest.raises(ProviderRefused, match="RAGDIAG_TEST_KEY holds a character") as caught:
        load_generator(spec_for(faulty_server.base_url))
    assert "ключ" not in str(caught.value)
    assert faulty_server.seen == []


@pytest.mark.parametrize(
    ("status", "remedy"),
    [
        (400, "mend the version's"),
        (401, "set RAGDIAG_TEST_KEY"),
        (403, "use a key in RAGDIAG_TEST_KEY"),
        (404, "name a model that this server has"),
        (413, "mend the version's"),
        (422, "mend the version's"),
        (429, "raise the quota"),
    ],
)
def test_a_refusal_names_server_model_status_and_remedy(
    faulty_server: FaultyServer, status: int, remedy: str
) -> None:
    faulty_server.answers(status, {"error": {"message": f"no\nwith {KEY} " + "x" * 999}})
    error = failure(spec_for(faulty_server.base_url))
    assert type(error) is (PromptRefused if status in (400, 413, 422) else ProviderRefused)
    assert f"{faulty_server.base_url} refused model m with HTTP {status}" in str(error)
    assert remedy in error.remedy
    assert len(str(error)) < 600


@pytest.mark.parametrize("status", [500, 503, 408])
def test_a_broken_server_is_tried_again_and_then_unreachable(
    faulty_server: FaultyServer, status: int
) -> None:
    faulty_server.answers(status, {})
    error = failure(spec_for(faulty_server.base_url, retries=1))
    assert isinstance(error, ProviderUnreachable)
    assert f"HTTP {status}; 2 attempts of 5 s" in str(error)
    assert len(faulty_server.seen) == 2


def test_a_wrong_key_is_not_tried_again(faulty_server: FaultyServer) -> None:
    faulty_server.answers(401, {})
    failure(spec_for(faulty_server.base_url, retries=3))
    assert len(faulty_server.seen) == 1


def test_a_server_that_hangs_is_given_up_at_the_deadline(faulty_server: FaultyServer) -> None:
    faulty_server.hangs()
    started = time.monotonic()
    error = failure(spec_for(faulty_server.base_url, timeout_s=0.3))
    assert time.monotonic() - started < 5
    assert isinstance(error, ProviderUnreachable)
    assert error.message.startswith(f"{faulty_server.base_url} gave no answer")
    assert re.search(r"Timeout; 1 attempts? of 0.3 s", error.message)


def test_a_server_that_trickles_is_given_up_at_the_deadline(faulty_server: FaultyServer) -> None:
    faulty_server.trickles()
    started = time.monotonic()
    error = failure(spec_for(faulty_server.base_url, timeout_s=0.4))
    assert time.monotonic() - started < 5
    assert isinstance(error, ProviderUnreachable)
    assert "trickled" in error.message


def test_no_server_at_all() -> None:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    error = failure(spec_for(f"http://127.0.0.1:{port}/v1"))
    assert isinstance(error, ProviderUnreachable)
    assert "check that the server runs" in error.remedy


@pytest.mark.parametrize(
    "body",
    [
        b"<html>Welcome</html>",
        b"\xff\xfe",
        b"",
        {"choices": []},
        {"object": "list"},
        completion(["not", "text"]),
        {"choices": [{"text": "an older protocol"}]},
        completion("ok", usage={"prompt_tokens": -5}),
    ],
    ids=["html", "bytes", "empty", "no choice", "other", "content", "completions", "usage"],
)
def test_an_answer_that_is_no_completion_is_refused(
    faulty_server: FaultyServer, body: object
) -> None:
    faulty_server.answers(200, body)
    error = failure(spec_for(faulty_server.base_url))
    assert isinstance(error, ProviderRefused)
    assert "no chat completion" in error.message


def test_endless_output_is_refused(faulty_server: FaultyServer) -> None:
    faulty_server.answers(200, completion("x" * (MAX_BODY_BYTES + 1)))
    error = failure(spec_for(faulty_server.base_url))
    assert isinstance(error, ProviderRefused)
    assert f"more than {MAX_BODY_BYTES} bytes" in error.message


@pytest.mark.parametrize(
    "base_url",
    ["nonsense", "http://", "ftp://127.0.0.1/v1", "http://[::1", "http://127.0.0.1:99999/v1"],
)
def test_a_base_url_that_is_none(base_url: str) -> None:
    with pytest.raises(SpecError, match="is no web address") as caught:
        load_generator(spec_for(base_url))
    assert base_url in str(caught.value)
