"""``ragdiag store``: looking after the query log. See docs/store.md."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer
from typer.exceptions import Exit

from ragdiag.commands.options import CENTURY_DAYS, DryRemoval, Json, ProgressOption, lake_of
from ragdiag.console import emit, progress_to, table
from ragdiag.errors import InputError
from ragdiag.settings import command_workspace

if TYPE_CHECKING:
    from ragdiag.store.upkeep.archive import ArchiveReport
    from ragdiag.store.upkeep.compact import CompactReport


def check(
    context: typer.Context,
    set_aside: Annotated[
        bool, typer.Option("--set-aside", help="Take damaged files out of the present.")
    ] = False,
    put_back: Annotated[
        bool, typer.Option("--put-back", help="Put files back that are whole again.")
    ] = False,
    as_json: Json = False,
    progress_file: ProgressOption = None,
) -> None:
    """Compare ledger, catalog, data files, spool and archive; exit 1 where something is wrong."""
    from ragdiag.store.upkeep import aside
    from ragdiag.store.upkeep.check import check_store

    lake = lake_of(context)
    back = aside.put_back(lake) if put_back else []
    with progress_to(progress_file) as progress:
        found = check_store(lake, command_workspace(context.obj), progress)
        damaged = [(one.file, one.fault) for one in found.damaged if one.file.is_current]
        out = aside.set_aside_all(lake, damaged) if set_aside else []
        if out:
            found = check_store(lake, command_workspace(context.obj))
    document = {
        "findings": [asdict(finding) for finding in found.findings],
        "files": found.files,
        "bytes": found.bytes,
        "snapshot": found.snapshot,
        "set_aside": [asdict(one) for one in out],
        "put_back": [asdict(one) for one in back],
    }
    lines = [f"{finding.what}; {finding.remedy}" for finding in found.findings]
    emit(
        document,
        as_json,
        lambda: "\n".join(lines) or f"{found.files} files, {found.bytes} bytes: nothing is wrong",
    )
    if found.findings:
        raise Exit(1)


def compact(
    context: typer.Context,
    keep_days: Annotated[
        float | None,
        typer.Option(min=0, max=CENTURY_DAYS, help="Default: [retention] snapshots_days."),
    ] = None,
    as_json: Json = False,
    progress_file: ProgressOption = None,
) -> None:
    """Merge small files, expire old snapshots without a name, delete what nothing needs, and
    compress the spool archive and keep it to its retention."""
    from ragdiag.configuration import read_configuration
    from ragdiag.store.upkeep.archive import compress_archive, expire_archive
    from ragdiag.store.upkeep.compact import compact_store

    lake, workspace = lake_of(context), command_workspace(context.obj)
    retention = read_configuration(workspace).retention
    with progress_to(progress_file) as progress:
        done = compact_store(
            lake,
            keep_days=retention.snapshots_days if keep_days is None else keep_days,
            progress=progress,
        )
        packed = compress_archive(workspace)
    days = retention.archive_days
    expired = None if days is None else expire_archive(lake, workspace, days)
    document = {
        **asdict(done),
        "archive_compressed": packed.compressed,
        "archive_bytes_before": packed.bytes_before,
        "archive_bytes_after": packed.bytes_after,
        "archive_removed": expired.removed if expired else 0,
        "archive_kept": list(expired.kept) if expired else [],
    }
    emit(document, as_json, lambda: _compacted_text(done, packed, expired))


def _compacted_text(
    done: CompactReport, packed: ArchiveReport, expired: ArchiveReport | None
) -> str:
    lines = [
        f"{done.files_before} files → {done.files_after}: {done.merged} merged, {done.rewritten} "
        f"rewritten without deleted rows, {done.files_deleted} deleted, of no use to any snapshot",
        f"{done.snapshots_expired} old snapshots expired, {done.orphans_deleted} files of no "
        "catalog deleted",
        f"{packed.compressed} archived segments compressed: {packed.bytes_before} → "
        f"{packed.bytes_after} bytes",
    ]
    if expired is not None:
        lines.append(f"{expired.removed} archived segments were older than [retention] and went")
        lines += [f"kept in the archive: {one}" for one in expired.kept]
    return "\n".join(lines)


def expire(
    context: typer.Context,
    older_than: Annotated[
        int | None,
        typer.Option(
            min=0, max=CENTURY_DAYS, metavar="DAYS", help="Default: [retention] requests_days."
        ),
    ] = None,
    dry_run: DryRemoval = False,
    drop_named: Annotated[
        bool, typer.Option("--drop-named", help="Also from snapshots that have a name.")
    ] = False,
    as_json: Json = False,
    progress_file: ProgressOption = None,
) -> None:
    """Delete requests older than DAYS, with feedback, grades, replays and verdicts."""
    from ragdiag.configuration import read_configuration
    from ragdiag.store.upkeep.expiry import expire_requests

    lake = lake_of(context)
    days = older_than
    if days is None:
        days = read_configuration(command_workspace(context.obj)).retention.requests_days
    if days is None:
        raise InputError(
            "nothing says how old requests may become",
            remedy="give --older-than DAYS, or set [retention] requests_days in ragdiag.toml",
        )
    with progress_to(progress_file) as progress:
        done = expire_requests(
            lake,
            datetime.now(UTC) - timedelta(days=days),
            dry_run=dry_run,
            drop_named=drop_named,
            progress=progress,
        )
    document = {**asdict(done), "days": days, "dry_run": dry_run}
    lines = [f"{name}: {n}" for name, n in done.rows.items()]
    lines += [f"the snapshot {name!r} still has them" for name in done.held_by]
    lines += [f"the snapshot {name!r} lost its name and will go" for name in done.broken]
    emit(document, as_json, lambda: "\n".join(lines))


def recount(context: typer.Context, as_json: Json = False) -> None:
    """Count every request again for the pages' sums by day and lists of failures: after the lake
    was changed by hand, or to make the sums few."""
    from ragdiag.store.rollups import count_sums, fill_rollups

    lake = lake_of(context)
    lake.write(fill_rollups)
    counted = lake.read(count_sums)
    emit(
        counted,
        as_json,
        lambda: f"{counted['requests']:,} requests counted in {counted['rows']:,} sums by day",
    )


def rejects(
    context: typer.Context,
    source: Annotated[
        str, typer.Option(help="Only of files, segments or traces with this in their name.")
    ] = "",
    limit: Annotated[int, typer.Option(min=1, help="How many to show.")] = 50,
    as_json: Json = False,
) -> None:
    """What was refused, and what was loaded but is odd (remarks), the newest first: where it came
    from and why, never what it said."""
    from ragdiag.store.rejects import list_noted

    found = list_noted(lake_of(context), source=source, limit=limit)
    document = {
        "rejects": found.rejects,
        "remarks": found.remarks,
        "newest": [
            {**asdict(one), "noted_at": one.noted_at.isoformat(timespec="seconds")}
            for one in found.newest
        ],
    }
    rows = [
        {
            "UTC": f"{one.noted_at:%Y-%m-%d %H:%M:%S}",
            "kind": one.kind,
            "source": one.source,
            "line": one.line,
            "reason": " ".join(one.reason.split()),
        }
        for one in found.newest
    ]
    total = f"{found.rejects:,} rejects, {found.remarks:,} remarks; shown: {len(rows):,}"
    emit(document, as_json, lambda: "\n".join(filter(None, [table(rows), total])))


def snapshots(context: typer.Context, as_json: Json = False) -> None:
    """The named snapshots, which no clean-up takes."""
    from ragdiag.store.upkeep.snapshots import named_snapshots

    rows = [
        {**asdict(one), "named_at": one.named_at.isoformat(timespec="seconds")}
        for one in named_snapshots(lake_of(context))
    ]
    emit(rows, as_json, lambda: table(rows) or "no snapshot has a name")


def name(
    context: typer.Context,
    name: str,
    snapshot: Annotated[int | None, typer.Option(help="Default: the newest.")] = None,
    reason: Annotated[str, typer.Option(help="What it is kept for.")] = "",
    as_json: Json = False,
) -> None:
    """Keep a snapshot under a name, so that what was made from it can be made again."""
    from ragdiag.store.upkeep.snapshots import name_snapshot

    kept = name_snapshot(lake_of(context), name, reason, snapshot)
    document = {"name": kept.name, "snapshot": kept.snapshot}
    emit(document, as_json, lambda: f"{kept.name} is snapshot {kept.snapshot}")


def unname(context: typer.Context, names: list[str], as_json: Json = False) -> None:
    """Take names away; the next compaction may then expire those snapshots."""
    from ragdiag.store.upkeep.snapshots import drop_names

    drop_names(lake_of(context), names)
    emit({"dropped": names}, as_json, lambda: f"{len(names)} names dropped")
