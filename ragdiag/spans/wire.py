"""How much an export in protobuf holds, counted in its bytes before it is parsed: a span of two
bytes becomes an object of 170.

Source: protobuf.dev, "Encoding". Resources are field 1 of an export, scopes field 2 of a resource,
spans (and log records) field 2 of a scope.
"""

from __future__ import annotations

from collections.abc import Iterator

_PATH = (1, 2, 2)
_FIELDS = 3
"""A resource and a scope have two fields more than those that are counted: itself and a URL."""
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED = {_FIXED64: 8, _FIXED32: 4}


class _Malformed(Exception):
    """The bytes end within a field: the parser will say so."""


def has_more_parts(body: bytes, most: int) -> bool:
    """Whether ``body`` has more than ``most`` resources, scopes and spans, or so many other fields
    beside them as no export has; of what is no protobuf those before the fault count.

    >>> two_empty_scopes = bytes([0x0A, 4, 0x12, 0, 0x12, 0])
    >>> has_more_parts(two_empty_scopes, 3), has_more_parts(two_empty_scopes, 2)
    (False, True)
    """
    parts = 0
    try:
        for fields, is_part in enumerate(_fields(body, 0, len(body), 0), start=1):
            parts += is_part
            if parts > most or fields > _FIELDS * most + _FIELDS:
                return True
    except _Malformed:
        pass
    return False


def _fields(body: bytes, at: int, end: int, level: int) -> Iterator[bool]:
    """For each field on the way down to the spans, whether it is one of the parts."""
    while at < end:
        tag, at = _varint(body, at, end)
        kind = tag & 7
        is_part = kind == _BYTES and tag >> 3 == _PATH[level]
        yield is_part
        if kind == _VARINT:
            _, at = _varint(body, at, end)
        elif kind == _BYTES:
            size, at = _varint(body, at, end)
            if size > end - at:
                raise _Malformed
            if is_part and level + 1 < len(_PATH):
                yield from _fields(body, at, at + size, level + 1)
            at += size
        else:
            at += _FIXED.get(kind, 0)


def _varint(body: bytes, at: int, end: int) -> tuple[int, int]:
    """The number that begins at ``at``, and where it ends."""
    value = shift = 0
    while at < end and shift < 64:
        byte = body[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
    raise _Malformed
