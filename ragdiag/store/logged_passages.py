"""Texts that services logged with their requests, from corpora that may not be ours."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from ragdiag.store.lake import Lake


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
