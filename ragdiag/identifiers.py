"""Ids that sort by time, so that a file's smallest and largest id say which requests it holds, and
ids of shadow requests, which tell whose shadow they are."""

from __future__ import annotations

import os
import random
import re
import time

_SHADOW = ".shadow."
_VERSION_7 = 0x7000
_VARIANT = 0x8000_0000_0000_0000

# Its own, so that a service which seeds ``random`` does not repeat ids in each of its workers.
_random = random.Random()
os.register_at_fork(after_in_child=_random.seed)


def time_ordered_id(at_ns: int | None = None) -> str:
    """A UUIDv7 (RFC 9562) as 32 hexadecimal digits, made at ``at_ns`` since 1970, else now.

    Milliseconds, then the fraction of a millisecond in 12 bits (method 3 of §6.2), then 62 random
    bits of a generator that the operating system seeds, anew after a fork.

    >>> time_ordered_id(1_700_000_000_000_000_000)[:16]
    '018bcfe568007000'
    """
    milliseconds, rest = divmod(time.time_ns() if at_ns is None else at_ns, 1_000_000)
    fraction = (rest << 12) // 1_000_000
    chance = _VARIANT | _random.getrandbits(62)
    return f"{milliseconds:012x}{_VERSION_7 | fraction:04x}{chance:016x}"


def shadow_id(request_id: str, version_id: str) -> str:
    """The id of the request that asks ``version_id`` in the shadow of ``request_id`` as it is
    served. There is one, so whoever mirrors a request twice has mirrored it once.

    >>> shadow_id("018bcfe5", "4f1c2a")
    '018bcfe5.shadow.4f1c2a'
    """
    return f"{request_id}{_SHADOW}{version_id}"


def replayed_id(request_id: str, version_id: str, start: int) -> str:
    """The id of the same request asked later, by the shadow that event number ``start`` began:
    another start asks once more.

    >>> replayed_id("018bcfe5", "4f1c2a", 3)
    '018bcfe5.shadow.4f1c2a.3'
    """
    return f"{shadow_id(request_id, version_id)}.{start}"


def shadowed_id(request_id: str, version_id: str) -> str | None:
    """Whose shadow a request of ``version_id`` is, served or replayed; None where it is nobody's.

    >>> shadowed_id("018bcfe5.shadow.4f1c2a", "4f1c2a"), shadowed_id("018bcfe5", "4f1c2a")
    ('018bcfe5', None)
    >>> shadowed_id("018bcfe5.shadow.4f1c2a.3", "4f1c2a")
    '018bcfe5'
    """
    suffix = re.escape(f"{_SHADOW}{version_id}")
    found = re.fullmatch(rf"(.*){suffix}(?:\.\d+)?", request_id, re.DOTALL)
    return None if found is None else found[1]
