"""What one backup consists of: a manifest, written last, so that it exists only when all does.

A backup folder holds ``files/`` (data files, shared by its backups), ``catalogs/``, ``spool/``,
``archive/`` and ``manifests/``, one JSON file a backup.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from ragdiag.errors import InputError, UnknownName
from ragdiag.store.upkeep.datafiles import Measured
from ragdiag.store.upkeep.sealed import open_to_read, open_to_write

FORMAT = 1


def _stay_inside(name: str) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise ValueError("leads out of the backup")
    return name


class Entry(BaseModel):
    """A file of the backup; size and hash are of its plain content."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, AfterValidator(_stay_inside)]
    bytes: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")

    @classmethod
    def of(cls, name: str, measured: Measured) -> Entry:
        return cls(name=name, bytes=measured.bytes, sha256=measured.sha256)

    @property
    def measured(self) -> Measured:
        return Measured(self.bytes, self.sha256)


class Manifest(BaseModel):
    """``snapshot`` is the newest that the backup has, ``named`` the older ones with their names.
    ``left_out`` are data files that were set aside as damaged."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = Field(le=FORMAT)
    backup: str
    made_at: str
    snapshot: int
    named: dict[str, int]
    catalog: Entry
    files: list[Entry]
    left_out: list[str] = []
    spool: list[Entry] = []
    archive: list[Entry] = []
    configuration: Entry | None = None

    @property
    def entries(self) -> list[Entry]:
        """Every file, by its path below the backup folder."""
        one = [] if self.configuration is None else [self.configuration]
        return [self.catalog, *one, *self.files, *self.spool, *self.archive]


def write_manifest(directory: Path, manifest: Manifest) -> None:
    with open_to_write(_folder(directory) / f"{manifest.backup}.json") as stream:
        stream.write(manifest.model_dump_json(indent=1).encode())


def backups_in(directory: Path) -> list[str]:
    """The complete backups of a folder, oldest first."""
    return sorted(path.stem for path in _folder(directory).glob("*.json"))


def read_manifest(directory: Path, backup: str | None = None) -> Manifest:
    """The manifest of a backup, the newest where none is named.

    Raises UnknownName, listing the backups there are, InputError where it cannot be read.
    """
    there = backups_in(directory)
    chosen = backup or (there[-1] if there else "")
    if chosen not in there:
        raise UnknownName(
            f"there is no backup {backup or ''} in {directory}".replace("  ", " "),
            remedy=f"name one of: {', '.join(there)}"
            if there
            else "name a folder that ragdiag store backup has written",
        )
    path = _folder(directory) / f"{chosen}.json"
    try:
        with open_to_read(path) as stream:
            return Manifest.model_validate_json(stream.read())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(
            f"{path}: {where}: {first['msg']}", remedy="choose another backup with --backup"
        ) from None


def _folder(directory: Path) -> Path:
    return directory / "manifests"
