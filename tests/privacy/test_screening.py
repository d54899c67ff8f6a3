from __future__ import annotations

import json

import pytest

from ragdiag.errors import InputError
from ragdiag.privacy.hiding import is_hidden, shown_text
from ragdiag.privacy.pseudonyms import read_user, user_key
from ragdiag.privacy.screening import DROPPED, Screen, open_screen
from ragdiag.settings import Workspace
from ragdiag.user_ids import USER_IDS, users_named


def configured(workspace: Workspace, text: str) -> Screen:
    workspace.root.mkdir(parents=True, exist_ok=True)
    workspace.configuration.write_text(text, encoding="utf-8")
    return open_screen(workspace)


def test_without_a_word_texts_are_redacted_and_stored(workspace: Workspace) -> None:
    screen = open_screen(workspace)
    assert screen.conceal(["Mail ann@x.org", None, ""]) == ["Mail [email]", None, ""]


def test_texts_that_are_not_stored_still_group(workspace: Workspace) -> None:
    screen = configured(workspace, "[privacy]\nstore_text = false\n")
    first, again, other, nothing, none = screen.conceal(["Why?", "Why?", "How?", "", None])
    assert first == again != other
    assert first is not None
    assert is_hidden(first)
    assert (nothing, none) == ("", None)
    assert screen.conceal([first]) == [first], "screening twice is screening once"
    assert shown_text(first) == f"(text not stored) {first[6:14]}"
    assert screen.redact(["Why?", first]) == ["Why?", first]


def test_the_configuration_is_read_again_when_it_changes(workspace: Workspace) -> None:
    assert configured(workspace, "[privacy]\nredact = []\n").is_open
    own = configured(workspace, "[privacy]\nredact = []\n[privacy.patterns]\nticket = 'T-[0-9]+'\n")
    assert own.redact(["T-12, ann@x.org"]) == ["[ticket], ann@x.org"]
    with pytest.raises(InputError, match=r"privacy\.patterns\.ticket is no pattern"):
        configured(workspace, "[privacy.patterns]\nticket = '('\n")


@pytest.mark.parametrize(
    "text",
    [
        "[privacy]\nredact = ['mail']\n",
        "[privacy]\nencrypt = ['lake']\n",
        "[privacy]\nencryption_key_env = 'a key'\n",
        "[privacy]\nphone_regions = ['Germany']\n",
        "[privacy.patterns]\nemail = 'x'\n",
        "[privacy.patterns]\n'a b' = 'x'\n",
    ],
)
def test_a_mistake_in_the_configuration_names_its_key(workspace: Workspace, text: str) -> None:
    with pytest.raises(InputError, match=r"ragdiag\.toml: privacy"):
        configured(workspace, text)


ATTRIBUTES = {
    "input.value": 'Ask "ann@x.org"\n203.0.113.9',
    "gen_ai.input.messages": json.dumps([{"role": "user", "content": "line\nann@x.org\tend"}]),
    "retrieval.documents.0.document.id": "doc-1",
    "retrieval.documents": [{"document.id": "d", "document.content": "by bob@x.org", "n": 3}],
    "user.id": "ann@x.org",
    "count": 5,
    "none": None,
}


def test_attributes_lose_texts_and_keep_their_shape(workspace: Workspace) -> None:
    kept = open_screen(workspace).attributes([ATTRIBUTES])[0]
    assert kept == {
        **ATTRIBUTES,
        "input.value": 'Ask "[email]"\n[ip]',
        "gen_ai.input.messages": json.dumps([{"role": "user", "content": "line\n[email]\tend"}]),
        "retrieval.documents": [{"document.id": "d", "document.content": "by [email]", "n": 3}],
        "user.id": f"user:{user_key(workspace, 'ann@x.org')}",
    }
    assert read_user(workspace, kept["user.id"]) == read_user(workspace, "ann@x.org")
    assert open_screen(workspace).attributes([kept]) == [kept]


