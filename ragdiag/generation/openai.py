"""Answers from any OpenAI-compatible server, by ``chat.completions``.

Every way the server can fail is one of two errors: ProviderRefused where it answered and said no
(4xx, or something that is no completion), ProviderUnreachable where it did not answer in time or
broke down (no connection, 408, 5xx). The key is never in a message, whatever the server echoes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, ValidationError

from ragdiag.errors import GenerationError, ProviderRefused, ProviderUnreachable, SpecError
from ragdiag.generation.grounded_prompt import build_messages, read_reply
from ragdiag.records import Answer, ContextPassage
from ragdiag.version import OpenAISpec

if TYPE_CHECKING:
    from openai import APIStatusError, OpenAI
    from openai.types.chat import ChatCompletionMessageParam

OPENAI_HOST = "api.openai.com"
NO_KEY = "none"
"""Sent to servers that ask for no key; the client cannot send nothing."""

MAX_BODY_BYTES = 4_000_000
MAX_QUOTED_CHARS = 200

REMEDIES = {
    400: "see what the server says, and mend the version's [generator] table",
    401: "set {key_variable} to a key this server accepts",
    403: "use a key in {key_variable} that may use this model, or name another model",
    404: "name a model that this server has, and a base_url that ends in its /v1",
    429: "wait, or raise the quota of the key in {key_variable}",
}
"""By HTTP status; other refusals take that of 400."""


class _Message(BaseModel):
    content: str | None = None


class _Choice(BaseModel):
    message: _Message


class _Usage(BaseModel):
    prompt_tokens: int | None = Field(default=None, ge=0)
    completion_tokens: int | None = Field(default=None, ge=0)


class _Completion(BaseModel):
    """The part of a completion that is read; servers add fields of their own."""

    choices: list[_Choice] = Field(min_length=1)
    usage: _Usage | None = None


class OpenAIGenerator:
    """One model behind one ``base_url``. Before any call it raises SpecError where ``base_url`` is
    no web address, ProviderRefused where api.openai.com is meant and no key is set."""

    def __init__(self, spec: OpenAISpec) -> None:
        self._spec = spec
        self._is_openai = _host(spec.base_url) == OPENAI_HOST
        self._key = self._read_key()
        self._client = self._connect()

    @property
    def name(self) -> str:
        return f"openai:{self._spec.model}"

    def answer(self, question: str, context: Sequence[ContextPassage]) -> Answer:
        """Ask for an answer from ``context``, cited. Tokens are what the server counted, None
        where it does not count; the cost is None where a count or a price is missing."""
        completion = self._complete(build_messages(question, context))
        usage = completion.usage or _Usage()
        reply = read_reply(completion.choices[0].message.content, context, model=self.name)
        return Answer(
            text=reply.text,
            citations=reply.citations,
            status=reply.status,
            model=self.name,
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            cost_usd=self._cost(usage),
        )

    def reply(self, messages: Sequence[ChatCompletionMessageParam]) -> str:
        """What the model says to ``messages``, as it is; empty where it says nothing."""
        return self._complete(messages).choices[0].message.content or ""

    def _read_key(self) -> str:
        variable = self._spec.api_key_env
        key = os.environ.get(variable, "").strip()
        if not key and self._is_openai:
            raise ProviderRefused(
                f"{self._spec.base_url} wants a key and {variable} is not set",
                remedy=f"set {variable}, or name another base_url in the version's spec",
            )
        if not (key.isascii() and key.isprintable()):
            raise ProviderRefused(
                f"the key in {variable} holds a character that no key can have",
                remedy=f"set {variable} again, copied whole and alone",
            )
        return key

    def _connect(self) -> OpenAI:
        from openai import OpenAI

        return OpenAI(
            api_key=self._key or NO_KEY,
            base_url=self._spec.base_url,
            timeout=self._spec.timeout_s,
            max_retries=self._spec.retries,
        )

    def _complete(self, messages: Sequence[ChatCompletionMessageParam]) -> _Completion:
        from openai import APIConnectionError, APIStatusError

        try:
            body = self._fetch(messages)
        except APIStatusError as error:
            raise self._status_fault(error) from None
        except APIConnectionError as error:
            raise self._unreachable(type(error.__cause__ or error).__name__) from None
        try:
            return _Completion.model_validate_json(body)
        except ValidationError:
            raise ProviderRefused(
                f"{self._spec.base_url} answered with something that is no chat completion",
                remedy="name an OpenAI-compatible base_url, one that ends in the server's /v1",
            ) from None

    def _fetch(self, messages: Sequence[ChatCompletionMessageParam]) -> bytes:
        """The body of the completion, read against a deadline and a size of its own: the
        client's timeout starts anew with every byte, so a trickling server would hold it for
        ever."""
        import httpx2

        body = bytearray()
        with self._client.chat.completions.with_streaming_response.create(
            model=self._spec.model,
            messages=messages,
            temperature=self._spec.temperature,
            **self._output_limit(),
        ) as response:
            deadline = time.monotonic() + self._spec.timeout_s
            try:
                for chunk in response.iter_bytes():
                    body += chunk
                    if time.monotonic() > deadline:
                        raise self._unreachable("the answer trickled")
                    if len(body) > MAX_BODY_BYTES:
                        raise ProviderRefused(
                            f"{self._spec.base_url} sent more than {MAX_BODY_BYTES} bytes",
                            remedy="lower max_output_tokens, or check what is behind base_url",
                        )
            except httpx2.HTTPError as error:
                raise self._unreachable(type(error).__name__) from None
        return bytes(body)

    def _output_limit(self) -> dict[str, Any]:
        """OpenAI's newer models refuse ``max_tokens``; most other servers know no other name."""
        name = "max_completion_tokens" if self._is_openai else "max_tokens"
        return {name: self._spec.max_output_tokens}

    def _cost(self, usage: _Usage) -> float | None:
        """US dollars: tokens × price per million; None where a count or a price is missing."""
        cost = 0.0
        for tokens, price in (
            (usage.prompt_tokens, self._spec.prompt_price),
            (usage.completion_tokens, self._spec.completion_price),
        ):
            if tokens is None or price is None:
                return None
            cost += tokens * price / 1e6
        return cost

    def _status_fault(self, error: APIStatusError) -> GenerationError:
        status = error.status_code
        if status == 408 or status >= 500:
            return self._unreachable(f"HTTP {status}")
        remedy = REMEDIES.get(status, REMEDIES[400])
        return ProviderRefused(
            f"{self._spec.base_url} refused model {self._spec.model} with HTTP {status}: "
            f"{self._quote(error.message)}",
            remedy=remedy.format(key_variable=self._spec.api_key_env),
        )

    def _unreachable(self, reason: str) -> ProviderUnreachable:
        spec = self._spec
        return ProviderUnreachable(
            f"{spec.base_url} gave no answer ({reason}; {spec.retries + 1} attempts of "
            f"{spec.timeout_s:g} s)",
            remedy="check that the server runs, or raise timeout_s in the version's [generator]",
        )

    def _quote(self, message: str) -> str:
        """What the server said, on one line, cut short, without the key."""
        told = message.replace(self._key, "***") if self._key else message
        return " ".join(told[:MAX_QUOTED_CHARS].split())


def _host(base_url: str) -> str:
    try:
        address = urlsplit(base_url)
        if address.scheme in ("http", "https") and address.hostname and address.port != 0:
            return address.hostname
    except ValueError:
        pass  # a bracket left open, a port that is none
    raise SpecError(
        f"base_url {base_url!r} is no web address",
        remedy="name one like http://127.0.0.1:8000/v1 in the version's [generator]",
    )
