"""The files that hold the lake's rows, as the catalog lists them, and what each one measures.

Everything is asked through DuckDB, so it holds for any catalog and any place the files lie in;
only :func:`measure` opens a local file itself, to hash it without holding it in memory.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from ragdiag.store.disk import disk_faults

CATALOG = "__ducklake_metadata_lake"
"""The name under which DuckLake attaches the catalog of the database ``lake``."""

Cursor = duckdb.DuckDBPyConnection

_LISTED = """
    with tables as (
        select table_id, arg_max(table_name, begin_snapshot) as table_name,
               arg_max(schema_id, begin_snapshot) as schema_id,
               arg_max(path, begin_snapshot) as path,
               arg_max(path_is_relative, begin_snapshot) as relative
        from {catalog}.ducklake_table group by table_id),
    files as (
        select data_file_id as file_id, data_file_id, table_id, 'data' as kind, path,
               path_is_relative, file_size_bytes, record_count, encryption_key,
               begin_snapshot, end_snapshot
        from {catalog}.ducklake_data_file
        union all
        select delete_file_id, data_file_id, table_id, 'delete', path, path_is_relative,
               file_size_bytes, delete_count, encryption_key, begin_snapshot, end_snapshot
        from {catalog}.ducklake_delete_file)
    select f.file_id, f.data_file_id, f.kind, t.table_name,
           case when not f.path_is_relative::boolean then f.path
                when not t.relative::boolean then t.path || f.path
                else s.path || t.path || f.path end as name,
           f.path_is_relative::boolean and t.relative::boolean and s.path_is_relative::boolean,
           f.file_size_bytes, f.record_count, f.encryption_key, f.begin_snapshot, f.end_snapshot
    from files f join tables t using (table_id) join {catalog}.ducklake_schema s using (schema_id)
    where f.file_id >= {first}
    order by f.kind, f.file_id"""


@dataclass(frozen=True, slots=True)
class DataFile:
    """One Parquet file of rows (``data``) or of deletions from one (``delete``).

    ``name`` is its path below the data path, ``end`` the first snapshot without it (None: it is
    part of the present). ``key`` is base64; None where the file is not encrypted.
    """

    file_id: int
    data_file_id: int
    kind: str
    table: str
    name: str
    path: str
    bytes: int
    rows: int
    key: str | None
    begin: int
    end: int | None

    @property
    def is_current(self) -> bool:
        return self.end is None


@dataclass(frozen=True, slots=True)
class Measured:
    """Size in bytes and SHA-256 in hex."""

    bytes: int
    sha256: str


def data_path(cursor: Cursor) -> str:
    """Where the files lie, with its closing slash."""
    row = cursor.execute("select data_path from ducklake_settings('lake')").fetchone()
    place = str(row[0]) if row else ""
    return place if place.endswith("/") else f"{place}/"


def list_files(
    cursor: Cursor, *, catalog: str = CATALOG, place: str | None = None, first: int = 0
) -> list[DataFile]:
    """Every file that some snapshot of ``catalog`` refers to, deletions after data; those from
    the number ``first`` on."""
    place = data_path(cursor) if place is None else place
    rows = cursor.execute(_LISTED.format(catalog=catalog, first=first)).fetchall()
    return [
        DataFile(
            file_id, data_file_id, kind, table, name, place + name if relative else name, *rest
        )
        for file_id, data_file_id, kind, table, name, relative, *rest in rows
    ]


def list_tables(cursor: Cursor, snapshot: int | None = None) -> list[str]:
    """The lake's tables now, or at a snapshot, by name."""
    when = (
        "end_snapshot is null"
        if snapshot is None
        else (
            f"begin_snapshot <= {snapshot} and (end_snapshot is null or end_snapshot > {snapshot})"
        )
    )
    rows = cursor.execute(
        f"select table_name from {CATALOG}.ducklake_table where {when} order by table_name"
    ).fetchall()
    return [str(row[0]) for row in rows]


def measure(cursor: Cursor, path: str) -> Measured | None:
    """Size and hash of a file; None where there is none."""
    if "://" in path:
        row = _ask_store(cursor, "size, sha256(content)", path)
        return None if row is None else Measured(int(row[0]), str(row[1]))
    with disk_faults(Path(path)):
        try:
            with open(path, "rb") as stream:
                digest = hashlib.file_digest(stream, "sha256")
                return Measured(stream.tell(), digest.hexdigest())
        except FileNotFoundError:
            return None


def size_of(cursor: Cursor, path: str) -> int | None:
    """Size in bytes without reading the file; None where there is none."""
    if "://" in path:
        row = _ask_store(cursor, "size", path)
        return None if row is None else int(row[0])
    try:
        return Path(path).stat().st_size
    except OSError:
        return None


def _ask_store(cursor: Cursor, what: str, path: str) -> tuple[Any, ...] | None:
    """What ``read_blob`` says of an object; None where there is none, but DuckDB's error where its
    bucket is missing: to the question for one object a store gives the same answer then."""
    try:
        return cursor.execute(f"select {what} from read_blob(?)", [path]).fetchone()
    except duckdb.HTTPException as error:
        if error.status_code != 404:
            raise
    cursor.execute("select count(*) from glob(?)", [f"{path}*"]).fetchall()
    return None


def read_whole(cursor: Cursor, file: DataFile) -> None:
    """Decrypt, decompress and decode every page of a file; DuckDB's error where one is damaged.

    Raises duckdb.Error; also where the file has another number of rows than the catalog says.
    """
    config = (
        "" if file.key is None else ", encryption_config => {footer_key_value: from_base64($key)}"
    )
    given = {"path": file.path} if file.key is None else {"path": file.path, "key": file.key}
    row = cursor.execute(
        f"select count(*), bit_xor(hash(t)) from read_parquet($path{config}) t", given
    ).fetchone()
    if row is None or row[0] != file.rows:
        raise duckdb.InvalidInputException(
            f"it has {row and row[0]} rows, the catalog says {file.rows}"
        )