def test_attributes_that_hold_texts_are_concealed_and_names_are_not(workspace: Workspace) -> None:
    kept = configured(workspace, "[privacy]\nstore_text = false\n").attributes([ATTRIBUTES])[0]
    (message,) = json.loads(kept["gen_ai.input.messages"])
    documents = kept["retrieval.documents"]
    assert is_hidden(kept["input.value"])
    assert is_hidden(message["content"])
    assert is_hidden(documents[0]["document.content"])
    assert documents[0]["document.id"] == "d"
    assert kept["retrieval.documents.0.document.id"] == "doc-1"
    assert open_screen(workspace).attributes([kept]) == [kept]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ('{"ann@x.org": "active"}', '{"[email]": "active"}'),
        (
            '{"card": 4111111111111111, "n": 1234567890123}',
            '{"card": "[card]", "n": 1234567890123}',
        ),
        ('{"q": "mail ann@x.org", "q": "ok"}', '{"q": "ok"}'),
        (' {"q": "ann\\u0040x.org"}', '{"q": "[email]"}'),
    ],
)
def test_nothing_in_json_is_passed_over(workspace: Workspace, given: str, kept: str) -> None:
    screen = open_screen(workspace)
    screened = screen.attributes([{"input.value": given}])
    assert screened == [{"input.value": kept}]
    assert screen.attributes(screened) == screened
    assert screen.attributes([{"ann@x.org": 4111111111111111}]) == [{"[email]": "[card]"}]


TOLD = "my daughter has epilepsy"


