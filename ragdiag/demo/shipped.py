"""The training run that comes with ragdiag: its adapter, its curve, and what was measured then.

data/models/demo-questions holds what ``train_adapter`` left: ``adapter/`` and, of the run's folder,
``config.json``, ``curve.jsonl`` and ``artefacts.json``; ``run.json`` has the run's id, kind and
facts, and the weight of the paths that it chose. The demo enters it into the registry as it was and
trains nothing.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

from ragdiag.retrieval.models import DEMO_ADAPTER, SHIPPED_MODELS
from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake
from ragdiag.store.training_runs import TrainingRun, list_runs, save_run
from ragdiag.training.run_folder import run_folder
from ragdiag.training.runs import Candidate, facts_of
from ragdiag.version import Version

SHIPPED = SHIPPED_MODELS / DEMO_ADAPTER
RUN = "run.json"
KEPT = ("config.json", "curve.jsonl", "artefacts.json")
"""Of the run's folder, beside the adapter."""


def read_shipped(source: Path = SHIPPED) -> TrainingRun:
    """The run as it ended on the machine that trained it."""
    held = json.loads((source / RUN).read_text(encoding="utf-8"))
    return TrainingRun(held["run_id"], held["kind"], "done", held["facts"])


def register_shipped(
    lake: Lake, workspace: Workspace, tuned: Version, source: Path = SHIPPED
) -> TrainingRun:
    """Enter the run, its folder with it; ``tuned`` is the version that it left here. Idempotent.

    Raises TrainingError where a file is not as it was made.
    """
    run = read_shipped(source)
    folder = run_folder(workspace, run.run_id)
    shutil.copytree(source, folder.root, ignore=shutil.ignore_patterns(RUN), dirs_exist_ok=True)
    folder.verify()
    candidate = Candidate(tuned.name, tuned.version_id)
    run = replace(run, facts=replace(facts_of(run), candidate=candidate).to_json())
    if all(one.run_id != run.run_id for one in list_runs(lake)):
        save_run(lake, run)
    return run
