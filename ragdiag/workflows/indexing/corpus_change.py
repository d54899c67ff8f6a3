"""After the corpus has changed: is what serves still fresh, and is it to be built anew?"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from ragdiag.errors import RagdiagError, StoreError
from ragdiag.progress import Progress, part, report
from ragdiag.records import FindingStatus, IndexCheck
from ragdiag.retrieval.serving import serving_build_id, versions_by_index
from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake
from ragdiag.store.owed_checks import clear_owed, load_owed
from ragdiag.version import Version
from ragdiag.workflows.indexing.build import check_index, release_index


@dataclass(frozen=True, slots=True)
class ServedIndex:
    """What serves ``versions`` after a change of the corpus, and what is not good about it.
    ``renewed`` says whether a build has taken its place since."""

    versions: tuple[str, ...]
    build_id: str | None
    status: FindingStatus
    notes: tuple[str, ...] = ()
    renewed: bool = False

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def look_after_indexes(
    lake: Lake,
    workspace: Workspace,
    *,
    by: str,
    rebuild: bool = False,
    progress: Progress | None = None,
) -> list[ServedIndex]:
    """Check every build that serves without loading it, and raise or resolve its alerts; with
    ``rebuild``, build, check and publish first. One state an index key, never an exception: the
    corpus has changed already, and what serves goes on serving.
    """
    states, owed = [], load_owed(lake)
    shared = list(versions_by_index(lake).items())
    for number, (index_key, versions) in enumerate(shared):
        stretch = part(progress, number / len(shared), (number + 1) / len(shared))
        names = tuple(one.name for one in versions)
        try:
            if serving_build_id(lake, workspace, index_key) is not None:
                states.append(_look_after(lake, workspace, versions, by, rebuild, stretch))
        except RagdiagError as error:
            states.append(ServedIndex(names, None, "bad", (str(error),)))
            if isinstance(error, StoreError):  # nothing was looked at
                owed = {}
    with suppress(StoreError):
        clear_owed(lake, owed)
    report(progress, 1.0, f"looked after {len(states)} indexes")
    return states


def _look_after(
    lake: Lake,
    workspace: Workspace,
    versions: Sequence[Version],
    by: str,
    rebuild: bool,
    progress: Progress,
) -> ServedIndex:
    names, version = tuple(one.name for one in versions), versions[0]
    failed: tuple[str, ...] = ()
    if rebuild:
        try:
            done = release_index(lake, workspace, version, by=by, progress=progress)
            if done.serves:
                return _state(names, done.check, renewed=done.published)
            failed = _notes(done.check)
        except RagdiagError as error:
            failed = (str(error),)
    check = check_index(lake, workspace, version, by=by, with_model=False)
    state = _state(names, check)
    if not failed:
        return state
    told = tuple(f"build {check.build_id} was not renewed: {one}" for one in failed)
    return ServedIndex(names, check.build_id, "bad", (*told, *state.notes))


def _state(names: tuple[str, ...], check: IndexCheck, *, renewed: bool = False) -> ServedIndex:
    return ServedIndex(names, check.build_id, check.status, _notes(check), renewed)


def _notes(check: IndexCheck) -> tuple[str, ...]:
    found = [one for one in check.findings if one.status != "good"]
    return tuple(f"{one.what}; {one.remedy}" for one in found)
