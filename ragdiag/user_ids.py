"""Which attributes of a span name its user: one list for who reads, hides or forgets them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
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
"""Attributes that name the user; ``metadata`` (JSON) may do so under ``user_id``."""


def users_named(attributes: Mapping[str, Any]) -> list[str]:
    """Everybody whom the attributes name.

    >>> users_named({"user.id": "ann", "metadata": '{"user_id": 7}', "user": "bob"})
    ['ann', '7']
    """
    named = [attributes.get(name) for name in USER_IDS]
    return [text for one in (*named, _stated(attributes).get(USER_ID)) if (text := _text(one))]


def mark_users(
    attributes: Mapping[str, Any], came: Mapping[str, Any], mark: Callable[[str], str]
) -> dict[str, Any]:
    """``attributes``, made of those that ``came``, with ``mark(user)`` for each user named there.

    >>> mark_users({"user.id": "[email]"}, {"user.id": "ann@x.org"}, str.upper)
    {'user.id': 'ANN@X.ORG'}
    """
    marked: dict[str, Any] = {
        name: mark(text) for name in USER_IDS if (text := _text(came.get(name)))
    }
    if text := _text(_stated(came).get(USER_ID)):
        stated = _stated(attributes)
        kept = {**stated, USER_ID: mark(text)}
        if kept != stated:
            marked[METADATA] = json.dumps(kept) if isinstance(came[METADATA], str) else kept
    return {**attributes, **marked}


def _stated(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """What ``metadata`` says; nothing where it is no object."""
    value = attributes.get(METADATA)
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return {}
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str:
    return "" if value is None else str(value).strip()
