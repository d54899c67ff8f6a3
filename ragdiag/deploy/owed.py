"""The look at what serves that a killed import still owes, had by whoever comes next."""

from __future__ import annotations

import logging

from ragdiag.deploy.health import check_build
from ragdiag.deploy.notices import note_findings
from ragdiag.errors import IndexFault
from ragdiag.records import IndexCheck
from ragdiag.retrieval.serving import serving_build_id, versions_by_index
from ragdiag.settings import Workspace
from ragdiag.store.index_checks import save_check
from ragdiag.store.lake import Lake
from ragdiag.store.owed_checks import clear_owed, load_owed

PATIENCE_S = 30.0
"""How long a process that only stands by leaves the look to the import itself."""

_log = logging.getLogger(__name__)


def look_where_owed(
    lake: Lake, workspace: Workspace, *, by: str, after_s: float = 0.0
) -> list[IndexCheck]:
    """Check every build that serves without loading it, and raise or resolve its alerts, if that
    has been owed for ``after_s`` seconds. Raises StoreError: then it stays owed."""
    owed = load_owed(lake, after_s)
    if not owed:
        return []
    checks = []
    for index_key, versions in versions_by_index(lake).items():
        try:
            serving = serving_build_id(lake, workspace, index_key)
        except IndexFault as fault:  # whoever opens the version is told the same
            _log.warning("%s", fault)
            continue
        if serving is not None:
            check = check_build(lake, workspace, versions[0], serving, by=by, with_model=False)
            save_check(lake, check)
            note_findings(lake, check)
            checks.append(check)
    clear_owed(lake, owed)
    return checks
