"""Numbers that pay: cards by the Luhn checksum (ISO/IEC 7812), accounts by modulo 97 (ISO 13616).

A checksum alone passes one random number of ten, so a card must also begin as a network's cards do
and be as long as they are: of random sixteen-digit ids two in a hundred still pass.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import accumulate

from stdnum import iban, luhn, numdb

from ragdiag.privacy.rules import Rule, replace_spans

_NETWORKS = (
    (re.compile(r"4"), (13, 16, 19)),
    (re.compile(r"5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720"), (16,)),
    (re.compile(r"3[47]"), (15,)),
    (re.compile(r"6011|64[4-9]|65|62|352[89]|35[3-8]"), (16, 17, 18, 19)),
    (re.compile(r"30[0-5]|36|38"), (14, 16)),
    (re.compile(r"50[123]|5893|6304|6759|676[1-3]"), (13, 14, 15, 16, 17, 18, 19)),
)
"""First digits and lengths: Visa; Mastercard; American Express; Discover, UnionPay and JCB;
Diners Club; Maestro."""

_MOST_DIGITS = 19
_GAP = "[ \\-\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}\N{HYPHEN}-\N{EN DASH}]{0,2}"
"""What people put between groups of digits. In a bracket of RE2 and of Python alike."""
_DIGIT_RUN = re.compile(rf"(?<![\w+])\d(?:{_GAP}\d){{12,}}(?!\w)", re.ASCII)
_DOTTED = re.compile(r"(?<![\w+])(?<!\d[.,])\d{4}(?:\.\d{3,6}){2,4}(?!\w)(?!\.\d)", re.ASCII)
"""Groups with dots between them are a card's only where none is as long as a fraction may be."""
_MOST_BEFORE = 14
_FRACTION_AFTER = re.compile(r"(?<!\d)\d{1,12}[.,]$", re.ASCII)
_GROUP = re.compile(r"\d+", re.ASCII)
_IBAN_START = re.compile(rf"(?<![A-Za-z0-9])[A-Za-z]{{2}}\d\d(?={_GAP}[A-Za-z0-9])", re.ASCII)


def _replace_cards(text: str) -> tuple[str, int]:
    spans: list[tuple[int, int]] = []
    runs = [*_DIGIT_RUN.finditer(text), *_DOTTED.finditer(text)]
    for run in sorted(runs, key=re.Match.start):
        spans += [span for span in _cards_in(text, run) if not spans or span[0] >= spans[-1][1]]
    return replace_spans(text, spans, "card")


def _cards_in(text: str, run: re.Match[str]) -> Iterator[tuple[int, int]]:
    """Cards within a run of groups of digits: other numbers may stand before and after one. The
    digits of a fraction are none."""
    groups = [match.span() for match in _GROUP.finditer(text, *run.span())]
    before = text[max(0, run.start() - _MOST_BEFORE) : run.start()]
    if _FRACTION_AFTER.search(before):
        del groups[0]
    digits = "".join(text[start:end] for start, end in groups)
    places = list(accumulate((end - start for start, end in groups), initial=0))
    first = 0
    while first < len(groups):
        place, last = places[first], None
        lengths = _lengths(digits[place : place + _MOST_DIGITS])
        for after in range(first + 1, len(groups) + 1):
            length = places[after] - place
            if not lengths or length > _MOST_DIGITS:
                break
            if length in lengths and luhn.is_valid(digits[place : places[after]]):
                last = after
        if last is None:
            first += 1
        else:
            yield groups[first][0], groups[last - 1][1]
            first = last


def _lengths(digits: str) -> set[int]:
    """How long a card may be that begins with ``digits``; empty where none does."""
    return {n for start, lengths in _NETWORKS if start.match(digits) for n in lengths}


CARD = Rule("card", rf"\d(?:{_GAP}\d){{12}}|\d{{4}}(?:\.\d{{3,6}}){{2}}", _replace_cards)


def _replace_ibans(text: str) -> tuple[str, int]:
    spans: list[tuple[int, int]] = []
    for found in _IBAN_START.finditer(text):
        end = _iban_end(text, found.start())
        if end is not None and not (spans and found.start() < spans[-1][1]):
            spans.append((found.start(), end))
    return replace_spans(text, spans, "iban")


def _iban_end(text: str, start: int) -> int | None:
    """Where the account number that begins at ``start`` ends; None where there is none."""
    length = _iban_length(text[start : start + 2].upper())
    if length is None:
        return None
    found = re.compile(rf"[A-Za-z0-9](?:{_GAP}[A-Za-z0-9]){{{length - 1}}}(?![A-Za-z0-9])").match(
        text, start
    )
    if found is None:
        return None
    number = "".join(filter(str.isalnum, found.group()))
    return found.end() if iban.is_valid(number, check_country=False) else None


@lru_cache(maxsize=512)
def _iban_length(country: str) -> int | None:
    """How many characters the country's account numbers have, by the registry of the standard."""
    (_, facts), *_ = numdb.get("iban").info(country)
    fields = re.findall(r"(\d+)!", facts.get("bban", ""))
    return 4 + sum(map(int, fields)) if fields else None


IBAN = Rule(
    "iban", rf"(?:^|[^A-Za-z0-9])[A-Za-z]{{2}}\d\d(?:{_GAP}[A-Za-z0-9]){{11}}", _replace_ibans
)
