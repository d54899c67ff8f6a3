"""How the indexes of a workspace stand: what serves, what was found of it, what can be done.

Read from the lake and one small file an index key; no model is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ragdiag.deploy.notices import index_subject
from ragdiag.errors import IndexFault
from ragdiag.records import Alert, Finding, FindingStatus, IndexCheck
from ragdiag.retrieval.serving import (
    Publication,
    read_publications,
    standing,
    versions_by_index,
)
from ragdiag.settings import Workspace
from ragdiag.store.alerts import open_alerts
from ragdiag.store.index_checks import load_checks
from ragdiag.store.lake import Lake
from ragdiag.store.measurements import latest_measurements
from ragdiag.store.results import latest_build
from ragdiag.store.tunings import list_tunings
from ragdiag.version import Version
from ragdiag.workflows.indexing.build import build_rows


@dataclass(frozen=True)
class Unreadable:
    """A history that cannot be read: what is wrong and what mends it, in one line."""

    why: str


Histories = tuple[tuple[str, tuple[Publication, ...] | Unreadable | None], ...]
"""Index key → its publications, None where its history has not begun."""


@dataclass(frozen=True)
class Look:
    """The newest look of one kind at a build, and what it ``measured`` (plain JSON)."""

    finding: Finding
    checked_at: datetime
    measured: Mapping[str, Any]


@dataclass(frozen=True)
class IndexState:
    """One index key: the ``versions`` that its build serves, oldest first; ``builds`` as
    :func:`build_rows` gives them; ``previous`` is where a rollback leads.

    A check without the model leaves out what only the model can see, so ``looks`` holds the newest
    of each kind at the build that serves, by name. Where the history cannot be read, ``fault`` says
    why: what serves is not known then, so it is None, and nothing can be published or rolled back.
    """

    index_key: str
    versions: Sequence[Version]
    serving: str | None
    published: Publication | None
    previous: str | None
    builds: Sequence[Mapping[str, Any]]
    looks: Mapping[str, Look]
    alerts: Sequence[Alert]
    fault: str | None = None

    @property
    def names(self) -> list[str]:
        return [version.name for version in self.versions]

    @property
    def version_ids(self) -> list[str]:
        return [version.version_id for version in self.versions]

    @property
    def status(self) -> FindingStatus | None:
        """The worst of ``looks``; None where nobody has looked."""
        found = {look.finding.status for look in self.looks.values()}
        for status in ("bad", "warn", "good"):
            if status in found:
                return status
        return None

    @property
    def checked_at(self) -> datetime | None:
        return max((look.checked_at for look in self.looks.values()), default=None)


def read_histories(lake: Lake, workspace: Workspace) -> Histories:
    """Every index key with what was published for it. One that cannot be read takes none of the
    others with it."""
    return tuple(
        (key, _history(workspace, key, versions[0].name))
        for key, versions in versions_by_index(lake).items()
    )


def _history(
    workspace: Workspace, index_key: str, name: str
) -> tuple[Publication, ...] | Unreadable | None:
    try:
        return read_publications(workspace, index_key, name)
    except IndexFault as fault:
        return Unreadable(str(fault))


def load_index_states(
    lake: Lake, workspace: Workspace, histories: Histories
) -> tuple[IndexState, ...]:
    """One state an index key, in the order in which their first versions were added."""
    versions, alerts = versions_by_index(lake), open_alerts(lake)
    return tuple(
        _load_state(lake, workspace, key, versions[key], history, alerts)
        for key, history in histories
    )


def load_measures(lake: Lake, version_ids: Sequence[str]) -> list[dict[str, Any]]:
    """The newest measurement of each build as these versions use it, newest first; rows of
    store.measurements."""
    return [row for row in latest_measurements(lake) if row["version_id"] in version_ids]


def load_tuning(lake: Lake, version: Version) -> tuple[datetime, dict[str, Any]] | None:
    """When the newest sweep over this version's vectors ended, and its outcome: that of another
    version counts where its [embedder] is the same."""
    embedder = version.spec.embedder
    alike = {
        other.version_id
        for versions in versions_by_index(lake).values()
        for other in versions
        if embedder is not None and other.spec.embedder == embedder
    }
    for row in list_tunings(lake):
        if row["version_id"] in alike:
            return row["tuned_at"], row["tuning"]
    return None


def newest_looks(checks: Sequence[IndexCheck]) -> dict[str, Look]:
    """Of ``checks`` (oldest first) the newest finding of each name, in the order of looking."""
    found: dict[str, Look] = {}
    for check in checks:
        for finding in check.findings:
            measured = check.details.get(finding.name, {})
            found[finding.name] = Look(finding, check.checked_at, measured)
    return found


def _load_state(
    lake: Lake,
    workspace: Workspace,
    key: str,
    versions: Sequence[Version],
    history: Sequence[Publication] | Unreadable | None,
    alerts: Sequence[Alert],
) -> IndexState:
    published = () if history is None or isinstance(history, Unreadable) else history
    serving = None
    if published:
        serving = published[-1].build_id
    elif history is None and (newest := latest_build(lake, key)) is not None:
        serving = newest.build_id
    kept = standing(published)
    return IndexState(
        index_key=key,
        versions=tuple(versions),
        serving=serving,
        published=published[-1] if published else None,
        previous=kept[-2].build_id if len(kept) > 1 else None,
        builds=tuple(build_rows(lake, workspace, key, serving, published)),
        looks=newest_looks(load_checks(lake, serving)) if serving else {},
        alerts=tuple(one for one in alerts if one.subject.startswith(index_subject(key))),
        fault=history.why if isinstance(history, Unreadable) else None,
    )
