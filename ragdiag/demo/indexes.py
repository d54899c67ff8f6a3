"""What the demo knows of its indexes: a check of each, a measurement and a sweep of settings."""

from __future__ import annotations

from collections.abc import Sequence

from ragdiag.demo.material import Size
from ragdiag.progress import Progress, part, report
from ragdiag.retrieval.serving import require_serving
from ragdiag.settings import Workspace
from ragdiag.store.index_checks import load_checks
from ragdiag.store.lake import Lake
from ragdiag.store.measurements import latest_measurements
from ragdiag.store.tunings import latest_tuning
from ragdiag.version import Version
from ragdiag.workflows.indexing.build import check_index
from ragdiag.workflows.indexing.measure import measure_index
from ragdiag.workflows.indexing.tune import KINDS, Aim, tune_index

AIMS = {"small": Aim(questions=60, kinds=("flat", "hnsw")), "full": Aim(questions=200, kinds=KINDS)}
MEASURED = {"small": 50, "full": 200}
"""Questions."""


def examine_indexes(
    lake: Lake, workspace: Workspace, versions: Sequence[Version], size: Size, progress: Progress
) -> None:
    """Do of it what has not been done; the last version's index is measured and tuned.

    In the small demo no check embeds anything, which would take a tenth of its time.
    """
    for version in versions:
        if not load_checks(lake, require_serving(lake, workspace, version)):
            with_model = size == "full" or version.spec.embedder is None
            check_index(lake, workspace, version, by="demo", with_model=with_model)
    report(progress, 0.2, "the indexes are checked")
    last = versions[-1]
    if not any(row["version_id"] == last.version_id for row in latest_measurements(lake)):
        measure_index(lake, workspace, last, MEASURED[size], part(progress, 0.2, 0.4))
    if latest_tuning(lake, last.version_id) is None:
        tune_index(lake, workspace, last, AIMS[size], progress=part(progress, 0.4, 1.0))
