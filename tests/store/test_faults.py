"""Errors are sorted by what they say, and what they must not say is left out."""

from __future__ import annotations

import duckdb
import pytest

from ragdiag.errors import StoreBusy, StoreError
from ragdiag.settings import Workspace
from ragdiag.store.faults import is_transient, reason, store_error, store_faults

COMMIT = """TransactionContext Error: Failed to commit: Failed to commit DuckLake transaction.
Exceeded the maximum retry count of 0 set by the ducklake_max_retry_count setting.
. Consider increasing the value with: e.g., "SET ducklake_max_retry_count = 0;"
Failed to flush changes into DuckLake: Failed to execute query "INSERT INTO "y".ducklake_snapshot
VALUES (4);INSERT INTO f VALUES ('conflict', 'a user''s "words"

LINE 1: at or near ""', 'e30nlLKMaWT/Fns+Qt4dmw==');": """


def failed(why: str) -> duckdb.Error:
    return duckdb.TransactionException(COMMIT + why)


@pytest.mark.parametrize(
    ("why", "transient"),
    [
        ('ERROR:  duplicate key value violates unique constraint "ducklake_snapshot_pkey"', True),
        ("UNIQUE constraint failed: ducklake_snapshot.snapshot_id", True),
        ("ERROR:  could not serialize access due to concurrent update", True),
        ("database is locked", True),
        ("server closed the connection unexpectedly", False),
        ("database or disk is full", False),
        ("something nobody has seen", False),
    ],
)
def test_only_another_writer_makes_a_failed_commit_worth_repeating(
    workspace: Workspace, why: str, transient: bool
) -> None:
    error = failed(why)
    assert is_transient(error) == transient
    for shown in (reason(error), str(store_error(error, workspace))):
        assert "words" not in shown
        assert "e30nlLKMaWT" not in shown
    assert why.split()[-1] in reason(error)


def test_a_failed_commit_is_never_shown_whole(workspace: Workspace) -> None:
    with pytest.raises(StoreError) as shown, store_faults(workspace):
        raise failed("something nobody has seen")
    assert "something nobody has seen" in str(shown.value)
    assert shown.value.__suppress_context__


@pytest.mark.parametrize(
    ("says", "kind"),
    [("Transaction conflict on table x", StoreBusy), ("Unheard of", type(None))],
)
def test_another_writer_is_named_as_such_where_nothing_is_repeated(
    workspace: Workspace, says: str, kind: type
) -> None:
    assert type(store_error(duckdb.TransactionException(says), workspace)) is kind


def test_a_defect_passes_through(workspace: Workspace) -> None:
    with pytest.raises(duckdb.BinderException), store_faults(workspace):
        raise duckdb.BinderException("Referenced column not found")
