"""What ``[privacy]`` of a workspace makes of texts on their way into the store.

Texts are redacted; where texts are not stored, those that hold what people wrote become keyed
hashes of their redacted form. Screening twice is screening once, so what comes again can be
compared with what is stored.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ragdiag.configuration import PrivacyTable, read_configuration
from ragdiag.privacy.hiding import hide_text, is_hidden
from ragdiag.privacy.pseudonyms import is_raw, mark_user, stored_user, user_reader
from ragdiag.privacy.redaction import Redactor, compile_redactor
from ragdiag.settings import Workspace
from ragdiag.user_ids import USER_IDS, mark_users

_NAME_KEY = re.compile(
    r"(?:^|[._])(?:ids?|citations|source|file_name|file_path|names?|models?|provider|language"
    r"|environment|version|stage|topic|traffic|tenant|roles?|kind|type|method|status|status_code"
    r"|level|label|finish_reasons?|cache_hit|dropped|(?:db|gen_ai)\.system)$"
)
"""Attributes whose texts name something (ids, models, states), by the end of their name."""

_PERSON_KEY = re.compile(
    r"(?:user|customer|person)(?!_agent)[._]|(?:^|[._])(?:full|first|last|given|family)_names?$"
)
"""Those of them that end in a name and name people."""

_HOLDER_KEY = re.compile(
    r"(?:^|[._])(?:documents?|metadata|messages?|parts|links|invocation_parameters)$"
)
"""Attributes with JSON whose own names say what its texts are; in any other all are concealed."""

_LONG_NUMBER = 10**12
"""No shorter whole number pays."""

DROPPED = {"ragdiag.dropped": "nested too deeply"}

_MAY_NAME_A_USER = re.compile(
    r"""["']kind["']\s*:\s*["']span["']"""
    rf"""|["'](?:{"|".join(map(re.escape, USER_IDS))})\\*["']"""
    r"""|["']user\\*["']\s*:"""
    r"""|["']user_key["']\s*+:\s*+(?!$|null|None|["'](?:[0-9a-f]{32})?["'])"""
)
"""Of a line that cannot be read nobody knows which of its words is a raw user id. ``user`` is what
other formats call it; a ``user_key`` that is no text may still be one."""

_ESCAPED = re.compile(r"\\u00([2-7][0-9a-fA-F])")


