"""Attributes that are one value: flattened with dots, or JSON in a string, or JSON itself."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_DEEPEST = 8
"""Dots within a flattened name that are followed."""
_SMUGGLED = re.compile(r"\\u(0000|[dD][89a-fA-F])")


def read_nested(attributes: Mapping[str, Any], prefix: str) -> Any:
    """What stands under ``prefix``, as lists and mappings; None where nothing does.

    >>> read_nested({"d.1.id": "b", "d.0.id": "a"}, "d")
    [{'id': 'a'}, {'id': 'b'}]
    >>> read_nested({"d": '[{"id": "a"}]'}, "d")
    [{'id': 'a'}]
    """
    if prefix in attributes:
        return parse_json(attributes[prefix])
    start = f"{prefix}."
    tree: dict[str, Any] = {}
    for key, value in attributes.items():
        if key.startswith(start):
            *path, last = key[len(start) :].split(".", _DEEPEST)
            branch = tree
            for part in path:
                below = branch.get(part)
                if not isinstance(below, dict):
                    below = branch[part] = {}
                branch = below
            branch.setdefault(last, value)
    return _listed(tree) if tree else None


def parse_json(value: Any) -> Any:
    """The JSON in a string, or the value itself. What its escapes smuggle in and no lake stores
    (NUL, lone surrogates) is replaced.

    >>> parse_json('{"a": 1}'), parse_json("[draft]")
    ({'a': 1}, '[draft]')
    """
    if not isinstance(value, str) or not value.lstrip().startswith(("{", "[", '"')):
        return value
    try:
        found = json.loads(value)
        return _storable(found) if _SMUGGLED.search(value) else found
    except (ValueError, RecursionError):
        return value


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "\ufffd").encode(errors="replace").decode()
    if isinstance(value, dict):
        return {_storable(key): _storable(item) for key, item in value.items()}
    return [_storable(item) for item in value] if isinstance(value, list) else value


def _listed(tree: dict[str, Any]) -> Any:
    """Mappings whose keys are all numbers are lists, in their order."""
    below = {k: _listed(v) if isinstance(v, dict) else v for k, v in tree.items()}
    if all(key.isascii() and key.isdigit() and len(key) < 10 for key in below):
        return [below[key] for key in sorted(below, key=int)]
    return below
