"""Where a person can be reached: email addresses and telephone numbers.

Telephone numbers are recognised by libphonenumber's own rules (the package phonenumbers): a
number must be assignable in its country and, where it is written in a country's own format, be
grouped as that country groups. A bare run of digits is an id, not a number, unless it begins
with ``+``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from phonenumbers import Leniency, PhoneNumberMatcher

from ragdiag.privacy.rules import Rule, replace_spans

_EMAIL = re.compile(r"(?<![\w.%+'-])[.'-]*+([\w%+][\w.%+'-]*+@(?:[\w-]++\.)+[^\W\d_][\w-]++)")
"""Looked for only where such characters begin, so that each is looked at once."""
_SERVICE = re.compile(r"git@")
"""``git@host:path`` names a repository: everybody is ``git`` there."""

_GAP = r"[ ().\-/\x{a0}\x{2010}-\x{2013}]{1,3}"
_PHONE_SHAPE = (
    rf"\+[ (]?\d|\(\d{{1,5}}\)[ .\-]?\d|\d{{1,5}}{_GAP}\d{{1,5}}{_GAP}\d{{3}}"
    rf"|\d{{1,4}}(?:{_GAP}\d\d){{3}}|\b0\d{{1,4}}{_GAP}\d{{4}}"
)
"""How people group digits: after ``+`` or a bracket, in three groups, in pairs, after a 0."""

_GROUPED = re.compile(re.sub(r"\\x\{(\w+)\}", lambda m: chr(int(m[1], 16)), _PHONE_SHAPE), re.ASCII)
_RUN = re.compile(r"(?<![\w.,])[+(]?\d[\d ().\-/\u00a0\u2010-\u2013]{5,40}\d(?![\w%])", re.ASCII)
_NO_NUMBER = re.compile(
    r"\d{4}([-/.])\d\d\1\d\d\b|\d\d?([-/.])\d\d?\2\d{4}\b|10\.\d{4,}/", re.ASCII
)
"""Dates, and the identifiers of publications (DOI)."""
_FEWEST_DIGITS = 7
"""Nothing shorter reaches a person from elsewhere."""
_MOST_RUNS = 1000
"""Of one text that are looked into, at 0.2 ms each: in a text with more of them all are hidden,
so that no text can stall ingest."""


def _replace_emails(text: str) -> tuple[str, int]:
    spans = [m.span(1) for m in _EMAIL.finditer(text) if not _SERVICE.match(m.group(1))]
    return replace_spans(text, spans, "email")


EMAIL = Rule("email", "@", _replace_emails)


def phone_rule(regions: Sequence[str]) -> Rule:
    """Numbers written with ``+``, and those in the national format of ``regions`` (ISO 3166)."""

    def replace(text: str) -> tuple[str, int]:
        return replace_spans(text, list(_phone_spans(text, regions)), "phone")

    return Rule("phone", _PHONE_SHAPE, replace)


def _phone_spans(text: str, regions: Sequence[str]) -> Iterator[tuple[int, int]]:
    runs = [run for run in _RUN.finditer(text) if _may_be_a_number(run.group())]
    if len(runs) > _MOST_RUNS:
        yield from (run.span() for run in runs)
        return
    for run in runs:
        for start, stop in _numbers_in(run.group(), regions):
            yield run.start() + start, run.start() + stop


def _may_be_a_number(run: str) -> bool:
    digits = sum(character.isdigit() for character in run)
    return digits >= _FEWEST_DIGITS and not _NO_NUMBER.match(run) and bool(_GROUPED.search(run))


def _numbers_in(run: str, regions: Sequence[str]) -> list[tuple[int, int]]:
    """The spans of the first region that finds any; where no region is named, ``+`` alone."""
    for region in regions or (None,):
        found = [
            (match.start, match.end)
            for match in PhoneNumberMatcher(run, region, leniency=Leniency.STRICT_GROUPING)
            if not match.raw_string.isdigit()
        ]
        if found:
            return found
    return []