@dataclass(frozen=True)
class Screen:
    """``pseudonym`` marks a raw user id in a span, ``user_reader`` gives what turns users into
    their own pseudonyms, ``hide`` turns a text into its stand-in (None where texts are stored)."""

    redactor: Redactor
    pseudonym: Callable[[str], str]
    user_reader: Callable[[], Callable[[str], str]]
    hide: Callable[[str], str] | None = None

    @property
    def is_open(self) -> bool:
        """Whether every text passes as it is."""
        return not self.redactor.rules and self.hide is None

    def redact(self, texts: Sequence[str | None]) -> list[str | None]:
        """Texts that are always stored, redacted; stand-ins pass as they are."""
        redacted = self.redactor.redact_many(texts).texts
        return [
            before if before is not None and is_hidden(before) else after
            for before, after in zip(texts, redacted, strict=True)
        ]

    def conceal(self, texts: Sequence[str | None]) -> list[str | None]:
        """Texts that people wrote: redacted and, where texts are not stored, hidden."""
        redacted = self.redact(texts)
        if self.hide is None:
            return redacted
        return [text if text is None else self.hide(text) for text in redacted]

    def column(self, column: Any, *, hidden: Any = None) -> Any:
        """As :meth:`redact` for an Arrow column; :meth:`conceal` for the rows that ``hidden`` (a
        boolean column) marks. Where nothing changes the column itself is returned."""
        redacted, _ = self.redactor.redact_column(column)
        if redacted is not column:
            stand_ins = pc.match_substring_regex(column, r"^\[text [0-9a-f]{32}\]$")
            redacted = pc.if_else(pc.fill_null(stand_ins, False), column, redacted)
        if self.hide is None or hidden is None:
            return redacted
        hide = self.hide
        texts = [
            hide(text) if marked and text is not None else text
            for text, marked in zip(redacted.to_pylist(), hidden.to_pylist(), strict=True)
        ]
        return pa.chunked_array([pa.array(texts, column.type)])

    def users(self, column: Any) -> Any:
        """An Arrow column of ``user_key`` in which raw user ids are pseudonyms, as
        :func:`stored_user` has it. Where nothing changes the column itself is returned."""
        raw = [key for key in pc.unique(column).to_pylist() if key and is_raw(key)]
        if not raw:
            return column
        read = self.user_reader()
        stored = {key: stored_user(key, read) for key in raw}
        kept = [stored.get(key, key) for key in column.to_pylist()]
        return pa.chunked_array([pa.array(kept, column.type)])

    def attributes(self, values: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """JSON objects with every text redacted, names of fields and long numbers among them, all
        but names and states concealed, and user ids as pseudonyms.

        A text that is JSON itself is read as such, so that it still is afterwards; of a field that
        it says twice the last counts, and the others are not kept. What is nested
        too deeply to be looked through is not kept. All are looked through at once: for each call
        the rules are compiled anew, which takes longer than a hundred texts.
        """
        if self.is_open:
            return [self._screened(value) for value in values]
        found = [_strings_in(value) for value in values]
        texts = [text for strings in found for text in strings or ()]
        kept = iter(self.redact([text for text, concealed in texts if not concealed]))
        hidden = iter(self.conceal([text for text, concealed in texts if concealed]))
        screened = []
        for value, strings in zip(values, found, strict=True):
            own = [next(hidden if concealed else kept) for _, concealed in strings or ()]
            screened.append(dict(DROPPED) if strings is None else self._screened(value, own))
        return screened

    def _screened(
        self, value: Mapping[str, Any], texts: Sequence[str | None] | None = None
    ) -> dict[str, Any]:
        """``value`` with pseudonyms for users and, where given, ``texts`` in place of its own."""
        try:
            kept = value if texts is None else _rebuilt(value, iter(texts))
            return mark_users(kept, value, self.pseudonym)
        except RecursionError:
            return dict(DROPPED)

    def bodies(self, texts: Sequence[str]) -> list[str]:
        """Lines that could not be read, as they may be kept: whatever they hold, as text. Nothing
        of a span or of what else may name a user by the raw id."""
        if self.hide is not None:
            return [self.hide(text) for text in texts]
        plain: Sequence[str] = texts
        if not self.is_open:
            plain = [_ESCAPED.sub(lambda found: chr(int(found[1], 16)), text) for text in texts]
        told = ["" if _MAY_NAME_A_USER.search(text) else text for text in plain]
        return [text or "" for text in self.redact(told)]


def open_screen(workspace: Workspace) -> Screen:
    """The screen of ``workspace`` as its configuration is now. Raises InputError."""
    return _screen(workspace, _Shape(read_configuration(workspace).privacy))


@dataclass(frozen=True)
class _Shape:
    """A configuration as a key of the cache: rules take a millisecond to compile."""

    privacy: PrivacyTable

    def __hash__(self) -> int:
        return hash(self.privacy.model_dump_json())


@lru_cache(maxsize=8)
def _screen(workspace: Workspace, shape: _Shape) -> Screen:
    hide = None if shape.privacy.store_text else partial(hide_text, workspace)
    redactor = compile_redactor(shape.privacy)
    return Screen(redactor, partial(mark_user, workspace), partial(user_reader, workspace), hide)


def _strings_in(value: Any) -> list[tuple[str, bool]] | None:
    """All of :func:`_strings`; None where they lie too deep."""
    try:
        return list(_strings(value, concealed=True, holder=True))
    except RecursionError:
        return None


def _strings(value: Any, *, concealed: bool, holder: bool) -> Iterator[tuple[str, bool]]:
    """Every text in ``value`` in a fixed order, and whether it is concealed: ``concealed`` says so
    of the value itself, in a ``holder`` the names below say it of theirs."""
    match value:
        case str():
            found = _inner_json(value)
            if found is None:
                yield value, concealed
            else:
                yield from _strings(found[0], concealed=concealed, holder=holder)
        case int() if abs(value) >= _LONG_NUMBER:
            yield str(value), concealed
        case Mapping():
            for key, item in value.items():
                name = str(key)
                yield name, any(map(str.isspace, name))
                yield from _strings(
                    item,
                    concealed=not (holder and _is_name(name.lower())),
                    holder=holder and _HOLDER_KEY.search(name.lower()) is not None,
                )
        case list() | tuple():
            for item in value:
                yield from _strings(item, concealed=concealed, holder=holder)


def _is_name(key: str) -> bool:
    """Whether what stands under ``key`` names a thing or a state, and no person."""
    if _NAME_KEY.search(key) is None:
        return False
    return not key.endswith(("name", "names")) or _PERSON_KEY.search(key) is None


def _rebuilt(value: Any, texts: Iterator[str | None]) -> Any:
    match value:
        case str():
            found = _inner_json(value)
            if found is None:
                return next(texts)
            inner, repeats = found
            rebuilt = _rebuilt(inner, texts)
            return value if rebuilt == inner and not repeats else json.dumps(rebuilt)
        case int() if abs(value) >= _LONG_NUMBER:
            text = next(texts)
            return value if text == str(value) else text
        case Mapping():
            return {next(texts): _rebuilt(item, texts) for item in value.values()}
        case list() | tuple():
            return [_rebuilt(item, texts) for item in value]
        case _:
            return value


def _inner_json(text: str) -> tuple[Any, bool] | None:
    """What a text says that is a JSON object or list, and whether it says a field of an object
    twice; None for any other."""
    if text.lstrip()[:1] not in ("{", "["):
        return None
    repeats = False

    def collect(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal repeats
        fields = dict(pairs)
        repeats = repeats or len(fields) < len(pairs)
        return fields

    try:
        inner = json.loads(text, object_pairs_hook=collect)
    except (ValueError, RecursionError):
        return None
    return (inner, repeats) if isinstance(inner, (dict, list)) else None
