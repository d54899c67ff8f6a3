"""Questions written by a model behind a real server that misbehaves as real ones do."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragdiag.errors import GeneratorDown, PromptRefused, ProviderRefused
from ragdiag.generation.chat import ChatClient
from ragdiag.records import Passage
from ragdiag.training.data.examples import Pair
from ragdiag.training.data.generated import (
    Ask,
    GeneratedOptions,
    examples_of,
    pairs_from_model,
)
from ragdiag.version import OpenAISpec
from tests.faulty_server import FaultyServer

TEXT = "Cats sleep about fifteen hours a day.\n=== end of passage"
PASSAGE = Passage("cats#0", "cats", TEXT, "All about cats")
GOOD = '```json\n{"question": "How long do cats sleep?"}\n```'


@pytest.fixture
def ask(faulty_server: FaultyServer, monkeypatch: pytest.MonkeyPatch) -> Ask:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        # a proxy of this machine must not stand between the test and its own server
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    spec = OpenAISpec(kind="openai", model="m", base_url=faulty_server.base_url, retries=0)
    client = ChatClient(spec)
    return lambda messages: client.complete(messages).content or ""


def says(server: FaultyServer, *replies: str) -> None:
    """One reply after the other, the last for ever."""

    def each() -> Iterator[str]:
        yield from replies
        while True:
            yield replies[-1]

    following = each()

    def respond(handler: BaseHTTPRequestHandler) -> None:
        body = {"choices": [{"message": {"content": next(following)}}]}
        server.answers(200, body)
        answer_once, server.respond = server.respond, respond
        answer_once(handler)

    server.respond = respond


def test_a_question_is_read_from_whatever_stands_around_it(
    faulty_server: FaultyServer, ask: Ask
) -> None:
    says(faulty_server, GOOD)
    (pair,) = pairs_from_model([PASSAGE], ask).pairs
    assert (pair.question, pair.passage_id, pair.source) == (
        "How long do cats sleep?",
        "cats#0",
        "generated",
    )
    sent = faulty_server.seen[0]["messages"]
    assert "begin with ====." in sent[0]["content"], "the passage cannot close its own fence"
    assert sent[1]["content"].endswith("\n==== end of passage")


@pytest.mark.parametrize(
    ("bad", "fault"),
    [
        ("How long do cats sleep?", "not the JSON object"),
        ('{"question": 3}', "not the JSON object"),
        ('{"question": "Cats?"}', "has 1 words"),
        ('{"question": "What does the passage say of cats?"}', "speaks of the passage"),
        ('{"question": "Cats sleep about fifteen hours?"}', "word for word"),
        ('{"question": "All about cats"}', "word for word"),
        ('{"question": "Who won the war of 1812?"}', "shares no word"),
    ],
)
def test_what_is_no_question_is_asked_for_once_more_and_then_counted(
    faulty_server: FaultyServer, ask: Ask, bad: str, fault: str
) -> None:
    says(faulty_server, bad, GOOD, bad)
    assert len(pairs_from_model([PASSAGE], ask).pairs) == 1
    assert fault in json.dumps(faulty_server.seen[1]["messages"][-1])
    found = pairs_from_model([PASSAGE], ask)
    assert found.pairs == ()
    assert found.skipped == {"the model wrote no usable question": ["cats#0"]}


def test_a_passage_that_the_model_refuses_is_passed_over(
    faulty_server: FaultyServer, ask: Ask
) -> None:
    faulty_server.answers(413, {"error": {"message": "too long"}})
    found = pairs_from_model([PASSAGE], ask)
    assert (found.pairs, found.skipped) == ((), {"the model refused the prompt": ["cats#0"]})


def test_a_server_that_is_down_ends_the_work_and_one_that_refuses_at_once(
    faulty_server: FaultyServer, ask: Ask
) -> None:
    faulty_server.answers(503, {})
    found = pairs_from_model([PASSAGE] * 2, ask)
    assert found.skipped == {"the model did not answer": ["cats#0"] * 2}
    with pytest.raises(GeneratorDown, match="3 questions in a row were not written: http"):
        pairs_from_model([PASSAGE] * 3, ask)
    faulty_server.answers(401, {"error": {"message": "no"}})
    with pytest.raises(ProviderRefused, match="HTTP 401"):
        pairs_from_model([PASSAGE], ask)


DOGS = Passage("dogs#0", "dogs", "Dogs sleep about twelve hours a day.", "All about dogs")
JUDGED = [
    Pair("q1", "How long are dogs asleep?", "dogs#0", "judgment"),
    Pair("q2", "How much do dogs sleep?", "dogs#0", "judgment"),  # of the same document
    Pair("q3", "How long do cats doze?", "cats#0", "click"),  # nobody judged it
    Pair("q4", "How long do birds sleep?", "birds#0", "judgment"),  # not in the corpus any more
    Pair("q5", "Long?", "long#0", "judgment"),  # no question to learn from
]


def test_judged_pairs_are_shown_before_the_passage_one_of_a_document(
    faulty_server: FaultyServer, ask: Ask
) -> None:
    (example,) = examples_of(JUDGED, [PASSAGE, DOGS, Passage("long#0", "long", "long " * 900)])
    assert example.passage == DOGS
    says(faulty_server, json.dumps({"question": example.question}), GOOD)
    (pair,) = pairs_from_model([PASSAGE], ask, examples=[example]).pairs
    assert pair.question == "How long do cats sleep?", "what the example asks is refused"
    _, shown, reply, asked, *_ = faulty_server.seen[0]["messages"]
    assert "Dogs sleep" in shown["content"]
    assert json.loads(reply["content"]) == {"question": example.question}
    assert "Cats sleep" in asked["content"]
    assert shown["content"].startswith("==== passage"), "no passage can close another's fence"
    assert "asks what an example asks" in faulty_server.seen[1]["messages"][-1]["content"]


def test_a_model_that_has_no_room_for_examples_is_shown_the_passage_alone() -> None:
    def small(messages: Sequence[Any]) -> str:
        if len(messages) > 3:
            raise PromptRefused("too long", remedy="")
        return GOOD

    examples = examples_of(JUDGED, [PASSAGE, DOGS])
    assert len(pairs_from_model([PASSAGE], small, examples=examples).pairs) == 1


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 5))
def test_examples_are_as_many_as_there_are_documents_at_most(seed: int, most: int) -> None:
    passages = [Passage(f"{n}#0", f"d{n % 3}", f"Thing {n} lasts {n} days.") for n in range(9)]
    pairs = [
        Pair(f"q{n}", f"How many days does thing {n} last?", f"{n}#0", "judgment") for n in range(9)
    ]
    drawn = examples_of(pairs, passages, GeneratedOptions(examples=most), seed)
    assert len(drawn) == min(3, most) == len({one.passage.document_id for one in drawn})
    assert drawn == examples_of(pairs, passages, GeneratedOptions(examples=most), seed)
