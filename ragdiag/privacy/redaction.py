"""Redaction: what the rules find in a text becomes ``[email]``, ``[phone]``, … and is gone.

Arrow looks a column through with the rules' hints; only texts that a hint matches are rewritten one
by one, until nothing more is found, so that redacting twice is redacting once. Labels themselves
are never looked into.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ragdiag.configuration import PrivacyTable
from ragdiag.privacy.addresses import IP
from ragdiag.privacy.contacts import EMAIL, phone_rule
from ragdiag.privacy.credentials import SECRET
from ragdiag.privacy.custom import custom_rule
from ragdiag.privacy.numbers import CARD, IBAN
from ragdiag.privacy.rules import Rule, label

_ORDER = ("secret", "email", "iban", "card", "ip", "phone")
"""The narrower first: a card's digits would also make telephone numbers."""


@dataclass(frozen=True, slots=True)
class Redacted:
    """Texts as they may be kept (null stays null), and how often each rule found something."""

    texts: list[str | None]
    found: Mapping[str, int]


@dataclass(frozen=True)
class Redactor:
    """Compiled rules; the same object may be used by many threads."""

    rules: tuple[Rule, ...]

    def redact(self, text: str) -> str:
        """``text`` without what the rules find; in columns a text costs a hundredth of this.

        >>> compile_redactor(PrivacyTable()).redact("Write to ann@example.org, please.")
        'Write to [email], please.'
        """
        return self.redact_many([text]).texts[0] or ""

    def redact_many(self, texts: Sequence[str | None]) -> Redacted:
        """Each of ``texts`` redacted, in their order. A lone surrogate becomes U+FFFD."""
        column, found = self.redact_column(_column(texts))
        return Redacted(column.to_pylist(), found)

    def redact_column(self, column: Any) -> tuple[Any, Mapping[str, int]]:
        """An Arrow column of strings (Array or ChunkedArray) redacted, and the counts by rule.

        Where nothing is found the column itself is returned.
        """
        found: Counter[str] = Counter()
        changed: dict[int, str] = {}
        suspects = {row: column[row].as_py() for row in _hinted(column, self._hint)}
        while suspects:
            after = self._rewrite(list(suspects.values()), found)
            pairs = zip(suspects.items(), after, strict=True)
            suspects = {row: text for (row, before), text in pairs if text != before}
            changed |= suspects
        return (_replaced(column, changed) if changed else column), dict(found)

    def _rewrite(self, texts: list[str], found: Counter[str]) -> list[str]:
        """Each text after one turn of every rule. The hints saw them before the turn: what a rule
        makes findable for an earlier or a later one is found in the next turn."""
        column = _column(texts)
        rewritten = list(texts)
        for rule in self.rules:
            for row in _hinted(column, rule.hint):
                pieces = self._labels.split(rewritten[row])
                for place in range(0, len(pieces), 2):
                    pieces[place], count = rule.replace(pieces[place])
                    found[rule.name] += count
                rewritten[row] = "".join(pieces)
        return rewritten

    @cached_property
    def _hint(self) -> str:
        """Of all rules at once: most texts are looked through only once."""
        return "|".join(f"(?:{rule.hint})" for rule in self.rules) or r"[^\x00-\x{10FFFF}]"

    @cached_property
    def _labels(self) -> re.Pattern[str]:
        """Splits a text so that every second piece is a label."""
        names = "|".join(re.escape(label(rule.name)) for rule in self.rules)
        return re.compile(f"({names})" if names else r"(?!)()")


def compile_redactor(privacy: PrivacyTable) -> Redactor:
    """The redactor that ``[privacy]`` asks for. Raises InputError for a pattern that is none."""
    built_in = {rule.name: rule for rule in (SECRET, EMAIL, IBAN, CARD, IP)}
    built_in["phone"] = phone_rule(privacy.phone_regions)
    chosen = [built_in[name] for name in _ORDER if name in privacy.redact]
    own = [custom_rule(name, pattern) for name, pattern in privacy.patterns.items()]
    return Redactor((*chosen, *own))


def _hinted(column: Any, hint: str) -> list[int]:
    """The rows that ``hint`` matches."""
    return list(pc.indices_nonzero(pc.match_substring_regex(column, hint)).to_pylist())


def _column(texts: Sequence[str | None]) -> Any:
    try:
        return pa.array(texts, pa.large_string())
    except UnicodeEncodeError:
        sound = [
            text if text is None else text.encode(errors="surrogatepass").decode(errors="replace")
            for text in texts
        ]
        return pa.array(sound, pa.large_string())


def _replaced(column: Any, changed: Mapping[int, str]) -> Any:
    """``column`` with the rows of ``changed`` (row → text) exchanged."""
    rows = sorted(changed)
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    mask = pc.is_in(pa.array(range(len(whole))), pa.array(rows))
    return pc.replace_with_mask(whole, mask, pa.array([changed[row] for row in rows], whole.type))
