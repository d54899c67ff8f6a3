"""Ids from outside may hold anything; one of them must not cost the others."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ragdiag.records import ContextHit, Hit, Request
from ragdiag.settings import Workspace
from ragdiag.store.ingest import ingest
from ragdiag.store.lake import Lake
from ragdiag.store.results import load_requests
from ragdiag.store.spool import SpoolWriter

HOSTILE = ("'}dW", "{'a': 1}", 'a"b', "[x, y]", "NULL", "a\\b", "’\n", "plain")


def test_passage_ids_of_any_characters_are_read_back(
    lake: Lake, workspace: Workspace, make_request: Callable[..., Request]
) -> None:
    requests = [
        make_request(
            number,
            fused=(Hit(passage_id, 1.0),),
            context=(ContextHit(passage_id, 1.0, 3),),
            citations=(passage_id,),
        )
        for number, passage_id in enumerate(HOSTILE)
    ]
    with SpoolWriter(workspace) as spool:
        for request in requests:
            spool.write(request)
    ingest(lake, workspace)
    assert load_requests(lake) == requests


@pytest.mark.parametrize("table", ["requests"])
def test_tables_with_lists_of_structs_are_never_inlined(lake: Lake, table: str) -> None:
    options = lake.rows("from ducklake_options('lake')")
    limits = {
        row["scope_entry"].rpartition(".")[2]: row["value"]
        for row in options
        if row["option_name"] == "data_inlining_row_limit"
    }
    assert limits[table] == "0"
