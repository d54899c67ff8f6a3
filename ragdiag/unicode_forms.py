"""One spelling for text that Unicode writes in several ways (Unicode Standard Annex 15)."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import Literal


def normal_form(form: Literal["NFC", "NFKC"], text: str) -> str:
    """``text`` in that form, in time that grows with its length.

    Of more than thirty marks on one letter the first thirty are kept: Python sorts them in time
    that grows with their number squared, and the annex's Stream-Safe Text has no more either.

    >>> normal_form("NFC", "cafe\\u0301") == "café", normal_form("NFKC", "H₂O")
    (True, 'H2O')
    """
    if text.isascii():
        return text
    if not combining_marks().isdisjoint(text):
        text = _many_marks().sub(r"\1", text)
    return unicodedata.normalize(form, text)


@cache
def combining_marks() -> frozenset[str]:
    """Accents and vowel signs, which are no word characters of ``re``. It takes some 20 ms, once,
    and only where a text has more than ASCII."""
    codes = map(chr, range(0x300, 0x1F000))
    return frozenset(one for one in codes if unicodedata.category(one) in ("Mn", "Mc"))


@cache
def _many_marks() -> re.Pattern[str]:
    marks = "".join(sorted(combining_marks()))
    return re.compile(rf"([{marks}]{{30}})[{marks}]+")
