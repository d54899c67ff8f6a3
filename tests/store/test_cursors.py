"""Cursors that are kept: each for one call at a time, none after an error or after the end."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from ragdiag.store.cursors import Cursors


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(":memory:") as opened:
        opened.execute("attach ':memory:' as other")
        opened.execute("create table other.numbers as select * from range(100_000) t(n)")
        yield opened


@pytest.fixture
def cursors(connection: duckdb.DuckDBPyConnection) -> Cursors:
    return Cursors(connection, "other")


def test_a_cursor_uses_the_database_and_serves_again(cursors: Cursors) -> None:
    with cursors.lend() as first:
        assert first.execute("select max(n) from numbers").fetchall() == [(99_999,)]
    with cursors.lend() as again:
        assert again is first
        assert again.execute("select min(n) from numbers").fetchall() == [(0,)]


def test_two_calls_at_once_have_a_cursor_each(cursors: Cursors) -> None:
    with cursors.lend() as first, cursors.lend() as second:
        assert first is not second


def test_after_an_error_a_cursor_serves_nobody_again(cursors: Cursors) -> None:
    with pytest.raises(duckdb.CatalogException), cursors.lend() as failed:
        failed.execute("select * from nothing")
    with cursors.lend() as next_one:
        assert next_one is not failed
    with pytest.raises(duckdb.ConnectionException):
        failed.execute("select 1")


def test_a_result_that_was_not_read_to_the_end_holds_nothing(
    connection: duckdb.DuckDBPyConnection, cursors: Cursors
) -> None:
    with cursors.lend() as cursor:
        cursor.execute("select * from numbers").fetchone()
    connection.execute("drop table other.numbers")
    with cursors.lend() as again:
        assert again is cursor
        assert again.fetchone() is None


def test_a_closed_one_keeps_none(cursors: Cursors) -> None:
    with cursors.lend() as idle:
        pass
    with cursors.lend() as again, cursors.lend() as lent:
        assert again is idle
        cursors.close()
    for cursor in (idle, lent):
        with pytest.raises(duckdb.ConnectionException):
            cursor.execute("select 1")


def test_a_database_that_is_gone_is_told(connection: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(duckdb.Error, match="nowhere"), Cursors(connection, "nowhere").lend():
        pass
