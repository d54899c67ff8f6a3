"""What forgetting a user reports: every place that was searched, and what is left there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ragdiag.store.upkeep.known_backups import KnownBackup

TRAINING = "training data"
EMBEDDINGS = "cache: embeddings"
JUDGEMENTS = "cache: judgements"
ANSWERS = "cache: answers of services and pages"


@dataclass(frozen=True, slots=True)
class Place:
    """One place that was searched: what was found there, what was removed, and what a second
    search found (None: it was not searched again). What lies in the memory of other processes
    cannot be counted: then all three are None, and the note says how it goes."""

    name: str
    found: int | None
    removed: int | None = 0
    left: int | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Forgetting:
    """``clean``: the second search found nothing in any place that ragdiag clears by itself."""

    requests: int
    dry_run: bool
    places: tuple[Place, ...]
    backups: tuple[KnownBackup, ...] = ()
    files: tuple[str, ...] = ()

    @property
    def clean(self) -> bool:
        return not self.dry_run and not any(place.left for place in self.places) and not self.files

    def to_json(self) -> dict[str, Any]:
        return {
            "requests": self.requests,
            "dry_run": self.dry_run,
            "clean": self.clean,
            "places": [
                {name: getattr(place, name) for name in Place.__dataclass_fields__}
                for place in self.places
            ],
            "backups": [
                {"directory": one.directory, "backup": one.backup, "made_at": one.made_at}
                for one in self.backups
            ],
            "files": list(self.files),
        }
