"""Values of OTLP/JSON as plain JSON within the limits of ``bounds``; no content raises."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ragdiag.spans.bounds import (
    CUT_ATTRIBUTES,
    MAX_ATTRIBUTES,
    MAX_DEPTH,
    MAX_ITEMS,
    MAX_KEY,
    TOO_DEEP,
    clip_text,
    cut_items,
    is_vector,
    plain_number,
)

_INT64 = range(-(2**63), 2**63)


def read_attributes(pairs: Any) -> dict[str, Any]:
    """Of a list of key and value, else of a plain mapping, which some files carry."""
    if isinstance(pairs, Mapping):
        items = [(key, value) for key, value in pairs.items()]
        read = _bounded
    else:
        listed = pairs if isinstance(pairs, list) else []
        items = [(p.get("key"), p.get("value")) for p in listed if isinstance(p, Mapping)]
        read = _any_value
    kept: dict[str, Any] = {}
    for key, value in items[:MAX_ATTRIBUTES]:
        if isinstance(key, str) and key and not is_vector(key):
            kept[clip_text(read_text(key), MAX_KEY)] = read(value, 1)
    if len(items) > MAX_ATTRIBUTES:
        kept[CUT_ATTRIBUTES] = len(items) - MAX_ATTRIBUTES
    return kept


def _any_value(value: Any, depth: int) -> Any:
    if not isinstance(value, Mapping) or not value:
        return None
    kind, content = next(iter(value.items()))
    match kind:
        case "stringValue" | "string_value" | "bytesValue" | "bytes_value":
            return clip_text(read_text(content))
        case "intValue" | "int_value":
            return read_whole(content)
        case "doubleValue" | "double_value":
            return _double(content)
        case "boolValue" | "bool_value":
            return content if isinstance(content, bool) else None
        case "arrayValue" | "array_value":
            return _list_value(content, depth)
        case "kvlistValue" | "kvlist_value":
            return _mapping_value(content, depth)
        case _:
            return None


def _list_value(content: Any, depth: int) -> Any:
    if depth >= MAX_DEPTH:
        return TOO_DEEP
    found = content.get("values") if isinstance(content, Mapping) else None
    values = found if isinstance(found, list) else []
    items = [_any_value(value, depth + 1) for value in values[:MAX_ITEMS]]
    return items if len(values) <= MAX_ITEMS else [*items, cut_items(len(values))]


def _mapping_value(content: Any, depth: int) -> Any:
    if depth >= MAX_DEPTH:
        return TOO_DEEP
    found = content.get("values") if isinstance(content, Mapping) else None
    values = found if isinstance(found, list) else []
    kept = {
        clip_text(read_text(pair.get("key", "")), MAX_KEY): _any_value(pair.get("value"), depth + 1)
        for pair in values[:MAX_ITEMS]
        if isinstance(pair, Mapping)
    }
    return kept if len(values) <= MAX_ITEMS else {**kept, "": cut_items(len(values))}


def _bounded(value: Any, depth: int) -> Any:
    """Plain JSON within the limits."""
    match value:
        case str():
            return clip_text(read_text(value))
        case bool() | None:
            return value
        case int():
            return value if value in _INT64 else str(value)
        case float():
            return plain_number(value)
        case list() | dict() if depth >= MAX_DEPTH:
            return TOO_DEEP
        case list():
            return [_bounded(item, depth + 1) for item in value[:MAX_ITEMS]]
        case dict():
            items = list(value.items())[:MAX_ITEMS]
            return {clip_text(read_text(k), MAX_KEY): _bounded(v, depth + 1) for k, v in items}
        case _:
            return clip_text(read_text(str(value)))


def get_field(found: Mapping[str, Any], name: str) -> Any:
    """A field by its JSON name, else by its original one: traceId, trace_id."""
    if name in found:
        return found[name]
    return found.get("".join(f"_{c.lower()}" if c.isupper() else c for c in name))


def read_whole(value: Any) -> int | str | None:
    """A 64-bit integer, as number or text; what is none stays as text."""
    if value is None or isinstance(value, bool):
        return None
    try:
        whole = int(value) if isinstance(value, (int, str)) and len(str(value)) < 40 else None
    except ValueError:
        whole = None
    return whole if whole is not None and whole in _INT64 else clip_text(read_text(str(value)), 100)


def _double(value: Any) -> float | str | None:
    try:
        return plain_number(float(value))
    except (TypeError, ValueError, OverflowError):
        return None if value is None else clip_text(read_text(str(value)), 100)


def read_text(value: Any) -> str:
    """Text that can be stored: JSON may smuggle in lone surrogates, UTF-8 has none."""
    return (value if isinstance(value, str) else str(value)).encode("utf-8", "replace").decode()
