"""How much of a span is kept, and how much one export may hold.

A span comes from outside. Nothing in it may cost more than these limits. What is longer, more or
deeper than one span's is cut, and the value itself says so; an export that holds too much is
refused whole.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import Any

from ragdiag.errors import TooMuch

MAX_TEXT = 256_000
"""Characters of one string."""
MAX_ITEMS = 1_000
"""Of one list or mapping within a value."""
MAX_DEPTH = 8
"""Of values nested in values."""
MAX_ATTRIBUTES = 4_096
"""Of one span, one event or one resource: more than a thousand documents have."""
MAX_EVENTS = 256
MAX_KEY = 500
MAX_NAME = 1_000

TOO_DEEP = f"…[cut: nested deeper than {MAX_DEPTH}]"
CUT_ATTRIBUTES = "ragdiag.cut_attributes"
"""How many attributes were left out, where some were."""


@dataclass(frozen=True, slots=True)
class ExportBounds:
    """Of one export: ``parts`` are its spans (or log records) and the resources and scopes around
    them, ``repeated`` the characters of resources, each counted once for every span that it is
    stored with, ``rejects`` how many refusals are told one by one."""

    parts: int = 30_000
    repeated: int = 32_000_000
    rejects: int = 20


ONE_EXPORT = ExportBounds()

UNBOUNDED = ExportBounds(sys.maxsize, sys.maxsize, sys.maxsize)
"""For files, which their owner reads at leisure."""


class Room:
    """What one export may still hold."""

    def __init__(self, bounds: ExportBounds) -> None:
        self._bounds = bounds
        self._parts = 0
        self._repeated = 0

    def take(self, repeated: int = 0) -> None:
        """One part more, stored with as many characters of its resource. Raises TooMuch.

        >>> Room(ExportBounds(repeated=10)).take(11)
        Traceback (most recent call last):
        ragdiag.errors.TooMuch: an export whose resource makes more than 10 characters, once for \
each of its spans; send fewer spans at once, or shorter attributes of the resource
        """
        self._parts += 1
        self._repeated += repeated
        if self._parts > self._bounds.parts:
            raise too_many_parts(self._bounds)
        if self._repeated > self._bounds.repeated:
            raise TooMuch(
                f"an export whose resource makes more than {self._bounds.repeated} characters, "
                "once for each of its spans",
                remedy="send fewer spans at once, or shorter attributes of the resource",
            )


def too_many_parts(bounds: ExportBounds) -> TooMuch:
    return TooMuch(
        f"an export of more than {bounds.parts} spans, resources and scopes",
        remedy="send smaller batches, or let the receiver take more (--max-spans)",
    )


def clip_text(text: str, limit: int = MAX_TEXT) -> str:
    """``text``, or its beginning with a marker that tells how long it was. NUL, which no lake
    stores, becomes the replacement character.

    >>> clip_text("abcdef", 3), clip_text("a\\0b")
    ('abc…[cut: 6 characters]', 'a\ufffdb')
    """
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    return text if len(text) <= limit else f"{text[:limit]}…[cut: {len(text)} characters]"


def cut_items(count: int) -> str:
    """What stands for the items of a list or mapping beyond MAX_ITEMS."""
    return f"…[cut: {count} items]"


def plain_number(number: float) -> float | str:
    """JSON has no word for NaN and the infinities: they become their names.

    >>> plain_number(1.5), plain_number(float("-inf"))
    (1.5, '-inf')
    """
    return number if math.isfinite(number) else str(number)


def finite_number(value: Any) -> float | None:
    """A number as a float; None for what is no number or not finite, a whole number beyond every
    float among them (JSON text may hold one), and for truth values.

    >>> finite_number(3), finite_number(True), finite_number(float("nan")), finite_number(10**400)
    (3.0, None, None, None)
    """
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return None
    return float(value) if abs(value) <= sys.float_info.max else None


def is_vector(key: str) -> bool:
    """Embedding vectors are not kept: thousands of numbers that no later step reads.

    >>> is_vector("embedding.embeddings.0.embedding.vector"), is_vector("input.value")
    (True, False)
    """
    return key.endswith(".vector")
