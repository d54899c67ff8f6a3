"""Where a workspace's lake lives: the ``[lake]`` table of its ``ragdiag.toml``.

Nothing to configure keeps the catalog in SQLite and the data beside it. No secret is ever in the
file: it names the environment variables that hold them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

SECRET_KEYS = {"password", "passfile", "sslpassword"}
URI_KEYS = {
    "host": "host",
    "port": "port",
    "dbname": "database",
    "user": "user",
    "sslmode": "sslmode",
    "sslrootcert": "sslrootcert",
    "connect_timeout": "connect_timeout",
}
"""What a URI's query may say, and the key of ``[lake.postgres]`` that it stands for."""

Text = Annotated[str, StringConstraints(min_length=1, pattern=r"^[^\x00-\x1f]*$")]
Variable = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
"""The name of an environment variable, never what it holds."""
STRICT = ConfigDict(frozen=True, extra="forbid", strict=True)
Host = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._/:\[\]-]+$")]


class PostgresTable(BaseModel):
    """The server that keeps the catalog: a libpq ``uri``, or the same in single keys.

    The password is in the environment variable ``password_env`` names, else where libpq itself
    looks (``PGPASSWORD``, ``~/.pgpass``).
    """

    model_config = STRICT

    host: Host = "localhost"
    port: int = Field(default=5432, ge=1, le=65535)
    database: Text = "ragdiag"
    user: Text | None = None
    sslmode: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] | None = (
        None
    )
    sslrootcert: Text | None = None
    connect_timeout: int = Field(default=10, ge=1, le=600)
    catalog_schema: Text = Field(default="ragdiag", alias="schema")
    password_env: Variable | None = None

    @model_validator(mode="before")
    @classmethod
    def _read_uri(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        if secrets := SECRET_KEYS & given.keys():
            raise _mistake(
                f"{min(secrets)} must not be in the file: put it into an environment variable and "
                "name that as password_env, or use ~/.pgpass"
            )
        if "uri" not in given:
            return given
        named = _uri_parameters(given["uri"])
        if twice := named.keys() & given.keys():
            raise _mistake(f"uri and {min(twice)} both say it: keep one of them")
        return {**named, **{key: value for key, value in given.items() if key != "uri"}}


class S3Table(BaseModel):
    """The object store of ``data_path``; without ``endpoint`` it is Amazon's."""

    model_config = STRICT

    endpoint: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.\[\]:_-]+$")] | None = None
    region: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]+$")] | None = None
    url_style: Literal["path", "vhost"] = "vhost"
    use_ssl: bool = True
    key_id_env: Variable = "AWS_ACCESS_KEY_ID"
    secret_env: Variable = "AWS_SECRET_ACCESS_KEY"
    session_token_env: Variable | None = None


class LakeTable(BaseModel):
    """Which catalog, which place for the Parquet files, and whether these are encrypted."""

    model_config = STRICT

    catalog: Literal["sqlite", "postgres"] = "sqlite"
    data_path: Text | None = None
    encrypted: bool = True
    postgres: PostgresTable | None = None
    s3: S3Table | None = None

    @property
    def in_bucket(self) -> bool:
        return (self.data_path or "").startswith("s3://")

    @property
    def bucket(self) -> str:
        return (self.data_path or "").removeprefix("s3://").partition("/")[0]

    @model_validator(mode="after")
    def _fits_together(self) -> LakeTable:
        if self.catalog == "postgres" and self.postgres is None:
            raise _mistake('catalog = "postgres" needs a table [lake.postgres]')
        if self.catalog == "sqlite" and self.postgres is not None:
            raise _mistake('[lake.postgres] is there, so catalog must be "postgres"')
        if self.data_path is None:
            if self.catalog == "postgres":
                raise _mistake(
                    "a PostgreSQL catalog needs a data_path that every machine reaches: "
                    '"s3://bucket/prefix" or an absolute folder'
                )
        elif self.in_bucket:
            if not self.bucket:
                raise _mistake(f"data_path {self.data_path!r} names no bucket: s3://bucket/prefix")
        elif "://" in self.data_path or not Path(self.data_path).is_absolute():
            raise _mistake(
                f"data_path {self.data_path!r} is neither s3://bucket/prefix nor an absolute folder"
            )
        if self.s3 is not None and not self.in_bucket:
            raise _mistake('[lake.s3] is there, so data_path must be "s3://bucket/prefix"')
        return self


def _uri_parameters(uri: object) -> dict[str, Any]:
    """The parameters of a libpq URI by the names of :class:`PostgresTable`."""
    if not isinstance(uri, str):
        raise _mistake("uri must be text: postgresql://user@host:5432/database")
    try:
        parts = urlsplit(uri)
        port = parts.port
        queried = parse_qsl(parts.query, strict_parsing=True) if parts.query else []
    except ValueError:
        raise _mistake("uri cannot be read: write postgresql://user@host:5432/database") from None
    if parts.scheme not in ("postgresql", "postgres"):
        raise _mistake("uri must begin with postgresql://")
    if parts.password is not None or SECRET_KEYS & {key for key, _ in queried}:
        raise _mistake(
            "uri holds a password: put it into an environment variable and name that as "
            "password_env, or use ~/.pgpass"
        )
    named: dict[str, Any] = {}
    for key, value in queried:
        if key not in URI_KEYS:
            raise _mistake(f"uri says {key!r}; known are {', '.join(sorted(URI_KEYS))}")
        whole = key in ("port", "connect_timeout") and value.isdecimal()
        named[URI_KEYS[key]] = int(value) if whole else value
    found = {
        "host": unquote(parts.hostname or ""),
        "port": port,
        "database": unquote(parts.path.lstrip("/")),
        "user": unquote(parts.username or ""),
    }
    return {**named, **{key: value for key, value in found.items() if value}}


def _mistake(message: str) -> PydanticCustomError:
    """Braces would be taken for placeholders."""
    return PydanticCustomError("lake", "{says}", {"says": message})
