"""How users are named: which attributes of a span do so, and what of it is the id. One list and one
reading for who stores, hides or forgets users."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

METADATA = "metadata"
ASSOCIATIONS = "traceloop.association.properties."
"""Prefix of the properties that OpenLLMetry puts on every span of a request."""
USER_ID = "user_id"
"""What metadata, association properties and ragdiag's own attributes call it."""

STANDARD_USER_IDS = (
    "user.id",
    "enduser.id",
    "gen_ai.user",
    "llm.user",
    "langfuse.user.id",
    USER_ID,
)
USER_IDS = (
    *STANDARD_USER_IDS,
    f"ragdiag.{USER_ID}",
    f"{METADATA}.{USER_ID}",
    f"{ASSOCIATIONS}{USER_ID}",
    f"{ASSOCIATIONS}{METADATA}.{USER_ID}",
)
"""Attributes that name the user by their whole value."""
INVOCATION = "llm.invocation_parameters"
"""JSON; also the model that was asked for, of a call that failed only there."""
_WITHIN: tuple[tuple[str, tuple[str, ...]], ...] = (
    (METADATA, (USER_ID,)),
    (ASSOCIATIONS.removesuffix("."), (USER_ID,)),
    (f"{ASSOCIATIONS}{METADATA}", (USER_ID,)),
    (INVOCATION, ("user",)),
    (INVOCATION, (METADATA, USER_ID)),
)
"""Attributes that are JSON text or mappings, and where within them the user is named: a model's
call names its ``user`` to OpenAI, and ``metadata.user_id`` to Anthropic."""


def users_named(attributes: Mapping[str, Any]) -> list[str]:
    """Everybody whom the attributes name.

    >>> users_named({"user.id": "ann", "metadata": '{"user_id": 7}', "user": "bob"})
    ['ann', '7']
    """
    named = [attributes.get(name) for name in USER_IDS]
    named += [_found(attributes.get(name), path) for name, path in _WITHIN if name in attributes]
    return [text for one in named if (text := plain_user(one))]


def mark_users(
    attributes: Mapping[str, Any], came: Mapping[str, Any], mark: Callable[[str], str]
) -> dict[str, Any]:
    """``attributes``, made of those that ``came``, with ``mark(user)`` for each user named there.

    >>> mark_users({"user.id": "[email]"}, {"user.id": "ann@x.org"}, str.upper)
    {'user.id': 'ANN@X.ORG'}
    """
    marked: dict[str, Any] = {
        name: mark(text) for name in USER_IDS if (text := plain_user(came.get(name)))
    }
    for name, path in _WITHIN:
        if name in came and (text := plain_user(_found(came[name], path))):
            stated = _stated(marked.get(name, attributes.get(name)))
            kept = _with(stated, path, mark(text))
            if kept != stated:
                marked[name] = json.dumps(kept) if isinstance(came[name], str) else kept
    return {**attributes, **marked}


def _found(value: Any, path: Sequence[str]) -> Any:
    value = _stated(value)
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _with(stated: Mapping[str, Any], path: Sequence[str], text: str) -> dict[str, Any]:
    """``stated`` with ``text`` at the end of ``path``."""
    key, *rest = path
    inner = stated.get(key)
    held = _with(inner if isinstance(inner, Mapping) else {}, rest, text) if rest else text
    return {**stated, key: held}


def _stated(value: Any) -> Mapping[str, Any]:
    """What an attribute says that is JSON text or a mapping; nothing where it is no object."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return {}
    return value if isinstance(value, Mapping) else {}


def plain_user(value: Any) -> str:
    """A user id as every door reads it: without the blanks around it, and a whole number as its
    digits, also where it came as a float. Empty for nobody: for nothing, blanks and NaN.

    >>> plain_user(" ann "), plain_user(42.0), plain_user("  "), plain_user(float("nan"))
    ('ann', '42', '', '')
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return "" if value is None or value != value else str(value).strip()
