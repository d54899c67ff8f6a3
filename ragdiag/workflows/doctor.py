"""What is wrong with this machine or this workspace, and the remedy."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version

from ragdiag.deploy.health import check_build
from ragdiag.deploy.owed import PATIENCE_S
from ragdiag.errors import RagdiagError
from ragdiag.instrumentation.losses import read_losses
from ragdiag.records import Finding
from ragdiag.retrieval.models import model_identity
from ragdiag.retrieval.serving import require_serving, versions_by_index
from ragdiag.runbooks import runbook_path
from ragdiag.settings import PROJECT, Workspace
from ragdiag.store.alerts import open_alerts
from ragdiag.store.lake import Lake, open_lake
from ragdiag.store.owed_checks import load_owed
from ragdiag.version import EmbedderSpec, Version
from ragdiag.workflows.logs.privacy_state import privacy_findings

LEAST_FREE_BYTES = 2 * 1024**3


def examine(workspace: Workspace) -> list[Finding]:
    """Check packages, weights, disk, the lake and every version's index; nothing is changed."""
    return [
        *_packages(),
        _tried("model weights", lambda: model_identity(EmbedderSpec())),
        _disk(workspace),
        *_losses(workspace),
        *_workspace(workspace),
    ]


def _packages() -> Iterator[Finding]:
    for line in (PROJECT / "requirements.txt").read_text(encoding="utf-8").split():
        name, _, wanted = line.partition("==")
        try:
            found = version(name).partition("+")[0]
        except PackageNotFoundError:
            found = "nothing"
        if found != wanted:
            yield Finding(
                f"package {name}: {found} is installed, {wanted} is pinned",
                "bad",
                "run: pip install -r requirements.txt",
            )


def _disk(workspace: Workspace) -> Finding:
    place = workspace.root
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    check = f"{free / 1024**3:.1f} GiB free at {place}"
    if free < LEAST_FREE_BYTES:
        return Finding(check, "bad", "free some space, or name another place with --workspace")
    return Finding(check, "good")


def _losses(workspace: Workspace) -> Iterator[Finding]:
    """What services could not log; a part that was left out is the service's own business."""
    for loss in read_losses(workspace):
        if loss.requests:
            reasons = {**loss.counts.get("dropped", {}), **loss.counts.get("refused", {})}
            most = max(reasons, key=reasons.__getitem__)
            yield Finding(
                f"{loss.requests} records of the service {loss.writer} are not in the log,"
                f" the last one at {loss.until[:19]} UTC ({most})",
                "bad",
                f"docs/logging.md says why and what helps; then remove {loss.path}",
            )


def _workspace(workspace: Workspace) -> Iterator[Finding]:
    try:
        lake = open_lake(workspace)
        snapshot = lake.snapshot()
        lake.check_data()
    except RagdiagError as error:
        yield Finding(error.message, "bad", error.remedy)
        return
    yield Finding(f"workspace {workspace.root}, snapshot {snapshot}, catalog {lake.place}", "good")
    for check, remedy in privacy_findings(workspace):
        yield Finding(check, "bad" if remedy else "good", remedy)
    waiting = len(list(workspace.spool.glob("*.jsonl")))
    if waiting:
        yield Finding(f"{waiting} spool segments wait", "bad", "run: ragdiag ingest")
    for versions in versions_by_index(lake).values():
        yield from _index(lake, workspace, versions[0])
    for since in list(load_owed(lake, PATIENCE_S).values())[:1]:
        what = f"the corpus changed at {since:%Y-%m-%d %H:%M} UTC and nobody looked at the indexes"
        yield Finding(what, "bad", "run: ragdiag ingest")
    for alert in open_alerts(lake):
        what = f"alert since {alert.raised_at:%Y-%m-%d %H:%M} UTC: {alert.message}"
        yield Finding(what, "bad", f"see {runbook_path(alert.runbook)}")


def _index(lake: Lake, workspace: Workspace, version: Version) -> Iterator[Finding]:
    """What serves a version, as far as it can be told without loading it."""
    try:
        build_id = require_serving(lake, workspace, version)
    except RagdiagError as error:
        yield Finding(error.message, "bad", error.remedy)
        return
    check = check_build(lake, workspace, version, build_id, by="doctor", with_model=False)
    if check.status == "good":
        yield Finding(f"build {build_id}, which serves {version.name}, is whole and fresh", "good")
    yield from (finding for finding in check.findings if finding.status != "good")


def _tried(check: str, attempt: Callable[[], object]) -> Finding:
    try:
        attempt()
    except RagdiagError as error:
        return Finding(f"{check}: {error.message}", "bad", error.remedy)
    return Finding(check, "good")
