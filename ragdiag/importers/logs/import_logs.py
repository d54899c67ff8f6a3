"""Logs of other services, loaded: the public function of this room."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ragdiag.errors import InputError
from ragdiag.importers.logs.columns import Columns
from ragdiag.importers.logs.containers import first_row
from ragdiag.importers.logs.detect import detect
from ragdiag.importers.logs.door import Door
from ragdiag.importers.logs.files import container_of, find_logs
from ragdiag.importers.logs.formats import CONTAINER_FORMATS, Family, Format, family_of
from ragdiag.importers.logs.gaps import Sightings
from ragdiag.importers.logs.log_report import SHOWN_VERSIONS, LogReport, count_reasons
from ragdiag.importers.logs.mapping import Mapping
from ragdiag.importers.logs.reading import Reading
from ragdiag.importers.logs.tables import read_table
from ragdiag.importers.logs.trace_files import read_traces
from ragdiag.privacy.pseudonyms import user_key
from ragdiag.progress import Progress, report
from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake

Located = tuple[Reading, float]
"""A reading with the share of the whole import that lies before it."""


def import_logs(
    lake: Lake | None,
    workspace: Workspace,
    path: Path,
    *,
    format: Format = "auto",
    mapping: Mapping | None = None,
    progress: Progress | None = None,
) -> LogReport:
    """Load the log at ``path``, a file or a folder; without a lake only say what would be loaded.

    Bad rows become rejects with file, line and reason, and the rest is loaded. Importing again
    changes nothing. Interrupted, what was loaded stays, and the same call goes on from there.
    Raises InputError where nothing can be read, where a folder mixes formats, or where no row has
    the column that the mapping names as the question.
    """
    mapping = mapping or Mapping()
    paths, skipped = find_logs(path)
    container = format if format in CONTAINER_FORMATS and path.is_file() else None
    family = family_of(format) or _detect_all(paths, container, mapping)
    columns, door, seen = Columns(mapping), Door(lake, workspace), Sightings()
    notes: list[str] = []
    pseudonym = _pseudonym(workspace, dry=lake is None)
    readings = (
        _tables(paths, container, family, mapping, columns, pseudonym, notes)
        if family in ("rows", "evaluation")
        else read_traces(paths, family, pseudonym, columns.unread)
    )
    rows = _load(_with_questions(readings, columns, path), door, seen, progress)
    if not rows and len(door.shown) == 1 and door.shown[0].line == 0:
        raise InputError(f"{path}: {door.shown[0].reason}", remedy="name a log that can be read")
    return LogReport(
        format=(container or container_of(paths[0])) if family == "rows" else family,
        files=len(paths),
        skipped_files=skipped,
        rows=rows,
        kinds=door.counts,
        reasons=count_reasons(door.reasons),
        rejects=tuple(door.shown),
        unread_columns=dict(columns.unread.most_common()),
        columns={field: " / ".join(given) for field, given in columns.read.items()},
        versions=dict(seen.versions.most_common(SHOWN_VERSIONS)),
        first_at=seen.first_at,
        last_at=seen.last_at,
        gaps=seen.gaps(lake),
        notes=tuple(notes),
        dry_run=lake is None,
        labels=seen.labels,
        absent_columns=columns.absent(),
    )


def _with_questions(readings: Iterator[Located], columns: Columns, path: Path) -> Iterator[Located]:
    """The readings; at their end raises InputError where the mapping's question was never met."""
    yield from readings
    if absent := columns.absent().get("question"):
        raise InputError(
            f"{path}: no row has the column {absent!r}, which the mapping names as question",
            remedy="name the column that holds it under [fields]",
        )


def _load(
    readings: Iterator[Located], door: Door, seen: Sightings, progress: Progress | None
) -> int:
    """Every reading through the door; returns how many there were, unreadable files aside."""
    started, rows = time.monotonic(), 0
    for reading, fraction in readings:
        rows += reading.fault is None or reading.origin.line > 0
        if door.add(reading):
            seen.see(reading)
        if rows % 1_000 == 0 and fraction > 0:
            left = (time.monotonic() - started) * (1 - fraction) / fraction
            report(progress, fraction, f"{rows:,} rows, about {left:.0f} s left")
    door.finish()
    report(progress, 1.0, f"{rows:,} rows")
    return rows


def _tables(
    paths: Sequence[Path],
    container: str | None,
    family: Family,
    mapping: Mapping,
    columns: Columns,
    pseudonym: Callable[[str], str],
    notes: list[str],
) -> Iterator[Located]:
    sizes = [max(one.stat().st_size, 1) for one in paths]
    zoneless = 0
    for number, path in enumerate(paths):
        before, share = sum(sizes[:number]) / sum(sizes), sizes[number] / sum(sizes)
        table = read_table(path, container, family, mapping, columns, pseudonym)
        for reading, fraction in table.readings:
            yield reading, before + share * fraction
        zoneless += table.reader.zoneless
    if zoneless:
        zone = mapping.time.zone or "UTC"
        notes.append(f"{zoneless:,} times named no zone and were taken as {zone}.")


def _detect_all(paths: Sequence[Path], container: str | None, mapping: Mapping) -> Family:
    """The one family that all files have; a file that holds no row has none."""
    found: dict[Family, Path] = {}
    for path in paths:
        row = first_row(path, container)
        if row is not None and row.fault is None:
            found.setdefault(detect(row.values, mapping), path)
    if len(found) > 1:
        named = ", ".join(f"{path.name} ({family})" for family, path in found.items())
        raise InputError(f"the folder mixes formats: {named}", remedy="import them one by one")
    return next(iter(found), "rows")


def _pseudonym(workspace: Workspace, *, dry: bool) -> Callable[[str], str]:
    """A dry run makes no key file, and nothing that it makes is kept."""
    return (lambda user: "0" * 32) if dry else (lambda user: user_key(workspace, user))
