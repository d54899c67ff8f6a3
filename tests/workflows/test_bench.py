"""Lists that production cut are completed only where looking again shows the same head."""

from __future__ import annotations

from datetime import UTC, datetime

from ragdiag.records import Hit, Request, Retrieval
from ragdiag.workflows.bench import with_whole_lists

WHOLE = tuple(Hit(f"p{rank}", 1.0 / rank) for rank in range(1, 21))
LOGGED = Request(
    "r1",
    datetime(2026, 1, 5, tzinfo=UTC),
    "v",
    "production",
    "Why?",
    lexical=WHOLE[:10],
    fused=WHOLE[:10],
    searched_depth=100,
    logged_depth=10,
)


class Shelf:
    def __init__(self, hits: tuple[Hit, ...], dense: tuple[Hit, ...] | None = None) -> None:
        self._retrieval = Retrieval(hits, lexical=hits, dense=dense)

    def retrieve(self, question: str) -> Retrieval:
        return self._retrieval


def test_the_same_head_brings_the_whole_list() -> None:
    completed = with_whole_lists(LOGGED, Shelf(WHOLE))
    assert completed.fused == WHOLE
    assert completed.logged_depth is None


def test_another_head_changes_nothing() -> None:
    assert with_whole_lists(LOGGED, Shelf(WHOLE[::-1])) is LOGGED
    assert with_whole_lists(LOGGED, Shelf(WHOLE[:5])) is LOGGED


def test_a_path_that_was_blind_when_it_served_stays_blind() -> None:
    assert with_whole_lists(LOGGED, Shelf(WHOLE, dense=WHOLE)) is LOGGED
