"""Build, check, publish and take back the index of a version; see docs/indexes.md."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from ragdiag.deploy.health import cannot_answer, check_build
from ragdiag.deploy.notices import note_failed_rebuild, note_findings, resolve_rebuild
from ragdiag.deploy.publish import begin_history, publish_build, roll_back
from ragdiag.errors import IndexFault, InputError, RagdiagError, UnknownName
from ragdiag.progress import Progress, part, report
from ragdiag.records import IndexBuild, IndexCheck, Passage
from ragdiag.retrieval.builds import build_index
from ragdiag.retrieval.late_interaction import encode_for_reranking
from ragdiag.retrieval.manifest import MANIFEST
from ragdiag.retrieval.serving import (
    Publication,
    read_publications,
    require_serving,
    serving_build_id,
)
from ragdiag.settings import Workspace
from ragdiag.store.corpus import load_passages
from ragdiag.store.index_checks import latest_checks, save_check
from ragdiag.store.lake import Lake
from ragdiag.store.results import (
    find_build,
    latest_build,
    list_builds,
    pruned_times,
    save_build,
)
from ragdiag.version import Version


@dataclass(frozen=True)
class IndexRelease:
    """A build, what the look at it found, and what serves now; ``published`` says whether it has
    only just begun to, ``made_again`` that its files had been there, and were damaged or gone."""

    build: IndexBuild
    check: IndexCheck
    serving: str | None
    published: bool
    made_again: bool = False

    @property
    def serves(self) -> bool:
        return self.serving == self.build.build_id


def build_version_index(
    lake: Lake,
    workspace: Workspace,
    version: Version,
    progress: Progress | None = None,
    *,
    passages: Sequence[Passage] | None = None,
) -> IndexBuild:
    """Index every current passage for ``version``, or those given, and make it the build that
    serves.

    As :func:`release_index`; a build that fails its check raises IndexFault, naming what is wrong.
    """
    done = release_index(
        lake, workspace, version, by="ragdiag", passages=passages, progress=progress
    )
    if not done.serves:
        raise IndexFault(
            f"build {done.build.build_id} of version {version.name} was not published: "
            f"{bad_findings(done.check)}",
            remedy=f"see: ragdiag index check {version.name} --build {done.build.build_id}",
        )
    return done.build


def release_index(
    lake: Lake,
    workspace: Workspace,
    version: Version,
    *,
    by: str,
    publish: bool = True,
    passages: Sequence[Passage] | None = None,
    progress: Progress | None = None,
) -> IndexRelease:
    """Build the index of the corpus as it is now, or of the ``passages`` given, check it, and let
    it serve if nothing is bad.

    A build of the same settings over the same content is reused, or made again where its files are
    damaged or gone; embeddings come from the cache where another version has made them. Where the
    build or its check fails, what served goes on serving and an alert is raised; only what changed
    meanwhile (freshness) is no reason.
    Where somebody else publishes while this is built, which may be a newer corpus, it is built
    again. Raises IndexFault on an empty corpus, ModelError, StoreFull.
    """
    index_key = version.spec.index_key
    begin_history(lake, workspace, index_key)
    known, begun = {one.build_id for one in list_builds(lake, index_key)}, datetime.now(UTC)
    while True:
        seen = len(read_publications(workspace, index_key) or ())
        with _failure_noted(lake, workspace, version):
            build, check = _build_and_check(lake, workspace, version, by, passages, progress)
        # What came into the corpus meanwhile must not keep back a build that has the rest.
        others = [one for one in check.findings if one.name != "freshness"]
        allowed = publish and all(one.status != "bad" for one in others)
        release = _settle(
            lake, workspace, version, build, check, allowed=allowed, by=by, after=seen
        )
        if not allowed or release.published or release.serves:
            break
        report(progress, 0.0, "another build was published meanwhile: building again")
    if publish and not release.serves and release.serving is not None:
        note_failed_rebuild(lake, version, release.serving, bad_findings(check))
    report(progress, 1.0, f"index {build.build_id} is checked: {check.status}")
    return replace(release, made_again=build.build_id in known and build.built_at >= begun)


def publish_index(
    lake: Lake,
    workspace: Workspace,
    version: Version,
    build_id: str | None = None,
    *,
    by: str,
    reason: str = "",
    force: bool = False,
) -> IndexRelease:
    """Check a build (the newest, unless one is named) and let it serve if nothing is bad.

    ``force`` passes over findings that leave a build able to answer. Raises UnknownName, InputError
    where the build belongs to another index key.
    """
    build = _find_build(lake, version, build_id)
    begin_history(lake, workspace, version.spec.index_key)
    check = check_build(lake, workspace, version, build.build_id, by=by)
    save_check(lake, check)
    allowed = check.status != "bad" or (force and not cannot_answer(check.findings))
    return _settle(lake, workspace, version, build, check, allowed=allowed, by=by, reason=reason)


def roll_back_index(
    lake: Lake, workspace: Workspace, version: Version, *, by: str, reason: str = ""
) -> tuple[Publication, str, IndexCheck]:
    """Let the build serve again that was published before; the build it took the place of, and
    what can be told of it without the model."""
    back, left = roll_back(workspace, version, by=by, reason=reason)
    return back, left, check_index(lake, workspace, version, by=by, with_model=False)


def check_index(
    lake: Lake,
    workspace: Workspace,
    version: Version,
    build_id: str | None = None,
    *,
    by: str,
    with_model: bool = True,
) -> IndexCheck:
    """Look at a build (what serves, unless one is named) and keep what was found; what is found
    about the build that serves raises and resolves alerts."""
    index_key = version.spec.index_key
    if build_id is None:
        build_id = require_serving(lake, workspace, version)
    else:
        build_id = _find_build(lake, version, build_id).build_id
    check = check_build(lake, workspace, version, build_id, by=by, with_model=with_model)
    save_check(lake, check)
    if build_id == serving_build_id(lake, workspace, index_key):
        note_findings(lake, check)
    return check


def describe_builds(lake: Lake, workspace: Workspace, version: Version) -> list[dict[str, Any]]:
    """One row a build, the newest first: whether it serves, is on disk, and was found sound."""
    index_key = version.spec.index_key
    serving = serving_build_id(lake, workspace, index_key, version.name)
    published = read_publications(workspace, index_key, version.name) or ()
    return build_rows(lake, workspace, index_key, serving, published)


def build_rows(
    lake: Lake,
    workspace: Workspace,
    index_key: str,
    serving: str | None,
    publications: Sequence[Publication],
) -> list[dict[str, Any]]:
    """As :func:`describe_builds`, where it is known already, or cannot be, what serves and what was
    published."""
    checks = latest_checks(lake, index_key)
    published = {one.build_id: one.published_at for one in publications}
    pruned, rows = pruned_times(lake), []
    for build in list_builds(lake, index_key):
        check, at = checks.get(build.build_id), published.get(build.build_id)
        gone = pruned.get(build.build_id)
        rows.append(
            {
                "build_id": build.build_id,
                "built_at": build.built_at.isoformat(timespec="seconds"),
                "passages": build.passages,
                "kind": build.ann_kind,
                "bytes": build.bytes,
                "seconds": build.seconds,
                "on_disk": (workspace.indexes / build.build_id / MANIFEST).is_file(),
                "pruned_at": gone and gone.isoformat(timespec="seconds"),
                "serves": build.build_id == serving,
                "published_at": at and at.isoformat(timespec="seconds"),
                "checked_at": check and check.checked_at.isoformat(timespec="seconds"),
                "status": check and check.status,
            }
        )
    return rows


def bad_findings(check: IndexCheck) -> str:
    return "; ".join(one.what for one in check.findings if one.status == "bad")


def _build_and_check(
    lake: Lake,
    workspace: Workspace,
    version: Version,
    by: str,
    passages: Sequence[Passage] | None,
    progress: Progress | None,
) -> tuple[IndexBuild, IndexCheck]:
    held = load_passages(lake) if passages is None else passages
    reranker, built = version.spec.reranker, part(progress, 0.0, 0.9)
    if reranker is not None and reranker.kind == "late_interaction":
        encode_for_reranking(held, reranker, workspace, part(progress, 0.0, 0.6))
        built = part(progress, 0.6, 0.9)
    build = build_index(held, version.spec, workspace, built)
    save_build(lake, build)
    report(progress, 0.9, f"checking index {build.build_id}")
    check = check_build(lake, workspace, version, build.build_id, by=by)
    save_check(lake, check)
    return build, check


def _settle(
    lake: Lake,
    workspace: Workspace,
    version: Version,
    build: IndexBuild,
    check: IndexCheck,
    *,
    allowed: bool,
    by: str,
    reason: str = "",
    after: int | None = None,
) -> IndexRelease:
    """Publish where it is ``allowed`` and nobody else has (``after`` as in
    :func:`publish_build`); note what the check found if the build serves."""
    index_key = version.spec.index_key
    published = False
    if allowed:
        checks = {one.name: one.status for one in check.findings}
        published = publish_build(
            workspace, index_key, build.build_id, by=by, reason=reason, checks=checks, after=after
        )
    serving = serving_build_id(lake, workspace, index_key)
    if serving == build.build_id:
        note_findings(lake, check)
        resolve_rebuild(lake, index_key)
    return IndexRelease(build, check, serving, published)


def _find_build(lake: Lake, version: Version, build_id: str | None) -> IndexBuild:
    """The build named, which must be one of the version's; else the newest."""
    index_key = version.spec.index_key
    if build_id is not None:
        build = find_build(lake, build_id)
        if build.index_key != index_key:
            raise InputError(
                f"build {build_id} is not one of version {version.name}",
                remedy=f"name one of: ragdiag index list {version.name}",
            )
        return build
    newest = latest_build(lake, index_key)
    if newest is None:
        raise UnknownName(
            f"version {version.name} has no index build",
            remedy=f"run: ragdiag index build {version.name}",
        )
    return newest


@contextmanager
def _failure_noted(lake: Lake, workspace: Workspace, version: Version) -> Iterator[None]:
    """Raise an alert where a rebuild of what serves ends in an error, which goes on."""
    try:
        yield
    except RagdiagError as error:
        serving = serving_build_id(lake, workspace, version.spec.index_key)
        if serving is not None:
            with suppress(RagdiagError):  # a full disk takes no alert, and is the error to tell
                note_failed_rebuild(lake, version, serving, str(error))
        raise
