"""Names from a log or a spec in the Markdown of a summary: shown, never interpreted."""

from __future__ import annotations

import re

# An underscore between two letters marks nothing up, and names of faults read well with theirs.
_MARKUP = re.compile(r"[\\`*\[|~$#&]|(?<![^\W_])_|_(?![^\W_])")


def plain(text: str) -> str:
    r"""Markdown that shows ``text`` as it is, in a line or a cell of a table.

    >>> print(plain("topic __init__: a|b, <i>*corpus_gap*"))
    topic \_\_init\_\_: a\|b, &lt;i>\*corpus_gap\*
    """
    escaped = _MARKUP.sub(r"\\\g<0>", " ".join(text.splitlines()))
    return escaped.replace("<", "&lt;")
