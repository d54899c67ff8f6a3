"""Parquet files in a bucket of an S3-compatible object store."""

from __future__ import annotations

import duckdb

from ragdiag.backends import LakeTable, S3Table
from ragdiag.store.catalogs.secrets import create_secret, from_environment, quoted


def open_bucket(
    connection: duckdb.DuckDBPyConnection, table: LakeTable, configuration: str
) -> None:
    """Give DuckDB what it needs to reach the bucket of ``table``; nothing is asked of it yet.

    ``configuration`` is the file to name where the environment lacks a key.
    """
    s3 = table.s3 or S3Table()
    settings: dict[str, str | bool] = {
        "key_id": from_environment(s3.key_id_env, configuration, "lake.s3.key_id_env"),
        "secret": from_environment(s3.secret_env, configuration, "lake.s3.secret_env"),
        "url_style": s3.url_style,
        "use_ssl": s3.use_ssl,
        "scope": f"s3://{table.bucket}",
    }
    if s3.session_token_env is not None:
        settings["session_token"] = from_environment(
            s3.session_token_env, configuration, "lake.s3.session_token_env"
        )
    if s3.endpoint is not None:
        settings["endpoint"] = s3.endpoint
    if s3.region is not None:
        settings["region"] = s3.region
    create_secret(connection, "lake_bucket", "s3", settings)


def check_bucket(connection: duckdb.DuckDBPyConnection, table: LakeTable) -> None:
    """Raises DuckDB's error where the bucket is missing, denied or out of reach: a lake must not
    be created over one, since its catalog alone would look sound."""
    here = f"{(table.data_path or '').rstrip('/')}/*"
    with connection.cursor() as cursor:
        cursor.execute(f"select count(*) from glob({quoted(here)})").fetchall()
