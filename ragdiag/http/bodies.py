"""A request's body: received within its limit and time, and unpacked within the same limit."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator

from ragdiag.http.limits import Budget
from ragdiag.http.refusals import Refusal

GZIP = 16 + zlib.MAX_WBITS
PIECE = 1 << 20
FED = 1 << 16
"""Bytes that zlib is given at a time: it copies what it leaves of them."""
MOST_MEMBERS = 256
"""Of one gzip body."""


async def read_body(
    chunks: AsyncIterator[bytes], stated: str | None, limit: int, budget: Budget, seconds: float
) -> bytes:
    """The whole body. Its size is taken from ``budget`` and is the caller's to give back; where
    this raises, nothing is left taken.

    Raises Refusal: 413 above ``limit``, 408 after ``seconds``, 503 where the budget is spent.
    """
    if stated is not None and stated.isdecimal() and int(stated) > limit:
        raise _too_large(limit)
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(seconds):
            async for chunk in chunks:
                if size + len(chunk) > limit:
                    raise _too_large(limit)
                budget.take(len(chunk))
                size += len(chunk)
                parts.append(chunk)
    except BaseException as error:
        budget.give_back(size)
        if isinstance(error, TimeoutError):
            raise Refusal(408, f"the body did not come within {seconds:g} s") from None
        raise
    return b"".join(parts)


def unpack(body: bytes, encoding: str, limit: int) -> bytes:
    """The body without its compression (``gzip`` or ``identity``), never more than ``limit``
    bytes of it in memory. Raises Refusal: 413 above the limit, 400 for broken gzip and for one of
    more than MOST_MEMBERS members."""
    if encoding == "identity":
        return body
    parts: list[bytes] = []
    size = at = members = 0
    packed = memoryview(body)
    try:
        while at < len(packed):
            members += 1
            if members > MOST_MEMBERS:
                raise Refusal(400, f"a gzip body of more than {MOST_MEMBERS} members")
            member = zlib.decompressobj(GZIP)
            while not member.eof:
                fed = packed[at : at + FED]
                part = member.decompress(fed, PIECE)
                size += len(part)
                if size > limit:
                    raise _too_large(limit)
                parts.append(part)
                at += len(fed) - len(member.unconsumed_tail) - len(member.unused_data)
                if not part and at == len(packed) and not member.eof:
                    raise Refusal(400, "the gzip body is cut off")
    except zlib.error as error:
        raise Refusal(400, f"not gzip ({error})") from None
    return b"".join(parts)


def _too_large(limit: int) -> Refusal:
    return Refusal(413, f"larger than {limit} bytes: send less at once")