@pytest.mark.parametrize(
    "name",
    [
        "gen_ai.tool.call.result", "gen_ai.system_instructions", "tool.parameters",
        "llm.invocation_parameters", "http.url", "db.statement", "metadata", "tag.tags",
        "traceloop.prompt.template_variables", "ragdiag.question", "gen_ai.completion.0.content",
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "shape",
    [
        TOLD,
        json.dumps({"note": TOLD}),
        json.dumps({"content": json.dumps({"name": TOLD}), TOLD: 1}),
        [TOLD],
    ],
)
def test_a_text_is_concealed_whatever_it_stands_under(
    workspace: Workspace, name: str, shape: object
) -> None:
    screen = configured(workspace, "[privacy]\nstore_text = false\n")
    screened = screen.attributes([{name: shape}])
    assert TOLD not in json.dumps(screened)
    assert screen.attributes(screened) == screened


def test_what_is_read_from_spans_stays_readable(workspace: Workspace) -> None:
    read = {
        "openinference.span.kind": "LLM",
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "m-1",
        "gen_ai.usage.input_tokens": 12,
        "llm.invocation_parameters": '{"model": "m-1", "temperature": 0}',
        "gen_ai.retrieval.documents": '[{"id": "d1", "score": 0.5}]',
        "metadata": '{"topic": "cats", "tenant": "acme", "question_id": "q1"}',
        "retrieval.documents.0.document.metadata": '{"source": "a.pdf", "position": 3}',
        "annotations.0.annotation.label": "thumbs_up",
        "ragdiag.citations": ["d1"],
        "service.name": "shop",
        "tool.name": "search",
        "user_agent.name": "Chrome",
        "service.version": "1.2",
    }
    screen = configured(workspace, "[privacy]\nstore_text = false\n")
    assert screen.attributes([read]) == [read]
    message = {"role": "user", "parts": [{"type": "text", "content": TOLD}]}
    (kept,) = screen.attributes([{"gen_ai.input.messages": json.dumps([message])}])
    (said,) = json.loads(kept["gen_ai.input.messages"])
    assert (said["role"], said["parts"][0]["type"]) == ("user", "text")
    assert is_hidden(said["parts"][0]["content"])


@pytest.mark.parametrize(
    "name",
    [
        "user.name", "user.full_name", "enduser.name", "customer_name", "person.display.name",
        "full_name", "metadata.first_name",
    ],
)  # fmt: skip
def test_a_persons_name_is_concealed(workspace: Workspace, name: str) -> None:
    screen = configured(workspace, "[privacy]\nstore_text = false\n")
    given = {name: "Ann Miller", "metadata": json.dumps({name: "Ann Miller"})}
    screened = screen.attributes([given])
    assert "Miller" not in json.dumps(screened)
    assert screen.attributes(screened) == screened


def test_attributes_nested_out_of_reach_are_dropped(workspace: Workspace) -> None:
    deep: dict[str, object] = {"text": "ann@x.org"}
    for _ in range(5_000):
        deep = {"a": deep}
    screen = open_screen(workspace)
    assert screen.attributes([{"deep": deep}]) == [DROPPED]
    mail = {"input.value": "ann@x.org"}
    shallow = {"input.value": "[email]"}
    assert screen.attributes([mail, {"deep": deep}, mail]) == [shallow, DROPPED, shallow]


def test_bodies_are_looked_through_as_text_escapes_included(workspace: Workspace) -> None:
    bodies = ['{"question": "ann\\u0040x.org', "not json bob@x.org"]
    screen = open_screen(workspace)
    assert screen.bodies(bodies) == ['{"question": "[email]', "not json [email]"]
    hidden = configured(workspace, "[privacy]\nstore_text = false\n").bodies(bodies)
    assert all(is_hidden(body) for body in hidden)


@pytest.mark.parametrize("redact", ["[]", "['email']"])
@pytest.mark.parametrize(
    "body",
    [
        '{"kind": "span", "schema": 2, "attributes": {"who": "ann77"',
        'k", "attributes": {"user.id": "ann77"}}',
        '"metadata": "{\\"user_id\\": \\"ann77\\"}"}}',
        '{"kind": "request", "user_key": "ann77", "question',
        '{"kind": "request", "schema": 2, "user_id": "ann77"}',
        '{"question": "Why?", "version_id": "v1", "user": "ann77"}',
        '{"kind": "request", "user_key": 4711, "question": "Why?"}',
        '{"kind": "request", "user_key":["ann77"], "question": "Why?"}',
        "{'request_id': 'r1', 'user_key': {'id': 'ann77'}}",
    ],
)
def test_nothing_is_kept_of_a_line_that_may_name_a_user(
    workspace: Workspace, redact: str, body: str
) -> None:
    screen = configured(workspace, f"[privacy]\nredact = {redact}\n")
    named = f'{{"kind": "request", "user_key": "{"0f" * 16}", "question'
    unnamed = '{"role": "user", "user_key" : null, "question'
    assert screen.bodies([body, named, unnamed, "plain"]) == ["", named, unnamed, "plain"]


@pytest.mark.parametrize("name", ["user_id", "langfuse.user.id"])
def test_names_that_tracers_give_the_user_are_known(workspace: Workspace, name: str) -> None:
    (kept,) = open_screen(workspace).attributes([{name: "ann77"}])
    assert kept == {name: f"user:{user_key(workspace, 'ann77')}"}


@pytest.mark.parametrize("redact", ["[]", "['email']"])
def test_every_attribute_that_names_the_user_does_so_by_pseudonym(
    workspace: Workspace, redact: str
) -> None:
    screen = configured(workspace, f"[privacy]\nredact = {redact}\n")
    user = "ann@x.org"
    stated = {"user_id": user, "n": 1}
    came = {
        **dict.fromkeys(USER_IDS, user),
        "metadata": json.dumps(stated),
        "traceloop.association.properties": json.dumps(stated),
        "traceloop.association.properties.metadata": stated,
        "llm.invocation_parameters": json.dumps({"user": user, "metadata": stated, "n": 1}),
    }
    (kept,) = screen.attributes([came])
    assert len(users_named(came)) == len(came) + 1
    assert set(users_named(kept)) == {screen.pseudonym(user)}
    assert user not in json.dumps(kept)
    assert json.loads(kept["metadata"])["n"] == 1
    assert json.loads(kept["llm.invocation_parameters"])["metadata"]["n"] == 1
    assert screen.attributes([kept]) == [kept]
