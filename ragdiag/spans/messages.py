"""What was asked and what was said: texts of model calls and of the chains around them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ragdiag.records import Span
from ragdiag.spans.conventions import (
    ANSWER_KEYS,
    DETAILS_EVENT,
    INPUT_MESSAGES,
    INPUT_VALUES,
    MESSAGE_EVENTS,
    OUTPUT_MESSAGES,
    OUTPUT_VALUES,
    QUESTION_KEYS,
)
from ragdiag.spans.nesting import parse_json, read_nested

_WRAPPERS = ("inputs", "outputs", "messages", "generations", "message", "kwargs", "args", "data")
"""Keys under which frameworks wrap what they were given or give."""
_USERS = ("user", "human")
_DEEPEST = 6


@dataclass(frozen=True, slots=True)
class Message:
    role: str
    text: str


def read_messages(span: Span, direction: Literal["input", "output"]) -> list[Message]:
    """The messages into or out of a model call, old forms and new; empty where none is recorded."""
    names, values = (
        (INPUT_MESSAGES, INPUT_VALUES) if direction == "input" else (OUTPUT_MESSAGES, OUTPUT_VALUES)
    )
    for name in names:
        if messages := _messages(read_nested(span.attributes, name)):
            return messages
    told = []
    for event in span.events:
        if event.name == DETAILS_EVENT or MESSAGE_EVENTS.get(event.name) == direction:
            for name in names:
                told += _messages(read_nested(event.attributes, name))
            if "content" in event.attributes or "message" in event.attributes:
                role = event.name.removeprefix("gen_ai.").removesuffix(".message")
                told += _messages([{"role": role, **event.attributes}])
    if told:
        return told
    keys = QUESTION_KEYS if direction == "input" else ANSWER_KEYS
    text = read_value(span, values, keys)
    return [Message("user" if direction == "input" else "assistant", text)] if text else []


def last_of_user(messages: Sequence[Message]) -> str:
    """What the user said last, else the last message; empty where there is none."""
    said = [message.text for message in messages if message.role.lower() in _USERS]
    return said[-1] if said else messages[-1].text if messages else ""


def read_value(span: Span, names: Iterable[str], keys: Sequence[str]) -> str:
    """The text of a chain's input or output: itself, or what its JSON has under one of ``keys``."""
    for name in names:
        value = parse_json(span.attributes.get(name))
        if text := _text_within(value, keys, 0):
            return text
        if isinstance(value, (dict, list)) and value:
            return str(span.attributes[name])
    return ""


def _text_within(value: Any, keys: Sequence[str], depth: int) -> str:
    if isinstance(value, str):
        return value.strip()
    if depth >= _DEEPEST:
        return ""
    if isinstance(value, list):
        if messages := _messages(value):
            return last_of_user(messages) if keys is QUESTION_KEYS else messages[-1].text
        return next((t for one in value if (t := _text_within(one, keys, depth + 1))), "")
    if isinstance(value, Mapping):
        below = (value[key] for key in (*keys, *_WRAPPERS) if key in value)
        found = next(
            (t for one in below if (t := _text_within(parse_json(one), keys, depth + 1))), ""
        )
        if found or len(value) != 1:
            return found
        only = next(iter(value.values()))
        return only.strip() if isinstance(only, str) else ""
    return ""


def _messages(found: Any) -> list[Message]:
    """Messages in any of their shapes; a list of one list (a batch of one) is that list."""
    if isinstance(found, str):
        return [Message("", found)] if found.strip() else []
    if isinstance(found, Mapping):
        found = [found]
    if not isinstance(found, list):
        return []
    if len(found) == 1 and isinstance(found[0], list):
        found = found[0]
    read = [_message(one) for one in found]
    return [message for message in read if message is not None and message.text]


def _message(found: Any) -> Message | None:
    if isinstance(found, str):
        return Message("", found.strip())
    if not isinstance(found, Mapping):
        return None
    found = _bare(found, "message.")
    for wrapper in ("message", "completion", "prompt", "kwargs"):
        inner = parse_json(found.get(wrapper))
        if isinstance(inner, Mapping):
            merged = {**{k: v for k, v in found.items() if k != wrapper}, **inner}
            return _message(merged)
    role = found.get("role") or found.get("type") or ""
    for key in ("content", "contents", "parts", "text"):
        if text := _content(parse_json(found.get(key))):
            return Message(str(role), text)
    return None


def _bare(found: Mapping[Any, Any], prefix: str) -> dict[str, Any]:
    """Without the ``prefix`` of OpenInference's full names, which Phoenix's dataframes keep."""
    return {str(key).removeprefix(prefix): value for key, value in found.items()}


def _content(content: Any) -> str:
    """The text of a message's content: itself, or its parts that are text or a tool's result."""
    if isinstance(content, str):
        return content.strip()
    if not isinstance(content, list):
        return ""
    texts = []
    for part in content:
        if isinstance(part, Mapping):
            inner = part.get("message_content")
            part = _bare(inner if isinstance(inner, Mapping) else part, "message_content.")
            if part.get("type", "text") in ("text", "tool_call_response", "output_text"):
                told = (part.get(key) for key in ("text", "content", "response", "result"))
                texts.append(next((text for text in told if isinstance(text, str)), ""))
        elif isinstance(part, str):
            texts.append(part)
    return "\n".join(text for text in texts if text).strip()
