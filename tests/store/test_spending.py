"""What requests cost, asked of the sums by day and of the rows."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ragdiag.records import Request, Weighed
from ragdiag.settings import Workspace
from ragdiag.store.ingest import ingest
from ragdiag.store.lake import Lake
from ragdiag.store.queries import Filters, Row
from ragdiag.store.spending import spent
from ragdiag.store.spool import SpoolWriter
from ragdiag.store.upkeep.removal import remove_requests

MakeRequest = Callable[..., Request]
TIMES = {"dense": 20.0, "generation": 300.0, "total": 400.0}
GIVEN = {"question": "why?", "version_id": "v1", "cost_usd": None, "latency_ms": TIMES}
BY_ROWS = Filters(text="w")


@pytest.fixture
def log(
    lake: Lake, workspace: Workspace, make_request: MakeRequest
) -> Callable[[list[dict[str, object]]], None]:
    def load(changes: list[dict[str, object]]) -> None:
        with SpoolWriter(workspace) as spool:
            for n, changed in enumerate(changes):
                fields = {**GIVEN, **changed}
                spool.write(make_request(n, **{"request_id": f"{n}", **fields}))
        assert ingest(lake, workspace).accepted == len(changes)

    return load


def test_a_version_pays_where_one_of_the_requests_asked_for_does(
    lake: Lake, log: Callable[[list[dict[str, object]]], None]
) -> None:
    log([{"topic": "a", "cost_usd": 0.5}, {"topic": "b", "cost_usd": 0.0}, {"topic": "b"}])
    for filters, seconds in ((Filters(), 0.06), (Filters(topic="b"), 0.64)):
        (row,) = spent(lake, filters, 2.0)
        assert row["seconds"].plain == pytest.approx(seconds)
    assert row["both_n"] == Weighed.of(1)
    assert row["both2"].plain == pytest.approx((2 * 0.32) ** 2)
    assert spent(lake, Filters(topic="c"), 2.0) == []


def test_an_amount_too_large_to_be_taken_off_again_is_read_from_the_rows(
    lake: Lake, log: Callable[[list[dict[str, object]]], None]
) -> None:
    log(
        [
            {"cost_usd": 0.5},
            {"request_id": "dear", "cost_usd": 1e9, "topic": "a"},
            {"request_id": "slow", "latency_ms": {"total": 1e300}, "topic": "a"},
        ]
    )
    near, rows = spent(lake, Filters(), 2.0), spent(lake, BY_ROWS, 2.0)
    assert near == rows
    assert near[0]["bill"].plain == 1e9 + 0.5
    lake.write(lambda cursor: remove_requests(cursor, ["dear", "slow"], "test"))
    (left,) = spent(lake, Filters(), 2.0)
    assert left == spent(lake, BY_ROWS, 2.0)[0]
    assert plain(left) == pytest.approx((0.5, 0.25, 0.02, 0.0004, 0.54, 0.2916), abs=1e-12)


def plain(row: Row) -> tuple[float, ...]:
    names = ("bill", "bill2", "seconds", "seconds2", "both", "both2")
    return tuple(row[name].plain for name in names)
