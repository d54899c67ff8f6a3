"""Cells as values: what is read, and what stays as it is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from ragdiag.importers.logs.mapping import TimeTable
from ragdiag.importers.logs.values import BadValue, read_json, read_time


@pytest.mark.parametrize("text", ["{{}}", "{[1]: 2}", "{{'a'}: 1}", "[" * 100_000 + "]"])
def test_what_looks_printed_and_is_none_stays_text(text: str) -> None:
    assert read_json(text) == text


NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


@pytest.mark.parametrize("how", [None, "iso"])
@pytest.mark.parametrize(
    ("value", "moment"),
    [
        ("20260105", NOON.replace(hour=0)),
        (20260105, NOON.replace(hour=0)),
        (20260105.0, NOON.replace(hour=0)),
        ("20260105120000", NOON),
        ("20260105T120000", NOON),
        ("2026-01-05 12:00:00", NOON),
    ],
)
def test_dates_without_hyphens_are_dates(value: Any, moment: datetime, how: str | None) -> None:
    assert read_time(value, TimeTable(format=how)) == (moment, True)


@pytest.mark.parametrize("value", [1767614400, "1767614400", 1767614400000, "1767614400.0"])
def test_other_numbers_are_since_1970_and_never_where_the_format_is_iso(value: Any) -> None:
    assert read_time(value, TimeTable()) == (NOON, False)
    with pytest.raises(BadValue, match="no time of ISO 8601"):
        read_time(value, TimeTable(format="iso"))


@pytest.mark.parametrize("how", [None, "iso"])
def test_a_year_alone_is_no_time(how: str | None) -> None:
    with pytest.raises(BadValue, match="a year alone"):
        read_time("2026", TimeTable(format=how))
    if how is None:
        assert read_time(2026, TimeTable())[0].year == 1970  # seconds, in a log that begins at 0


def test_digits_that_make_no_date_of_these_times_are_since_1970() -> None:
    assert read_time(20261399, TimeTable())[0] == datetime(1970, 8, 23, 12, 9, 59, tzinfo=UTC)
    assert read_time("18991231", TimeTable())[0].year == 1970
    assert read_time("18991231", TimeTable(format="iso"))[0].year == 1899
