"""Secrets on their way from the environment into DuckDB's memory, and nowhere else.

DuckDB keeps them in memory, prints them redacted, and its errors about using them leave them out.
Its errors about a statement quote the statement, so those are not passed on.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import duckdb

from ragdiag.errors import InputError, StoreError


def from_environment(variable: str, configuration: str, key: str) -> str:
    """What ``variable`` holds; InputError names it, the file and the key where it holds nothing."""
    if not (value := os.environ.get(variable)):
        raise InputError(
            f"{configuration}: {key}: the environment variable {variable} is not set",
            remedy="set it where ragdiag runs, or name another",
        )
    return value


def create_secret(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    kind: str,
    settings: Mapping[str, str | bool],
) -> None:
    """Let DuckDB use ``settings`` for every attachment or path of ``kind``."""
    values = ", ".join(
        f"{key} {quoted(value) if isinstance(value, str) else str(value).lower()}"
        for key, value in settings.items()
    )
    try:
        connection.execute(f"create temporary secret {name} (type {kind}, {values})")
    except (duckdb.Error, UnicodeError):
        raise StoreError(
            f"DuckDB refuses the {kind} settings {', '.join(settings)}",
            remedy="check the [lake] table and the environment variables that it names",
        ) from None


def quoted(text: str) -> str:
    """A string literal of SQL."""
    return "'" + text.replace("'", "''") + "'"


def named(text: str) -> str:
    """An identifier of SQL."""
    return '"' + text.replace('"', '""') + '"'
