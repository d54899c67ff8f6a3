"""What a row says would have been right: gold answers, and the passages that hold them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ragdiag.importers.logs.cells import parse_cell, read_cell
from ragdiag.importers.logs.hits import LoggedHit, read_hits
from ragdiag.importers.logs.values import read_text
from ragdiag.records import Passage
from ragdiag.spans.documents import is_text_id


@dataclass(frozen=True, slots=True)
class RowGold:
    """Accepted answers, the ids of the gold passages, and those texts of theirs that no list of
    the row has. ``by_text``: ids made from a text are to be looked up, since the lists of the row
    name their passages otherwise, or there are none."""

    answers: tuple[str, ...]
    passage_ids: tuple[str, ...]
    passages: tuple[Passage, ...]
    by_text: bool

    def __bool__(self) -> bool:
        return bool(self.answers or self.passage_ids)


def read_gold(
    cells: Mapping[str, Any],
    items: Callable[[str], Callable[[Any], Sequence[Any]]],
    lists: Mapping[str, Sequence[LoggedHit]],
) -> RowGold:
    """``gold_answer`` and ``gold_contexts`` of a row, whose ``lists`` have been read. A gold text
    that stands in one of them is the passage there. Raises BadField."""
    answers = _texts(cells, "gold_answer", items)
    shown = [hit for hits in lists.values() for hit in hits]
    known = {hit.passage.text: hit.passage_id for hit in reversed(shown) if hit.passage}
    given = parse_cell(cells, "gold_contexts", items("gold_contexts"), ())
    said = [one for one in given if not isinstance(one, str) or one.strip()]
    told = {hit.passage_id for hit in shown if hit.passage}
    ids = frozenset(hit.passage_id for hit in shown)
    gold = read_cell("gold_contexts", lambda v: read_hits(v, texts=True, known=ids), said)
    names, passages = dict[str, None](), list[Passage]()
    for hit in gold:
        same = hit.passage and is_text_id(hit.passage_id) and known.get(hit.passage.text)
        names[same or hit.passage_id] = None
        if hit.passage and not same and hit.passage_id not in told:
            passages.append(hit.passage)
    by_text = not all(map(is_text_id, ids)) or not ids
    return RowGold(answers, tuple(names), tuple(passages), by_text)


def _texts(
    cells: Mapping[str, Any], field: str, items: Callable[[str], Callable[[Any], Sequence[Any]]]
) -> tuple[str, ...]:
    return tuple(
        text
        for one in parse_cell(cells, field, items(field), ())
        if (text := read_cell(field, read_text, one)).strip()
    )
