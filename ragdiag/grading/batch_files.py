"""The files of a batch API: how much goes into one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

MOST_REQUESTS = 50_000
MOST_BYTES = 200_000_000
"""Of one file, as OpenAI's batch guide states them (50,000 requests, 200 MB); servers that follow
it allow no less."""


def cut_into_files(
    lines: Iterable[tuple[str, bytes]],
    most_requests: int = MOST_REQUESTS,
    most_bytes: int = MOST_BYTES,
) -> Iterator[tuple[list[str], bytes]]:
    """The lines in their order, in as few files as their sizes allow: the keys of each, and its
    content. A line larger than a file may be stands alone, for the server to refuse.

    >>> [keys for keys, _ in cut_into_files([("a", b"12"), ("b", b"3"), ("c", b"456")], 2, 4)]
    [['a', 'b'], ['c']]
    """
    keys: list[str] = []
    body = bytearray()
    for key, line in lines:
        if keys and (len(keys) == most_requests or len(body) + len(line) > most_bytes):
            yield keys, bytes(body)
            keys, body = [], bytearray()
        keys.append(key)
        body += line
    if keys:
        yield keys, bytes(body)
