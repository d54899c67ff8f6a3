"""Texts that are not stored: a keyed hash stands in, so that equal texts still group.

Nobody without the workspace's key can try out what a text may have been.
"""

from __future__ import annotations

import re

from ragdiag.privacy.pseudonyms import keyed_hash
from ragdiag.settings import Workspace

_STAND_IN = re.compile(r"\[text [0-9a-f]{32}\]")
NOT_STORED = "(text not stored)"
"""What people see in its place."""


def hide_text(workspace: Workspace, text: str) -> str:
    """What is kept in place of ``text``; an empty text and a stand-in are kept as they are."""
    if not text or is_hidden(text):
        return text
    return f"[text {keyed_hash(workspace, 'text', text)}]"


def is_hidden(text: str) -> bool:
    """Whether ``text`` is such a stand-in.

    >>> is_hidden("[text 00112233445566778899aabbccddeeff]"), is_hidden("[text]")
    (True, False)
    """
    return _STAND_IN.fullmatch(text) is not None


def shown_text(text: str) -> str:
    """``text`` for people: what is not stored says so, and its first digits tell it from others.

    >>> shown_text("[text 00112233445566778899aabbccddeeff]")
    '(text not stored) 00112233'
    """
    return f"{NOT_STORED} {text[6:14]}" if is_hidden(text) else text
