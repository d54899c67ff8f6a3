"""What prompts held: the texts of logged contexts, as they were when each question was asked."""

from __future__ import annotations

from collections.abc import Sequence

from ragdiag.privacy.hiding import is_hidden
from ragdiag.records import ContextPassage, Request
from ragdiag.store.lake import Lake

_TEXTS = """
    with given as (
        select request_id, asked_at, hit.passage_id as passage_id
        from (select request_id, asked_at, unnest(context) as hit from requests
              where request_id in (select unnest(?::varchar[])))),
    known as (
        select passage_id, text, ingested_at as at, 0 as place from passages
        union all select passage_id, text, logged_at, 1 from logged_passages)
    select g.request_id, g.passage_id, k.text
    from given g join known k using (passage_id)
    qualify row_number() over (
        partition by g.request_id, g.passage_id
        order by place, k.at <= g.asked_at desc, abs(epoch(k.at - g.asked_at)), k.text) = 1
"""
"""The corpus' own text of the time, else the nearest later; else what a log has of the passage."""


def load_contexts(lake: Lake, requests: Sequence[Request]) -> dict[str, tuple[ContextPassage, ...]]:
    """Request id → its context in the prompt's order, each text cut where the prompt cut it.

    A request with a passage whose text nobody has or may store is left out: what is not known
    cannot be said to support nothing.
    """
    texts: dict[str, dict[str, str]] = {}
    for row in lake.rows(_TEXTS, [[request.request_id for request in requests]]):
        if not is_hidden(row["text"]):
            texts.setdefault(row["request_id"], {})[row["passage_id"]] = row["text"]
    found = {}
    for request in requests:
        known = texts.get(request.request_id, {})
        if request.context and all(hit.passage_id in known for hit in request.context):
            found[request.request_id] = tuple(
                ContextPassage(h.passage_id, known[h.passage_id][: h.chars], score=h.score)
                for h in request.context
            )
    return found
