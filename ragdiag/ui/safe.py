"""Text from outside (questions, passages, answers, names) on a page: shown, never interpreted.

Streamlit reads most of its strings as Markdown, which would fetch images, follow links and set
formulas; so such text goes through :func:`literal`, or as escaped HTML through :func:`draw`.
"""

from __future__ import annotations

import re
from html import escape

import streamlit as st

_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")


def literal(text: str) -> str:
    r"""Markdown that shows ``text`` as it is; line ends become spaces.

    >>> literal("<b>*$x$*</b>")
    '\\<b\\>\\*\\$x\\$\\*\\<\\/b\\>'
    """
    return _PUNCTUATION.sub(r"\\\1", " ".join(text.split()))


def span(text: str, style: str = "") -> str:
    """Escaped text as an HTML span; line breaks are kept by ``white-space``."""
    return f"<span style='{style}'>{escape(text)}</span>"


def draw(html: str) -> None:
    """Draw HTML made of this package's own tags and escaped text; Streamlit sanitises it again."""
    st.html(html)
