"""Lists of passages as services log them: texts, ids, pairs or objects.

A passage without an id of its own is named by its text (``text:`` and 16 digits of its SHA-256), so
that the same text is the same passage everywhere. Where not every passage of a list has a score,
all of them get 1/rank, which keeps the order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ragdiag.importers.logs.values import BadValue, read_json, read_number, read_text, read_whole
from ragdiag.records import ContextHit, Hit, Passage
from ragdiag.spans.documents import text_id
from ragdiag.store.lines import LARGEST_WHOLE

ID_KEYS = ("passage_id", "id", "_id", "chunk_id", "doc_id", "document_id")
TEXT_KEYS = ("text", "content", "page_content", "passage", "body", "document")
TITLE_KEYS = ("title", "name")
SCORE_KEYS = ("score", "relevance_score", "similarity", "rerank_score")
DOCUMENT_KEYS = ("document_id", "doc_id", "source", "url")
WHOLE = LARGEST_WHOLE
"""``chars`` of a passage whose text is not in the log: it is taken to have been given whole."""


@dataclass(frozen=True, slots=True)
class LoggedHit:
    """One entry of a list: ``score`` and ``chars`` are None where the log does not say them."""

    passage_id: str
    score: float | None
    passage: Passage | None
    chars: int | None = None

    @property
    def hit(self) -> Hit:
        return Hit(self.passage_id, self.score or 0.0)

    @property
    def context(self) -> ContextHit:
        length = WHOLE if self.passage is None else len(self.passage.text)
        chars = length if self.chars is None else self.chars
        return ContextHit(self.passage_id, self.score or 0.0, chars)


def read_hits(items: Sequence[Any], *, texts: bool, known: frozenset[str]) -> list[LoggedHit]:
    """Entries in rank order. A plain string is a passage's text where ``texts``, unless it is one
    of the ``known`` ids; else an id. Raises BadValue that names the rank."""
    hits = []
    for rank, item in enumerate(items, start=1):
        try:
            hits.append(_read_hit(_written_out(item), texts, known))
        except BadValue as error:
            raise BadValue(f"rank {rank}: {error}") from None
    if all(hit.score is not None for hit in hits):
        return hits
    return [replace(hit, score=1 / rank) for rank, hit in enumerate(hits, start=1)]


def _written_out(item: Any) -> Any:
    """An object that is written as JSON text; other text is a passage or an id."""
    if not isinstance(item, str) or not item.lstrip().startswith("{"):
        return item
    found = read_json(item)
    return found if isinstance(found, dict) and found.keys() & {*ID_KEYS, *TEXT_KEYS} else item


def _read_hit(item: Any, texts: bool, known: frozenset[str]) -> LoggedHit:
    if isinstance(item, dict):
        return _read_object(item)
    if isinstance(item, (list, tuple)) and len(item) == 2:
        return LoggedHit(_named(read_text(item[0])), read_number(item[1]), None)
    said = read_text(item)
    if texts and said not in known:
        return _of_text(said, "", "", "", None, None)
    return LoggedHit(_named(said), None, None)


def _read_object(item: Mapping[str, Any]) -> LoggedHit:
    metadata = item.get("metadata")
    fields = {**metadata, **item} if isinstance(metadata, dict) else item
    text = _first(fields, TEXT_KEYS)
    if isinstance(text, dict):  # a document within the hit
        return _read_object({**fields, "document": None, **text})
    given, score, chars = _first(fields, ID_KEYS), _first(fields, SCORE_KEYS), fields.get("chars")
    passage_id = "" if given is None else read_text(given)
    number = None if score is None else read_number(score)
    kept = None if chars is None else read_whole(chars)
    said = "" if text is None else read_text(text)
    if not said.strip():
        return LoggedHit(_named(passage_id), number, None, kept)
    document, title = _first(fields, DOCUMENT_KEYS), _first(fields, TITLE_KEYS)
    return _of_text(
        said,
        passage_id,
        "" if document is None else read_text(document),
        "" if title is None else read_text(title),
        number,
        kept,
    )


def _of_text(
    text: str, passage_id: str, document_id: str, title: str, score: float | None, chars: int | None
) -> LoggedHit:
    own_id = passage_id if passage_id.strip() else text_id(text)
    if not text.strip():
        raise BadValue("an empty passage")
    return LoggedHit(own_id, score, Passage(own_id, document_id or own_id, text, title), chars)


def _first(fields: Mapping[str, Any], keys: Sequence[str]) -> Any:
    for key in keys:
        value = fields.get(key)
        if value is not None and value != "":
            return value
    return None


def _named(passage_id: str) -> str:
    if not passage_id.strip():
        raise BadValue("a passage without id and text")
    return passage_id
