"""Secrets: keys and tokens by their published shapes, and what is assigned to a telling name.

A telling name alone proves nothing: documentation says ``api_key = "YOUR_API_KEY"`` and
``password=getpass()``. What is assigned must look made by chance. Written here rather than taken
from a scanner of files: detect-secrets needs 1.5 ms for 500 characters, a column of a log has
microseconds.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator

from ragdiag.privacy.rules import Rule, replace_spans

_SHAPES = re.compile(
    r"(?<![A-Za-z0-9_])(?:"
    r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}"  # AWS access key id
    r"|gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,}|glpat-[\w-]{20,}"
    r"|xox[abeoprs]-[A-Za-z0-9-]{10,}|xapp-[A-Za-z0-9-]{10,}"  # Slack
    r"|AIza[\w-]{35}|ya29\.[\w-]{20,}"  # Google
    r"|sk-(?:[A-Za-z0-9]+-)*[A-Za-z0-9_-]{20,}"  # OpenAI and those that followed it
    r"|[spr]k_(?:live|test)_[A-Za-z0-9]{16,}|whsec_[A-Za-z0-9]{16,}"  # Stripe
    r"|npm_[A-Za-z0-9]{30,}|pypi-[\w-]{50,}|hf_[A-Za-z0-9]{30,}|dop_v1_[a-f0-9]{60,}"
    r"|SG\.[\w-]{16,}\.[\w-]{16,}|SK[a-f0-9]{32}"  # SendGrid, Twilio
    r")(?![A-Za-z0-9_])",
    re.ASCII,
)
_JWT = re.compile(
    r"(?<![\w-])(?>[\w-]*?(?<!\w)(?=eyJ))(eyJ[\w-]{8,}+\.eyJ[\w-]{8,}+\.[\w-]*+)", re.ASCII
)
"""RFC 7519. Of its first part only the first beginning counts: a later one would be shorter."""
_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z0-9 ]{0,40}-----|\Z)",
    re.DOTALL,
)
"""One that is cut off counts to the end. A possessive group would end it too early before Python
3.11.5 (python/cpython#106052)."""
_URL_LOGIN = re.compile(r"(?<=://)[^\s/:@]*+:[^\s/@]++(?=@)")
_AUTHORIZATION = re.compile(r"\b(?:bearer|basic)\s+([\w.~+/=-]{16,})", re.I | re.A)
_ASSIGNED = re.compile(
    r"(?i:(?P<password>passw(?:or)?d|passphrase|passwd|pwd)"
    r"|(?:secret|token|api[_-]?key|access[_-]?key|private[_-]?key|auth[_-]?key|account[_-]?key"
    r"|credentials?))"
    r"[\w-]{0,20}[\"'`]?\s{0,3}(?:[:=]=?>?|\bis\b)\s{0,3}[\"'`]?(?P<value>[^\s\"'`,;<>()\[\]{}]{6,})",
    re.ASCII,
)
_DOTTED_NAME = re.compile(r"[$]?[A-Za-z_]\w*(?:[.:]{1,2}[A-Za-z_]\w*)*")
_PLACEHOLDER = re.compile(r"your|example|change|placeholder|dummy|redacted|xxx|\*\*\*|\.\.\.", re.I)

_SHORTEST_TOKEN = 16
_BITS_PER_CHARACTER, _BITS_PER_HEX_DIGIT = 3.5, 3.0
"""What random characters and random hexadecimal digits of such length exceed, and words do not."""


def entropy(text: str) -> float:
    """Shannon entropy of its characters, in bits per character.

    >>> entropy("aabb")
    1.0
    """
    counts = Counter(text).values()
    return -sum(n / len(text) * math.log2(n / len(text)) for n in counts)


def _replace(text: str) -> tuple[str, int]:
    spans: list[tuple[int, int]] = []
    for start, end in sorted(_spans(text), key=lambda span: (span[0], -span[1])):
        if spans and start < spans[-1][1]:
            spans[-1] = spans[-1][0], max(spans[-1][1], end)
        else:
            spans.append((start, end))
    return replace_spans(text, spans, "secret")


def _spans(text: str) -> Iterator[tuple[int, int]]:
    for shape in (_PRIVATE_KEY, _URL_LOGIN, _SHAPES):
        yield from (match.span() for match in shape.finditer(text))
    yield from (match.span(1) for match in _JWT.finditer(text))
    for match in _AUTHORIZATION.finditer(text):
        if looks_random(match.group(1)):
            yield match.span(1)
    for match in _ASSIGNED.finditer(text):
        judge = looks_chosen if match.group("password") else looks_random
        if judge(match.group("value").rstrip(".:!?")):
            yield match.span("value")


def looks_random(value: str) -> bool:
    """Long, letters and digits mixed, and no pattern in them: a key or a token."""
    mixed = re.search(r"\d", value) and re.search(r"[A-Za-z]", value)
    if len(value) < _SHORTEST_TOKEN or not mixed or _PLACEHOLDER.search(value):
        return False
    hexadecimal = re.fullmatch(r"[0-9a-fA-F-]+", value) is not None
    return entropy(value) >= (_BITS_PER_HEX_DIGIT if hexadecimal else _BITS_PER_CHARACTER)


def looks_chosen(value: str) -> bool:
    """A password: letters with a digit or a sign among them, and neither a path nor a name."""
    name = _DOTTED_NAME.fullmatch(value) and ("." in value or not re.search(r"\d", value))
    odd = len(value) < 6 or name or value[0] in "/~.$" or _PLACEHOLDER.search(value)
    return not odd and bool(re.search(r"[A-Za-z]", value)) and bool(re.search(r"[^A-Za-z]", value))


SECRET = Rule(
    "secret",
    r"PRIVATE KEY|://[^\s/:@]*:[^\s/@]+@|eyJ|A[KSBC][IC]A[A-Z0-9]{16}|gh[pousr]_|github_pat_|glpat-"
    r"|xox[abeoprs]-|xapp-|AIza|ya29\.|sk-|[spr]k_(?:live|test)_|whsec_|npm_|pypi-|hf_|dop_v1_"
    r"|SG\.|SK[a-f0-9]{32}|(?i:(?:bearer|basic)\s+[\w.~+/=-]{16}"
    r"|(?:passw(?:or)?d|passphrase|pwd|secret|token|[_-]?key|credential)[\w-]{0,20}[\"'`]?\s{0,3}"
    r"(?:[:=]|is\b))",
    _replace,
)
