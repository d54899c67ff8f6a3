"""Texts that services logged with their requests, from corpora that may not be ours."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from ragdiag.records import Passage
from ragdiag.store.lake import Lake
from ragdiag.store.passages import LOGGED_FIELDS, read_passages


def logged_passages_at(
    lake: Lake, passage_ids: Sequence[str], at: datetime
) -> dict[str, dict[str, Any]]:
    """Of each passage the text that was logged nearest to ``at``, as ``queries.passages_at``
    gives those of the corpus."""
    rows = lake.rows(
        """select passage_id, document_id, title, text, null::timestamp as removed_at
           from logged_passages where list_contains($ids::varchar[], passage_id)
           qualify row_number() over (
               partition by passage_id
               order by abs(epoch(logged_at - $at::timestamp)), content_hash) = 1""",
        {"ids": list(passage_ids), "at": at.replace(tzinfo=None)},
    )
    return {row["passage_id"]: row for row in rows}


def load_logged_passages(lake: Lake, passage_ids: Iterable[str]) -> dict[str, Passage]:
    """Each passage as it was logged last; ids that no log has are left out."""
    table = lake.table(
        f"select {LOGGED_FIELDS} from logged_passages "
        "where passage_id in (select unnest(?::varchar[])) "
        "qualify row_number() over (partition by passage_id "
        "order by logged_at desc, content_hash) = 1",
        [sorted(set(passage_ids))],
    )
    return {passage.passage_id: passage for passage in read_passages(table)}


def named_elsewhere(lake: Lake, passage_ids: Iterable[str]) -> dict[str, str]:
    """Of passages that are named by their text: the id under which a log, else the corpus, has the
    same text; those that no one names otherwise are left out."""
    rows = lake.rows(
        """with wanted as (
               select distinct passage_id, text from logged_passages
               where passage_id in (select unnest(?::varchar[]))),
           named as (
               select text, passage_id, 0 as place from logged_passages
               union all select text, passage_id, 1 from current_passages)
           select w.passage_id, arg_min(n.passage_id, (n.place, n.passage_id)) as name
           from wanted w join named n using (text)
           where not starts_with(n.passage_id, 'text:') group by w.passage_id""",
        [sorted(set(passage_ids))],
    )
    return {row["passage_id"]: row["name"] for row in rows}
