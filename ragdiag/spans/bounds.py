"""How much of a span is kept: what is longer, more or deeper is cut and says so.

A span comes from outside. Nothing in it may cost more than these limits, and what they took away
stays visible in the value itself.
"""

from __future__ import annotations

import math

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


def is_vector(key: str) -> bool:
    """Embedding vectors are not kept: thousands of numbers that no later step reads.

    >>> is_vector("embedding.embeddings.0.embedding.vector"), is_vector("input.value")
    (True, False)
    """
    return key.endswith(".vector")
