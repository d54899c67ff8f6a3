"""Train the adapter that the demo ships: ``python -m ragdiag.demo.train_adapter WORKSPACE``.

It learns from the full demo's training questions and is tested on its test questions, over all its
documents and without its traffic. Everything that the demo later shows of this run is written down
here, as it was measured: data/models/demo-questions is replaced. The same command goes on with a
run that was ended.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from ragdiag.console import progress_to
from ragdiag.demo.material import Material, ingest_early, ingest_late, read_material
from ragdiag.demo.schedule import TUNED, TUNED_FROM, demo_versions
from ragdiag.demo.shipped import KEPT, RUN, SHIPPED
from ragdiag.errors import TrainingError
from ragdiag.progress import Progress, part
from ragdiag.settings import Workspace
from ragdiag.store.lake import open_lake
from ragdiag.store.results import find_version, save_version
from ragdiag.store.training_runs import TrainingRun
from ragdiag.training.adapters import LoraOptions
from ragdiag.training.run_folder import run_folder
from ragdiag.workflows.indexing.build import build_version_index
from ragdiag.workflows.tuning.retriever import RetrieverTuning, tune_retriever

CORPUS = "the full demo's"
RANK = 8
"""Low, so that the adapter takes little of the repository: 24 modules of 384 by 384."""

EPOCHS = 2
"""Few, so that anybody can make it again in some minutes without an accelerator."""


def train_adapter(
    workspace: Workspace, material: Material, progress: Progress | None = None
) -> TrainingRun:
    """Train and judge in ``workspace``, which may be new. Raises what ``tune_retriever`` raises,
    and TrainingError where training left no adapter that is better than none."""
    lake = open_lake(workspace, create=True)
    ingest_early(lake, material)
    ingest_late(lake, material)
    version = next(one for one in demo_versions() if one.name == TUNED_FROM)
    save_version(lake, version)
    build_version_index(lake, workspace, version, part(progress, 0.0, 0.5))
    lora = LoraOptions(RANK, 2 * RANK)
    tuning = RetrieverTuning(epochs=EPOCHS, lora=lora, save_as=TUNED)
    run = tune_retriever(lake, workspace, version, tuning, part(progress, 0.5, 1.0))
    assert run is not None
    if run.facts["candidate"] is None:
        raise TrainingError(
            f"run {run.run_id} found nothing better than the model as it came",
            remedy="ship no adapter, or train otherwise",
        )
    return run


def ship(workspace: Workspace, run: TrainingRun, folder: Path = SHIPPED) -> None:
    """Put what ``run`` made and what is known of it in place of ``folder``."""
    made = run_folder(workspace, run.run_id)
    made.verify()
    draft = folder.with_name(f".{folder.name}")
    shutil.rmtree(draft, ignore_errors=True)
    shutil.copytree(made.adapter, draft / made.adapter.name)
    for name in KEPT:
        shutil.copy(made.root / name, draft / name)
    facts = {**run.facts, "options": {**run.facts["options"], "corpus": CORPUS}}
    tuned = find_version(open_lake(workspace), TUNED)
    told = {
        "run_id": run.run_id,
        "kind": run.kind,
        "facts": facts,
        "alpha": tuned.spec.fusion.alpha,
    }
    (draft / RUN).write_text(json.dumps(told, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    draft.rename(folder)


if __name__ == "__main__":
    scratch = Workspace(Path(sys.argv[1]).resolve())
    with progress_to(None) as told:
        full = read_material("full", part(told, 0.0, 0.1))
        ship(scratch, train_adapter(scratch, full, part(told, 0.1, 1.0)))
