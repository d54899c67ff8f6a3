"""What a workspace's ``ragdiag.toml`` says: where its lake lives, what is kept, what is hidden.

The file is optional, and so is every table in it. Secrets are never in it: it names the
environment variables that hold them.
"""

from __future__ import annotations

import tomllib

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ragdiag.backends import LakeTable
from ragdiag.errors import InputError
from ragdiag.settings import Workspace


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RetentionTable(_Table):
    """How long things stay, in days; None keeps them for good."""

    requests_days: int | None = Field(default=None, ge=0)
    archive_days: int | None = Field(default=30, ge=0)
    snapshots_days: float = Field(default=7, ge=0)
    """Of snapshots without a name; the newest always stays."""


class Configuration(_Table):
    lake: LakeTable = LakeTable()
    retention: RetentionTable = RetentionTable()


def read_configuration(workspace: Workspace) -> Configuration:
    """The configuration of ``workspace``; the defaults where it has no file.

    Raises InputError that names the file, the key and what is wrong with it.
    """
    path = workspace.configuration
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return Configuration()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path} ({error})", remedy="mend or remove it") from None
    try:
        return Configuration.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path} is not TOML ({error})", remedy="mend that line") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        guide = "docs/backends.md" if where.startswith("lake") else "the configuration in README.md"
        raise InputError(f"{path}: {where}: {first['msg']}", remedy=f"see {guide}") from None
