"""Ids that sort by time, so that a file's smallest and largest id say which requests it holds."""

from __future__ import annotations

import os
import time

_VERSION_7 = 0x7000
_VARIANT = 0x8000_0000_0000_0000


def time_ordered_id(at_ns: int | None = None) -> str:
    """A UUIDv7 (RFC 9562) as 32 hexadecimal digits, made at ``at_ns`` since 1970, else now.

    Milliseconds, then the fraction of a millisecond in 12 bits (method 3 of §6.2), then 62 random
    bits from the operating system: neither a fork nor a seeded generator can repeat them.

    >>> time_ordered_id(1_700_000_000_000_000_000)[:16]
    '018bcfe568007000'
    """
    milliseconds, rest = divmod(time.time_ns() if at_ns is None else at_ns, 1_000_000)
    fraction = (rest << 12) // 1_000_000
    random = int.from_bytes(os.urandom(8)) >> 2
    return f"{milliseconds:012x}{_VERSION_7 | fraction:04x}{_VARIANT | random:016x}"
