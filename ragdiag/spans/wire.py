"""How much an export in protobuf holds, counted in its bytes before it is parsed: a span of two
bytes becomes an object of 170.

Source: protobuf.dev, "Encoding". Resources are field 1 of an export, scopes field 2 of a resource,
spans (and log records) field 2 of a scope.
"""

from __future__ import annotations

from collections.abc import Iterator

_PATH = (1, 2, 2)
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED = {_FIXED64: 8, _FIXED32: 4}


class _Malformed(Exception):
    """The bytes end within a field: the parser will say so."""


def has_more_parts(body: bytes, most: int) -> bool:
    """Whether ``body`` has more than ``most`` resources, scopes and spans; of what is no protobuf
    those before the fault count.

    >>> two_empty_scopes = bytes([0x0A, 4, 0x12, 0, 0x12, 0])
    >>> has_more_parts(two_empty_scopes, 3), has_more_parts(two_empty_scopes, 2)
    (False, True)
    """
    try:
        for number, _ in enumerate(_parts(body, 0, len(body), 0), start=1):
            if number > most:
                return True
    except _Malformed:
        pass
    return False


def _parts(body: bytes, at: int, end: int, level: int) -> Iterator[None]:
    while at < end:
        tag, at = _varint(body, at, end)
        kind = tag & 7
        if kind == _VARINT:
            _, at = _varint(body, at, end)
        elif kind == _BYTES:
            size, at = _varint(body, at, end)
            if size > end - at:
                raise _Malformed
            if tag >> 3 == _PATH[level]:
                yield None
                if level + 1 < len(_PATH):
                    yield from _parts(body, at, at + size, level + 1)
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
