"""Looks at index builds are kept whole and read back in order."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

from ragdiag.records import Finding, IndexCheck
from ragdiag.store.index_checks import latest_checks, load_checks, save_check
from ragdiag.store.lake import Lake

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)


def look(build_id: str, hour: int, *findings: Finding, version: str = "v1") -> IndexCheck:
    at = MONDAY + timedelta(hours=hour)
    found = findings or (Finding("all is well", "good", name="manifest"),)
    details = {"questions": {"found": {"q1": 1}}}
    return IndexCheck(build_id, "k1", version, at, "test", found, details)


def test_looks_come_back_as_they_were_in_their_order(lake: Lake) -> None:
    stale = Finding("3 of 200 passages are missing", "bad", "run: it", "freshness")
    first, second = look("b1", 1, stale, Finding("it loads", "good", name="loads")), look("b1", 0)
    other = look("b1", 2, version="v2")
    for one in (first, second, other, look("b2", 3)):
        save_check(lake, one)
    assert load_checks(lake, "b1") == [second, first, other]
    assert load_checks(lake, "b1", "v1") == [second, first]
    assert latest_checks(lake, "k1") == {"b1": other, "b2": look("b2", 3)}
    assert latest_checks(lake, "k2") == {}
    assert (first.status, second.status) == ("bad", "good")


def test_an_undefined_number_is_stored_as_null(lake: Lake) -> None:
    one = IndexCheck("b1", "k1", "v1", MONDAY, "test", (), {"recall": {"low": math.nan}})
    save_check(lake, one)
    assert load_checks(lake, "b1")[0].details == {"recall": {"low": None}}
