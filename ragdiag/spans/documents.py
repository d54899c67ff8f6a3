"""The documents that a span retrieved, reranked or was given, as hits and passages."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ragdiag.records import Hit, Passage, Span
from ragdiag.spans.bounds import finite_number
from ragdiag.spans.conventions import RESULT_EVENTS
from ragdiag.spans.nesting import parse_json, read_nested

MAX_ID = 500
"""Characters."""
LARGEST_POSITION = LONGEST = 2**31 - 1
"""What the store has room for: of a position, and of the characters of a text."""
_TEXTS = ("content", "text", "page_content", "document", "entity")
_DOCUMENT_IDS = ("document_id", "doc_id", "source", "file_name", "file_path", "url")
_POSITIONS = ("position", "chunk_index")

_STAND_IN = re.compile(r"\[text [0-9a-f]{32}\]")


@dataclass(frozen=True, slots=True)
class Document:
    """``score`` is None where none was stated; higher is better."""

    passage_id: str
    text: str
    score: float | None
    title: str
    metadata: Mapping[str, Any]


def is_stand_in(text: str) -> bool:
    """Whether ``text`` stands for one that is not stored, as ``privacy.hiding`` writes it."""
    return _STAND_IN.fullmatch(text) is not None


def read_documents(span: Span, *prefixes: str) -> list[Document]:
    """What stands under the first of ``prefixes`` that the span has, in its order.

    A document without an id is named by its text: ``text:`` and 16 digits of its SHA-256. One
    without either is left out: nothing could ever be compared with it.
    """
    for prefix in prefixes:
        found = read_nested(span.attributes, prefix)
        if isinstance(found, list):
            return read_all(found)
    return []


def read_all(found: Any) -> list[Document]:
    """Documents from a list in any of their shapes; what is no list holds none."""
    listed = found if isinstance(found, list) else []
    return [document for one in listed if (document := _read(one)) is not None]


def read_results(span: Span) -> list[Document]:
    """As :func:`read_documents`, of the events by which vector stores tell their results."""
    found = []
    for event in span.events:
        if event.name in RESULT_EVENTS:
            start = f"{event.name}."
            fields = {
                key.removeprefix(start): value
                for key, value in event.attributes.items()
                if key.startswith(start)
            }
            found.append(_read(fields))
    return [document for document in found if document is not None]


def to_hits(documents: Iterable[Document]) -> tuple[Hit, ...]:
    """Ranked as given, a passage once, where it came first.

    Where not every score is stated, all are 1/rank, so that sorting by score keeps the order.
    """
    first: dict[str, Document] = {}
    for document in documents:
        first.setdefault(document.passage_id, document)
    kept = list(first.values())
    if any(document.score is None for document in kept):
        return tuple(Hit(d.passage_id, 1 / rank) for rank, d in enumerate(kept, start=1))
    return tuple(Hit(d.passage_id, d.score or 0.0) for d in kept)


def to_passages(documents: Sequence[Document]) -> list[Passage]:
    """The texts among them, each once."""
    passages = {}
    for document in documents:
        if document.text.strip():
            owner = _first(document.metadata, _DOCUMENT_IDS) or document.passage_id
            passage = Passage(
                document.passage_id,
                owner,
                document.text,
                document.title,
                _position(document.metadata),
            )
            passages[document.passage_id, passage.content_hash] = passage
    return list(passages.values())


def _read(found: Any) -> Document | None:
    if isinstance(found, str):
        found = {"content": found}
    if not isinstance(found, Mapping):
        return None
    fields = found["document"] if isinstance(found.get("document"), Mapping) else found
    fields = {str(key).removeprefix("document."): value for key, value in fields.items()}
    metadata = parse_json(fields.get("metadata"))
    metadata = metadata if isinstance(metadata, Mapping) else {}
    text = next((fields[key] for key in _TEXTS if isinstance(fields.get(key), str)), "")
    identifier = fields.get("id")
    named = isinstance(identifier, (str, int)) and str(identifier).strip()
    if not named and not text.strip():
        return None
    return Document(
        passage_id=_name(str(identifier)) if named else text_id(text),
        text=text,
        score=_score(fields),
        title=_first(metadata, ("title",)) or str(fields.get("name") or ""),
        metadata=metadata,
    )


def text_id(text: str) -> str:
    """What names a passage that has no id of its own.

    >>> text_id("Cats sleep.")
    'text:4437f5d1a46753b9'
    """
    return f"text:{hashlib.sha256(text.encode(errors='replace')).hexdigest()[:16]}"


def _name(identifier: str) -> str:
    """An id as it is; a monstrous one by its hash."""
    return identifier if len(identifier) <= MAX_ID else text_id(identifier)


def is_text_id(passage_id: str) -> bool:
    return passage_id.startswith("text:")


def _score(fields: Mapping[str, Any]) -> float | None:
    """A distance is a score whose sign is turned: nearer is better."""
    for key, sign in (("score", 1.0), ("distance", -1.0)):
        value = fields.get(key)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            number = finite_number(value)
            return None if number is None else sign * number
    return None


def _first(metadata: Mapping[str, Any], keys: Iterable[str]) -> str:
    found = (metadata.get(key) for key in keys)
    return next((str(v) for v in found if isinstance(v, (str, int)) and str(v).strip()), "")


def _position(metadata: Mapping[str, Any]) -> int:
    found = (metadata.get(key) for key in _POSITIONS)
    return next((p for p in found if type(p) is int and 0 <= p <= LARGEST_POSITION), 0)
