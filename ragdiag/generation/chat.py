"""Completions from any OpenAI-compatible server, by ``chat.completions``.

Every way the server can fail is one of two errors: ProviderRefused where it answered and said no
(4xx, or something that is no completion), ProviderUnreachable where it did not answer in time or
broke down (no connection, 408, 5xx). The key is never in a message, whatever the server echoes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, ValidationError

from ragdiag.errors import (
    GenerationError,
    PromptRefused,
    ProviderRefused,
    ProviderUnreachable,
    SpecError,
)
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
    400: "see what the server says, and mend {settings} table",
    401: "set {key_variable} to a key this server accepts",
    403: "use a key in {key_variable} that may use this model, or name another model",
    404: "name a model that this server has, and a base_url that ends in its /v1",
    429: "wait, or raise the quota of the key in {key_variable}",
}
"""By HTTP status; other refusals take that of 400."""

OF_THE_PROMPT = {400, 413, 422}
"""HTTP statuses that refuse what was asked; the others refuse whoever asks, whatever it is."""


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


@dataclass(frozen=True, slots=True)
class Completion:
    """What came back. Tokens are what the server counted, None where it does not count; the cost is
    None where a count or a price is missing."""

    content: str | None
    prompt_tokens: int | None
    completion_tokens: int | None
    cost_usd: float | None


class ChatClient:
    """One model behind one ``base_url``; ``settings`` says where a person would change those.

    Before any call it raises SpecError where ``base_url`` is no web address, ProviderRefused where
    api.openai.com is meant and no key is set. Safe between threads.
    """

    def __init__(self, spec: OpenAISpec, settings: str = "the version's [generator]") -> None:
        self.spec = spec
        self._settings = settings
        self._is_openai = _host(spec.base_url, settings) == OPENAI_HOST
        self._key = self._read_key()
        self.connection = self._connect()

    def complete(self, messages: Sequence[ChatCompletionMessageParam], **extra: Any) -> Completion:
        """One completion; ``extra`` are further fields of the request.

        Raises ProviderRefused or ProviderUnreachable.
        """
        with self.faults():
            body = self._fetch({**self.request(messages), **extra})
        return self.read(body)

    def request(self, messages: Sequence[ChatCompletionMessageParam]) -> dict[str, Any]:
        """The fields of a request. OpenAI's newer models refuse ``max_tokens``; most other servers
        know no other name."""
        limit = "max_completion_tokens" if self._is_openai else "max_tokens"
        return {
            "model": self.spec.model,
            "messages": list(messages),
            "temperature": self.spec.temperature,
            limit: self.spec.max_output_tokens,
        }

    def read(self, body: bytes) -> Completion:
        """The completion in a response's body. Raises ProviderRefused where it is none."""
        try:
            read = _Completion.model_validate_json(body)
        except ValidationError:
            raise ProviderRefused(
                f"{self.spec.base_url} answered with something that is no chat completion",
                remedy="name an OpenAI-compatible base_url, one that ends in the server's /v1",
            ) from None
        usage = read.usage or _Usage()
        return Completion(
            read.choices[0].message.content,
            usage.prompt_tokens,
            usage.completion_tokens,
            self.cost(usage.prompt_tokens, usage.completion_tokens),
        )

    def cost(self, prompt_tokens: int | None, completion_tokens: int | None) -> float | None:
        """US dollars: tokens × price per million; None where a count or a price is missing."""
        cost = 0.0
        for tokens, price in (
            (prompt_tokens, self.spec.prompt_price),
            (completion_tokens, self.spec.completion_price),
        ):
            if tokens is None or price is None:
                return None
            cost += tokens * price / 1e6
        return cost

    @contextmanager
    def faults(self) -> Iterator[None]:
        """Turn what the client raises inside the block into ragdiag's own errors."""
        from openai import APIConnectionError, APIStatusError

        try:
            yield
        except APIStatusError as error:
            raise self._status_fault(error) from None
        except APIConnectionError as error:
            raise self._unreachable(type(error.__cause__ or error).__name__) from None

    def _read_key(self) -> str:
        variable = self.spec.api_key_env
        key = os.environ.get(variable, "").strip()
        if not key and self._is_openai:
            raise ProviderRefused(
                f"{self.spec.base_url} wants a key and {variable} is not set",
                remedy=f"set {variable}, or name another base_url in {self._settings}",
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
            base_url=self.spec.base_url,
            timeout=self.spec.timeout_s,
            max_retries=self.spec.retries,
        )

    def _fetch(self, request: Mapping[str, Any]) -> bytes:
        """The body of the completion, read against a deadline and a size of its own: the
        client's timeout starts anew with every byte, so a trickling server would hold it for
        ever."""
        import httpx2

        body = bytearray()
        with self.connection.chat.completions.with_streaming_response.create(**request) as response:
            deadline = time.monotonic() + self.spec.timeout_s
            try:
                for chunk in response.iter_bytes():
                    body += chunk
                    if time.monotonic() > deadline:
                        raise self._unreachable("the answer trickled")
                    if len(body) > MAX_BODY_BYTES:
                        raise ProviderRefused(
                            f"{self.spec.base_url} sent more than {MAX_BODY_BYTES} bytes",
                            remedy="lower max_output_tokens, or check what is behind base_url",
                        )
            except httpx2.HTTPError as error:
                raise self._unreachable(type(error).__name__) from None
        return bytes(body)

    def _status_fault(self, error: APIStatusError) -> GenerationError:
        status = error.status_code
        if status == 408 or status >= 500:
            return self._unreachable(f"HTTP {status}")
        remedy = REMEDIES.get(status, REMEDIES[400])
        kind = PromptRefused if status in OF_THE_PROMPT else ProviderRefused
        return kind(
            f"{self.spec.base_url} refused model {self.spec.model} with HTTP {status}: "
            f"{self._quote(error.message)}",
            remedy=remedy.format(key_variable=self.spec.api_key_env, settings=self._settings),
        )

    def _unreachable(self, reason: str) -> ProviderUnreachable:
        spec = self.spec
        return ProviderUnreachable(
            f"{spec.base_url} gave no answer ({reason}; {spec.retries + 1} attempts of "
            f"{spec.timeout_s:g} s)",
            remedy=f"check that the server runs, or raise timeout_s in {self._settings}",
        )

    def _quote(self, message: str) -> str:
        """What the server said, on one line, cut short, without the key."""
        told = message.replace(self._key, "***") if self._key else message
        return " ".join(told[:MAX_QUOTED_CHARS].split())


def _host(base_url: str, settings: str) -> str:
    try:
        address = urlsplit(base_url)
        if address.scheme in ("http", "https") and address.hostname and address.port != 0:
            return address.hostname
    except ValueError:
        pass  # a bracket left open, a port that is none
    raise SpecError(
        f"base_url {base_url!r} is no web address",
        remedy=f"name one like http://127.0.0.1:8000/v1 in {settings}",
    )
