"""How users are named: which attributes of a span do so, and what of it is the id. One list and one
reading for who stores, hides or forgets users."""

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
    return [text for one in (*named, _stated(attributes).get(USER_ID)) if (text := plain_user(one))]


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
    if text := plain_user(_stated(came).get(USER_ID)):
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


def plain_user(value: Any) -> str:
    """A user id as every door reads it: without the blanks around it, and a whole number as its
    digits, also where it came as a float. Empty for nobody: for nothing, blanks and NaN.

    >>> plain_user(" ann "), plain_user(42.0), plain_user("  "), plain_user(float("nan"))
    ('ann', '42', '', '')
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return "" if value is None or value != value else str(value).strip()
