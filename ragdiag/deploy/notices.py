"""Alerts about what serves: a bad finding raises one; a later look at the same thing resolves it,
and so does the first look at another build that serves.

The subject of an alert is an index key, since that is what a build serves, with the version where
its questions are the matter; its kind names the finding, so that a look without the model does not
resolve what only the model can see.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ragdiag.records import Finding, IndexCheck, Severity
from ragdiag.retrieval.serving import versions_by_index
from ragdiag.store.alerts import open_alerts, raise_alert, resolve_alerts
from ragdiag.store.lake import Lake
from ragdiag.version import Version

REBUILD_FAILED = "index_rebuild"
QUESTIONS = "questions"

RUNBOOKS: Mapping[str, tuple[str, Severity]] = {
    "manifest": ("corruption", "critical"),
    "loads": ("corruption", "critical"),
    "vectors": ("corruption", "critical"),
    "words": ("corruption", "critical"),
    "contract": ("stale_embeddings", "critical"),
    "embeddings": ("stale_embeddings", "critical"),
    QUESTIONS: ("rollback", "critical"),
    "neighbours": ("rollback", "warning"),
    "freshness": ("index_rebuild", "warning"),
}
"""Finding → the runbook that mends it, and how much a bad one matters."""


def index_subject(index_key: str) -> str:
    return f"index {index_key}"


def note_findings(lake: Lake, check: IndexCheck) -> None:
    """Raise or resolve the alerts of each finding about the build that serves. What questions find
    is the version's own: others that share the index may fuse or rerank otherwise."""
    index = index_subject(check.index_key)
    by_version = [one for one in check.findings if one.name == QUESTIONS]
    _note(lake, check, index, [one for one in check.findings if one.name != QUESTIONS])
    _note(lake, check, f"{index}, version {check.version_id}", by_version)
    if by_version:  # alerts of an earlier ragdiag name the index alone, and nothing else ends them
        resolve_alerts(lake, subject=index, kinds=[_kind(one) for one in by_version])
    _resolve_others(lake, index, check.build_id)


def _resolve_others(lake: Lake, index: str, serving: str) -> None:
    """What is still said of a build that serves no more is nobody's trouble."""
    for alert in open_alerts(lake):
        if (
            alert.subject.split(", ")[0] == index
            and alert.details.get("build_id", serving) != serving
        ):
            resolve_alerts(lake, subject=alert.subject, kinds=[alert.kind])


def _note(lake: Lake, check: IndexCheck, subject: str, findings: Sequence[Finding]) -> None:
    well = {_kind(one) for one in findings if one.status != "bad"}
    resolve_alerts(lake, subject=subject, kinds=well)
    for finding in findings:
        if finding.status == "bad" and finding.name in RUNBOOKS:
            runbook, severity = RUNBOOKS[finding.name]
            raise_alert(
                lake,
                kind=_kind(finding),
                subject=subject,
                severity=severity,
                message=f"{finding.what}; {finding.remedy}",
                runbook=runbook,
                details={
                    "build_id": check.build_id,
                    "versions": _names(lake, check.index_key),
                    "measured": check.details.get(finding.name, {}),
                },
            )


def note_failed_rebuild(lake: Lake, version: Version, serving: str, why: str) -> None:
    """Raise that a rebuild of what serves ``version`` came to nothing."""
    raise_alert(
        lake,
        kind=REBUILD_FAILED,
        subject=index_subject(version.spec.index_key),
        severity="warning",
        message=f"the index of version {version.name} could not be renewed, and build {serving} "
        f"goes on serving: {why}",
        runbook="index_rebuild",
        details={"serving": serving, "versions": _names(lake, version.spec.index_key)},
    )


def resolve_rebuild(lake: Lake, index_key: str) -> None:
    resolve_alerts(lake, subject=index_subject(index_key), kinds=[REBUILD_FAILED])


def _names(lake: Lake, index_key: str) -> list[str]:
    return [one.name for one in versions_by_index(lake).get(index_key, [])]


def _kind(finding: Finding) -> str:
    return f"index_{finding.name}"
