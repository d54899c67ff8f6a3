"""What the receiver takes from one request, from one client, and at once."""

from __future__ import annotations

from dataclasses import dataclass

from ragdiag.spans.bounds import ONE_EXPORT


@dataclass(frozen=True, slots=True)
class Limits:
    """``max_body`` holds before and after decompression; ``max_waiting`` is the bytes of all
    bodies being received or waiting for the disk, ``max_requests`` how many requests are under
    way at once, ``max_spans`` the spans (or log records) of one request with the resources and
    scopes around them; ``rate`` and ``burst`` are requests per second and at once of one client
    address.
    """

    max_body: int = 16_000_000
    max_waiting: int = 64_000_000
    max_requests: int = 512
    max_spans: int = ONE_EXPORT.parts
    rate: float = 200.0
    burst: float = 400.0
    read_s: float = 30.0
