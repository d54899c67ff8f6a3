"""What jobs write about versions and requests, and what they read back."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import duckdb
from pydantic import ValidationError

from ragdiag.errors import InputError, StoreError, UnknownName
from ragdiag.privacy.screening import open_screen
from ragdiag.records import Diagnosis, Grade, IndexBuild, Reject, Replay, Request, Traffic
from ragdiag.store.intake.screening import redact_fields, screen_rejects
from ragdiag.store.lake import Lake
from ragdiag.store.rollups import recounted
from ragdiag.store.rows import grade_row, requests_from_table
from ragdiag.store.tables import insert
from ragdiag.store.times import now_utc, to_aware_utc, to_naive_utc
from ragdiag.store.upkeep.ledger import record_counts
from ragdiag.version import LoggedVersion, Spec, Version


def save_version(lake: Lake, version: Version) -> None:
    """Keep ``version``; saving it again changes nothing.

    Raises InputError where its name or its spec already belongs to another version.
    """

    def save(cursor: duckdb.DuckDBPyConnection) -> None:
        same = cursor.execute(
            "select name, version_id from versions where name = ? or version_id = ?",
            [version.name, version.version_id],
        ).fetchall()
        if (version.name, version.version_id) in same:
            return
        for name, version_id in same:
            if name == version.name:
                raise InputError(
                    f"the version {name} already has another spec ({version_id})",
                    remedy="choose another name: a version never changes",
                )
            raise InputError(
                f"this spec already is the version {name} ({version_id})",
                remedy=f"use the name {name}",
            )
        cursor.execute(
            "insert into versions values (?, ?, ?, ?)",
            [
                version.version_id,
                version.name,
                version.spec.as_written.model_dump_json(),
                now_utc(),
            ],
        )

    lake.write(save)


def list_versions(lake: Lake) -> list[Version]:
    """Every version, oldest first."""
    rows = lake.rows("select name, spec, version_id from versions order by created_at, name")
    return [_read_version(lake, row) for row in rows]


def find_version(lake: Lake, name_or_id: str) -> Version:
    """Raises UnknownName, listing the versions there are."""
    rows = lake.rows(
        "select name, spec, version_id from versions where name = $key or version_id = $key "
        "order by name = $key desc limit 1",
        {"key": name_or_id},
    )
    if not rows:
        names = [row["name"] for row in lake.rows("select name from versions order by name")]
        raise UnknownName(
            f"there is no version {name_or_id!r}",
            remedy=f"name one of: {', '.join(names)}" if names else "add one (ragdiag version add)",
        )
    return _read_version(lake, rows[0])


def find_served_version(lake: Lake, name_or_id: str) -> Version | LoggedVersion:
    """As :func:`find_version`, or a version that requests name without any spec."""
    try:
        return find_version(lake, name_or_id)
    except UnknownName:
        served = lake.rows("select 1 from requests where version_id = ? limit 1", [name_or_id])
        if served:
            return LoggedVersion(name_or_id)
        raise


def save_build(lake: Lake, build: IndexBuild) -> None:
    """Keep an index build; saving it again only takes back that it was pruned."""
    row = {
        **asdict(build),
        "built_at": to_naive_utc(build.built_at),
        "manifest": json.dumps(plain_json(build.manifest)),
    }
    names = ", ".join(row)
    values = ", ".join(f"${name}" for name in row)

    def save(cursor: duckdb.DuckDBPyConnection) -> None:
        known = "select 1 from index_builds where build_id = ?"
        if cursor.execute(known, [build.build_id]).fetchone() is None:
            cursor.execute(f"insert into index_builds({names}) values ({values})", row)
        cursor.execute("delete from pruned_builds where build_id = ?", [build.build_id])

    lake.write(save)


def mark_pruned(lake: Lake, build_id: str) -> None:
    """Say that the files of a build are gone; what the lake knows of it stays."""

    def mark(cursor: duckdb.DuckDBPyConnection) -> None:
        cursor.execute("delete from pruned_builds where build_id = ?", [build_id])
        cursor.execute("insert into pruned_builds values (?, ?)", [build_id, now_utc()])

    lake.write(mark)


def pruned_times(lake: Lake) -> dict[str, datetime]:
    """Build → when its files were removed."""
    rows = lake.rows("select build_id, pruned_at from pruned_builds")
    return {row["build_id"]: to_aware_utc(row["pruned_at"]) for row in rows}


def find_build(lake: Lake, build_id: str) -> IndexBuild:
    """Raises UnknownName."""
    rows = lake.rows("select * from index_builds where build_id = ?", [build_id])
    if not rows:
        raise UnknownName(
            f"there is no index build {build_id!r}",
            remedy="build one (ragdiag index build VERSION)",
        )
    return _read_build(rows[0])


def list_builds(lake: Lake, index_key: str) -> list[IndexBuild]:
    """Every build with these index settings, whatever the corpus was; the newest first."""
    known = "select * from index_builds where index_key = ? order by built_at desc"
    return [_read_build(row) for row in lake.rows(known, [index_key])]


def latest_build(lake: Lake, index_key: str) -> IndexBuild | None:
    """The newest build with these index settings that was not pruned."""
    pruned = pruned_times(lake)
    found = (one for one in list_builds(lake, index_key) if one.build_id not in pruned)
    return next(found, None)


def save_findings(
    lake: Lake,
    *,
    grades: Iterable[Grade] = (),
    replays: Iterable[Replay] = (),
    diagnoses: Iterable[Diagnosis] = (),
) -> None:
    """Append what was found out about requests, all of it or nothing; the latest of a request
    counts. Reasons of grades and answers of replays are redacted."""
    screen, now = open_screen(lake.workspace), now_utc()
    rows = {
        "grades": [grade_row(grade, now) for grade in redact_fields(screen, grades, "reason")],
        "replays": [
            {**asdict(replay), "replayed_at": now}
            for replay in redact_fields(screen, replays, "answer")
        ],
        "verdicts": [
            {
                **{name: getattr(diagnosis, name) for name in Diagnosis.__dataclass_fields__},
                "evidence": json.dumps(plain_json(diagnosis.evidence)),
                "diagnosed_at": now,
            }
            for diagnosis in diagnoses
        ],
    }
    counted = {row["request_id"] for name in ("grades", "verdicts") for row in rows[name]}

    def append(cursor: duckdb.DuckDBPyConnection) -> None:
        with recounted(cursor, counted):
            for table, found in rows.items():
                if found:
                    insert(cursor, table, found)
        record_counts(cursor, {("", "grade"): len(rows["grades"])})

    if any(rows.values()):
        lake.write(append)


def save_rejects(lake: Lake, rejects: Iterable[Reject]) -> None:
    """Append rejects, without what may not be stored."""
    kept = screen_rejects(open_screen(lake.workspace), list(rejects))
    if kept:
        lake.write(lambda cursor: insert_rejects(cursor, kept))


def insert_rejects(cursor: duckdb.DuckDBPyConnection, rejects: Sequence[Reject]) -> None:
    """Within the caller's transaction, append rejects that are screened already. A NUL, which no
    lake can keep, is shown as the replacement character."""
    rows = []
    for reject in rejects:
        body = reject.body.replace("\0", "\ufffd")
        rows.append({**asdict(reject), "body": body, "rejected_at": now_utc()})
    insert(cursor, "rejects", rows)


def load_requests(
    lake: Lake,
    *,
    version_id: str | None = None,
    traffic: Traffic | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    request_ids: Sequence[str] | None = None,
    question_ids: Sequence[str] | None = None,
) -> list[Request]:
    """Requests that meet every filter given, oldest first; ``since`` ≤ asked_at < ``until``."""
    filters: list[tuple[str, Any]] = [
        ("version_id = ?", version_id),
        ("traffic = ?", traffic),
        ("asked_at >= ?", None if since is None else to_naive_utc(since)),
        ("asked_at < ?", None if until is None else to_naive_utc(until)),
        ("request_id in (select unnest(?::varchar[]))", _list(request_ids)),
        ("question_id in (select unnest(?::varchar[]))", _list(question_ids)),
    ]
    given = [(condition, value) for condition, value in filters if value is not None]
    where = " and ".join(condition for condition, _ in given) or "true"
    table = lake.table(
        f"select * from requests where {where} order by asked_at, request_id",
        [value for _, value in given],
    )
    return requests_from_table(table)


def plain_json(value: Any) -> Any:
    """``value`` with NaN and infinities as null: JSON has no word for them."""
    if isinstance(value, Mapping):
        return {str(key): plain_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_json(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _list(ids: Sequence[str] | None) -> list[str] | None:
    return None if ids is None else list(ids)


def _read_version(lake: Lake, row: Mapping[str, Any]) -> Version:
    try:
        spec = Spec.model_validate_json(row["spec"]).opened_in(lake.workspace.root)
        return Version.saved(row["name"], spec, row["version_id"])
    except ValidationError as error:
        raise StoreError(
            f"the spec of version {row['name']} cannot be read ({error.error_count()} faults)",
            remedy="it was written by another ragdiag: use that one, or add the version again",
        ) from None


def _read_build(row: Mapping[str, Any]) -> IndexBuild:
    return IndexBuild(
        **{
            **row,
            "built_at": to_aware_utc(row["built_at"]),
            "manifest": json.loads(row["manifest"]),
        }
    )
