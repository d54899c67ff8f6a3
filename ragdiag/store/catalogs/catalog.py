"""What the lake asks of its catalog, whichever database keeps it."""

from __future__ import annotations

from collections.abc import Hashable
from contextlib import AbstractContextManager
from typing import Literal, Protocol

import duckdb

Turn = Literal["open", "write", "upkeep"]
"""Creating and migrating take turns, and so do writers, and so do those that delete or copy whole
files; the three do not wait for each other."""


class Catalog(Protocol):
    """One workspace's catalog, over the DuckDB connection that attaches it."""

    @property
    def place(self) -> str:
        """How a message names it; no secret."""

    @property
    def attachment(self) -> str:
        """What DuckDB's ``attach`` takes, quotes not yet doubled."""

    @property
    def options(self) -> tuple[str, ...]:
        """Options of that ``attach`` that only this kind of catalog needs."""

    def connect(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Give DuckDB what it needs to reach the catalog; changes nothing in it."""

    def holds_lake(self) -> bool:
        """Whether a lake has been created in it."""

    def prepare(self) -> None:
        """Make room for a new lake; where there is one, change nothing."""

    def identity(self) -> Hashable:
        """Changes when another catalog has taken this one's place; None where there is none."""

    def turn(self, kind: Turn, deadline: float) -> AbstractContextManager[None]:
        """Wait for the turn and hold it; StoreBusy past ``deadline`` (of time.monotonic).

        The turn of a killed process ends with it. It only keeps writers out of each other's way:
        that what a transaction has checked still holds when it commits is the commit's own doing,
        which fails where another one came first.
        """
