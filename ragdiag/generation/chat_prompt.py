"""The grounded prompt as the tokens of a language model: serving and training use this one code.

Passages are text from outside: a control token that stands in one is encoded as plain text, so no
passage can close its message and open another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ragdiag.errors import PromptRefused
from ragdiag.generation.grounded_prompt import build_messages
from ragdiag.records import ContextPassage

DEFAULT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}Answer: {{ message['content'] }}{{ eos_token }}"
    "{% else %}{{ message['content'] }}\n\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}Answer:{% endif %}"
)
"""For models without a chat template of their own: paragraphs, then the answer."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """Tokens of a prompt with the first ``kept`` passages of its context."""

    tokens: tuple[int, ...]
    kept: int


def encode_prompt(
    tokenizer: Any, question: str, context: Sequence[ContextPassage], room: int
) -> Prompt:
    """The prompt in at most ``room`` tokens; passages are dropped from the end until it fits.

    Raises PromptRefused where it does not fit with the first passage alone, or without any where
    there is none.
    """
    for kept in range(len(context), -1, -1):
        if kept == 0 and context:
            break
        tokens = _render(tokenizer, build_messages(question, context[:kept]), prompt=True)
        if len(tokens) <= room:
            return Prompt(tokens, kept)
    raise PromptRefused(
        f"a prompt with one passage is longer than the {room} tokens that the model has for it",
        remedy="lower max_tokens in [context] or max_output_tokens in [generator]",
    )


def encode_messages(tokenizer: Any, messages: Sequence[Any], room: int) -> tuple[int, ...]:
    """The tokens of a system message, a user's and what follows, before a reply. Raises
    PromptRefused where they are more than ``room``."""
    tokens = _render(tokenizer, messages, prompt=True)
    if len(tokens) > room:
        raise PromptRefused(
            f"a prompt of {len(tokens)} tokens is longer than the {room} that the model has for it",
            remedy="name a model with a larger window, or lower max_output_tokens in [generator]",
        )
    return tokens


def encode_reply(
    tokenizer: Any, question: str, context: Sequence[ContextPassage], reply: str
) -> tuple[int, ...]:
    """The tokens that a model is to write after :func:`encode_prompt` for ``reply``, up to the one
    that ends its turn."""
    messages = build_messages(question, context)
    asked = _render(tokenizer, messages, prompt=True)
    told = _render(tokenizer, [*messages, {"role": "assistant", "content": reply}], prompt=False)
    if told[: len(asked)] == asked:
        tokens = told[len(asked) :]
    else:  # the template opens a reply otherwise than it shows one
        tokens = tuple(tokenizer(reply, add_special_tokens=False)["input_ids"])
    end = tokenizer.eos_token_id
    return tokens[: tokens.index(end) + 1] if end in tokens else (*tokens, end)


def _render(tokenizer: Any, messages: Sequence[Any], *, prompt: bool) -> tuple[int, ...]:
    from jinja2 import TemplateError

    try:
        return _encode(tokenizer, messages, prompt)
    except TemplateError:  # a template that knows no system message
        system, user, *rest = messages
        folded = {"role": "user", "content": f"{system['content']}\n\n{user['content']}"}
        return _encode(tokenizer, [folded, *rest], prompt)


def _encode(tokenizer: Any, messages: Sequence[Any], prompt: bool) -> tuple[int, ...]:
    def encode(chosen: Sequence[Any]) -> tuple[int, ...]:
        found = tokenizer.apply_chat_template(
            list(chosen),
            chat_template=None if tokenizer.chat_template else DEFAULT_TEMPLATE,
            add_generation_prompt=prompt,
            sanitize_control_tokens=True,
        )
        return tuple(found["input_ids"])

    try:
        return encode(messages)
    except ValueError:  # a tokenizer that has no other way to write one of its control tokens
        return encode([_without_control_tokens(tokenizer, message) for message in messages])


def _without_control_tokens(tokenizer: Any, message: Any) -> dict[str, Any]:
    content = message["content"]
    for token in sorted(tokenizer.added_tokens_encoder, key=len, reverse=True):
        content = content.replace(token, " ")
    return {**message, "content": content}
