"""How rows and rejects name the trace that they were read from."""

from __future__ import annotations

TRACE = "trace "
"""What every such name begins with."""


def trace_source(trace_id: str) -> str:
    """In place of the segment that a logged record came in."""
    return f"{TRACE}{trace_id}"
