"""``ragdiag index``: build, check, publish and take back what serves. See docs/indexes.md.

Exit status 0 where all is well, 1 where something is bad, 2 for a mistake.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.exceptions import Exit

from ragdiag.commands.options import Json, ProgressOption, opened
from ragdiag.console import emit, progress_to, show_estimate, table
from ragdiag.records import Finding, IndexCheck

if TYPE_CHECKING:
    from ragdiag.deploy.diagnostic import IndexDiagnosis
    from ragdiag.workflows.indexing.build import IndexRelease

Build = Annotated[str | None, typer.Option("--build", metavar="ID")]
Reason = Annotated[str, typer.Option(help="Kept in the history.")]


def build(
    context: typer.Context,
    version: str,
    no_publish: Annotated[
        bool, typer.Option("--no-publish", help="Build and check; what serves goes on.")
    ] = False,
    as_json: Json = False,
    progress_file: ProgressOption = None,
) -> None:
    """Index the corpus as it is now, check the build, and let it serve if nothing is bad."""
    from ragdiag.workflows.indexing.build import release_index

    with progress_to(progress_file) as progress:
        done = release_index(
            *opened(context, version), by="index build", publish=not no_publish, progress=progress
        )
        progress(1.0, _with_reasons(done))
    _emit_release(version, done, as_json)


def check(
    context: typer.Context,
    version: str,
    build: Build = None,
    as_json: Json = False,
    progress_file: ProgressOption = None,
) -> None:
    """Look at the build that serves, or at the one named: files, freshness, model, canary."""
    from ragdiag.workflows.indexing.build import check_index

    with progress_to(progress_file) as progress:
        progress(0.0, "looking at files, freshness, model and canary")
        found = check_index(*opened(context, version), build, by="index check")
        progress(1.0, f"build {found.build_id} is checked: {found.status}")
    emit({"version": version, **found.to_json()}, as_json, lambda: _check_text(found))
    _end(found.status == "bad")


def publish(
    context: typer.Context,
    version: str,
    build: Build = None,
    force: Annotated[
        bool, typer.Option("--force", help="Also with bad findings, if it can answer at all.")
    ] = False,
    reason: Reason = "",
    as_json: Json = False,
    progress_file: ProgressOption = None,
) -> None:
    """Check a build (the newest, unless one is named) and let it serve if nothing is bad."""
    from ragdiag.workflows.indexing.build import publish_index

    with progress_to(progress_file) as progress:
        progress(0.0, "checking the build before it serves")
        done = publish_index(
            *opened(context, version), build, by="index publish", reason=reason, force=force
        )
        progress(1.0, _with_reasons(done))
    _emit_release(version, done, as_json, forced=force and done.serves)


def rollback(
    context: typer.Context,
    version: str,
    reason: Reason = "",
    as_json: Json = False,
    progress_file: ProgressOption = None,
) -> None:
    """Let the build serve again that was published before the one which serves now."""
    from ragdiag.workflows.indexing.build import roll_back_index

    with progress_to(progress_file) as progress:
        progress(0.0, "verifying the files of the build published before")
        back, left, found = roll_back_index(
            *opened(context, version), by="index rollback", reason=reason
        )
        text = f"build {back.build_id} serves again, in place of {left}"
        progress(1.0, text)
    document = {
        "version": version,
        "build_id": back.build_id,
        "rolled_back_from": left,
        "check": found.to_json(),
    }
    emit(document, as_json, lambda: "\n".join([text, *_lines(found.findings, "warn", "bad")]))


def list_command(context: typer.Context, version: str, as_json: Json = False) -> None:
    """The builds of a version, the newest first: which serves, and what the last check found."""
    from ragdiag.workflows.indexing.build import describe_builds

    rows = describe_builds(*opened(context, version))
    emit(rows, as_json, lambda: table(rows) or f"no builds; run: ragdiag index build {version}")


def diagnose(
    context: typer.Context,
    version: str,
    as_json: Json = False,
    progress_file: ProgressOption = None,
) -> None:
    """Measure what serves on judged questions, path by path, against the build before, and embed
    passages again to see whether the model has moved."""
    from ragdiag.deploy.diagnostic import diagnose_index

    with progress_to(progress_file) as progress:
        found = diagnose_index(*opened(context, version), progress)
    emit(found.to_json(), as_json, lambda: _diagnosis_text(found))
    _end(found.is_bad)


def _emit_release(version: str, done: IndexRelease, as_json: bool, *, forced: bool = False) -> None:
    made = done.build
    document = {
        "version": version,
        "build_id": made.build_id,
        "passages": made.passages,
        "dimension": made.dimension,
        "ann_kind": made.ann_kind,
        "bytes": made.bytes,
        "seconds": made.seconds,
        "published": done.published,
        "made_again": done.made_again,
        "serving": done.serving,
        "check": done.check.to_json(),
    }
    emit(document, as_json, lambda: _release_text(done))
    _end(done.check.status == "bad" and not forced)


def _outcome(done: IndexRelease) -> str:
    if done.published:
        state = "serves from now on"
    elif done.serves:
        state = "serves already"
    elif done.serving is None:
        state = "is not published, and nothing serves"
    else:
        state = f"is not published; build {done.serving} goes on serving"
    again = "its files were damaged or gone and were made again; " if done.made_again else ""
    return f"build {done.build.build_id}: {done.build.passages} passages; {again}it {state}"


def _with_reasons(done: IndexRelease) -> str:
    """One line for who watches the progress file."""
    bad = [one.what for one in done.check.findings if one.status == "bad"]
    return "; ".join([_outcome(done), *bad])


def _release_text(done: IndexRelease) -> str:
    return "\n".join([_outcome(done), *_lines(done.check.findings, "warn", "bad")])


def _check_text(found: IndexCheck) -> str:
    return "\n".join(_lines(found.findings, "good", "warn", "bad"))


def _diagnosis_text(found: IndexDiagnosis) -> str:
    rows: list[dict[str, Any]] = []
    for path, metrics in found.paths.items():
        for metric, value in metrics.items():
            row = {"path": path, "metric": metric, f"build {found.build_id}": show_estimate(value)}
            compared = found.compared.get((path, metric))
            if compared is not None:
                row[f"build {found.previous_id}"] = show_estimate(found.before[path][metric])
                row["difference"] = show_estimate(compared.difference)
            rows.append(row)
    return "\n".join([table(rows), *_lines(found.findings, "good", "warn", "bad")]).lstrip()


def _lines(findings: Iterable[Finding], *statuses: str) -> list[str]:
    return [
        f"{one.status:4} {one.what}{f'; {one.remedy}' if one.remedy else ''}"
        for one in findings
        if one.status in statuses
    ]


def _end(is_bad: bool) -> None:
    if is_bad:
        raise Exit(1)
