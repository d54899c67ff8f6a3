"""Answers from any OpenAI-compatible server, kept to the passages by the grounded prompt."""

from __future__ import annotations

from collections.abc import Sequence

from ragdiag.generation.chat import ChatClient
from ragdiag.generation.grounded_prompt import build_messages, read_reply
from ragdiag.records import Answer, ContextPassage
from ragdiag.version import OpenAISpec


class OpenAIGenerator:
    """One model behind one ``base_url``. Raises as ChatClient does before any call."""

    def __init__(self, spec: OpenAISpec) -> None:
        self._client = ChatClient(spec)
        self.name = f"openai:{spec.model}"

    def answer(self, question: str, context: Sequence[ContextPassage]) -> Answer:
        """Ask for an answer from ``context``, cited, with the tokens and the cost of it.

        Raises ProviderRefused or ProviderUnreachable.
        """
        completion = self._client.complete(build_messages(question, context))
        reply = read_reply(completion.content, context, model=self.name)
        return Answer(
            text=reply.text,
            citations=reply.citations,
            status=reply.status,
            model=self.name,
            prompt_tokens=completion.prompt_tokens,
            completion_tokens=completion.completion_tokens,
            cost_usd=completion.cost_usd,
        )
