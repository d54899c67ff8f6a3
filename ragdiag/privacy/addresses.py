"""Addresses of machines: IPv4 and IPv6, as the standard library reads them.

``1.2.3.4`` may be a version. It counts as one where a word before it says so (``version 1.2.3.4``,
``v1.2.3.4``), where it is compared with a package (``torch==1.2.3.4``) or where a suffix follows
(``1.2.3.4-beta``); else it is taken for an address: hiding a version costs less than showing an
address. Addresses that are the same on every
machine (loopback, unspecified, reserved such as netmasks) stay: they name nobody.
"""

from __future__ import annotations

import ipaddress
import re

from ragdiag.privacy.rules import Rule, replace_spans

_V4 = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?!\w|\.\w|-[A-Za-z])", re.ASCII)
_V6 = re.compile(
    r"(?<![\w:.])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?:(?:\.\d{1,3}){3})?", re.ASCII
)
_VERSION_BEFORE = re.compile(
    r"(?:\b(?:v|ver|version|versions|release|rev|revision|build|section|chapter|clause|oid|tag)"
    r"\.?\s*[:=]?|§)\s*$",
    re.IGNORECASE,
)
_BEFORE = 16
"""Characters looked at for a word that makes it a version."""
_COMPARISONS = ("==", ">=", "<=", "~=", "^=", "!=")
_COMPARED = re.compile(r"(?<![\w.-])[A-Za-z][\w.-]*(?:\[[\w,-]*\])?$", re.ASCII)
_COMPARED_BEFORE = 40
_MACHINE = re.compile(
    r"(?i:(?:^|[\W_])(?:ip|ipv4|addr|address|host|hostname|server|client|peer|remote|source|src"
    r"|destination|dest|dst|gateway|proxy))$|[a-z](?:Ip|IP|Addr|Address|Host)$"
)
"""How the name of a field ends that is compared with addresses and is no package."""


def _replace(text: str) -> tuple[str, int]:
    spans = [match.span() for match in _V4.finditer(text) if _is_v4(text, match)]
    spans += [
        (match.start(), match.start() + length)
        for match in _V6.finditer(text)
        if (length := _v6_length(match.group(), text[match.end() : match.end() + 1]))
    ]
    apart: list[tuple[int, int]] = []
    for start, end in sorted(spans, key=lambda span: (span[0], -span[1])):
        if not apart or end > apart[-1][1]:
            apart.append((start, end))
    return replace_spans(text, apart, "ip")


def _is_v4(text: str, found: re.Match[str]) -> bool:
    before = text[max(0, found.start() - _COMPARED_BEFORE) : found.start()]
    is_version = _VERSION_BEFORE.search(before[-_BEFORE:]) or _is_package(before.rstrip())
    return not is_version and _names_a_machine(found.group())


def _is_package(before: str) -> bool:
    """Whether what is compared at the end of ``before`` is a package, to judge by its name."""
    if not before.endswith(_COMPARISONS):
        return False
    name = _COMPARED.search(before[:-2].rstrip())
    return name is not None and not _MACHINE.search(name.group())


def _v6_length(candidate: str, following: str) -> int:
    """How much of ``candidate`` is an address: one may be followed by a colon, a slice is none."""
    address = re.sub(r"(?<!:):$", "", candidate)
    if address == candidate and (following.isalnum() or following == "_"):
        return 0
    groups = [group for group in address.split(":") if group]
    enough = len(groups) >= 3 or (len(groups) == 2 and len(groups[0]) == 4)
    return len(address) if enough and _names_a_machine(address) else 0


def _names_a_machine(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    same_everywhere = address.is_loopback or address.is_unspecified or address.is_multicast
    reserved = address.version == 4 and address.is_reserved
    return not (same_everywhere or reserved)


IP = Rule(
    "ip",
    r"\d\.\d{1,3}\.\d{1,3}\.\d|[0-9A-Fa-f]{1,4}:[0-9A-Fa-f]{1,4}:[0-9A-Fa-f]{0,4}:"
    r"|[0-9A-Fa-f]{1,4}::[0-9A-Fa-f]|::[0-9A-Fa-f]{1,4}:",
    _replace,
)
