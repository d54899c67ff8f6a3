"""What one redaction rule is: a cheap hint for whole columns and an exact replacement for one text.

The hint is an RE2 pattern: linear in the text whatever the text says, and run by Arrow over a
column at once. It must match every text in which the replacement would change anything; what else
it matches only costs time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Replacement = Callable[[str], tuple[str, int]]
"""A text → the text with what was found replaced by the rule's label, and how often."""


@dataclass(frozen=True, slots=True)
class Rule:
    """``name`` is also the label: what the rule ``email`` finds becomes ``[email]``."""

    name: str
    hint: str
    replace: Replacement


def label(name: str) -> str:
    return f"[{name}]"


def replace_spans(text: str, spans: list[tuple[int, int]], name: str) -> tuple[str, int]:
    """``text`` with each of the spans (ordered, apart from each other) as the label of ``name``.

    >>> replace_spans("to ann@x.org", [(3, 12)], "email")
    ('to [email]', 1)
    """
    pieces = []
    end = 0
    for start, stop in spans:
        pieces += [text[end:start], label(name)]
        end = stop
    return "".join([*pieces, text[end:]]), len(spans)
