"""What fine-tuning a retriever gains on questions that it never saw, and what it takes.

    python -m benchmarks.finetuning SCRATCH BEIR_FOLDER [--methods query-lora lora full] [--seeds 0]

Learnt from the train split (an inner part of it stops training and weighs the paths), measured on
the test split: MRR@10 of the dense path and of the hybrid before and after, with paired t. Nothing
is answered. The folder gets a workspace below SCRATCH, and what was measured is kept there in
``finetuning.jsonl``: a run that is there is not made again, and a killed one goes on.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

from ragdiag.importers.beir import import_beir
from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake, open_lake
from ragdiag.store.results import save_version
from ragdiag.training.adapters import LoraOptions
from ragdiag.training.processes import peak_bytes
from ragdiag.training.runs import Change
from ragdiag.version import Version, parse_spec
from ragdiag.workflows.indexing.build import build_version_index
from ragdiag.workflows.tuning.data import LearnFrom
from ragdiag.workflows.tuning.retriever import RetrieverTuning, plan_retriever
from ragdiag.workflows.tuning.tuned_change import DENSE, PRIMARY, Ranker, measure_change
from ragdiag.workflows.tuning.tuned_version import reweighed, tuned_version
from ragdiag.workflows.weighing.tune_fusion import tune_fusion

HYBRID = "[embedder]\n[lexical]\n[fusion]\nkind = 'convex'\n[generator]\nkind = 'extractive'"


def main() -> None:
    given = arguments()
    for folder in given.folders:
        workspace = Workspace(given.scratch / folder.name)
        lake, version = prepared(workspace, folder)
        for method in given.methods:
            for seed in given.seeds:
                tuning = RetrieverTuning(
                    learn=LearnFrom(
                        hard=given.negatives,
                        augment=given.augment,
                        seed=seed,
                        sentences=given.sentences,
                    ),
                    method=method,
                    loss=given.loss,
                    epochs=given.epochs,
                    learning_rate=given.learning_rate,
                    batch=given.batch,
                    precision=given.precision,
                    lora=LoraOptions(rank=given.rank, alpha=2 * given.rank),
                )
                print(told(folder.name, measured(lake, workspace, version, tuning)), flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("scratch", type=Path)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--methods", nargs="+", default=["query-lora", "lora", "full"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--loss", default="info_nce")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rank", type=int, default=32)
    parser.add_argument("--negatives", type=int, default=2)
    parser.add_argument("--augment", type=int, default=0)
    parser.add_argument("--sentences", type=int, default=0)
    parser.add_argument("--precision", default="fp32")
    return parser.parse_args()


def prepared(workspace: Workspace, folder: Path) -> tuple[Lake, Version]:
    """The data, and the untuned hybrid with the weight that the train split gives it."""
    lake = open_lake(workspace, create=True)
    import_beir(lake, folder)
    plain = Version("hybrid", parse_spec(HYBRID, source="hybrid"))
    save_version(lake, plain)
    build_version_index(lake, workspace, plain)
    version = Version("hybrid-weighed", tune_fusion(lake, workspace, plain, "train").spec)
    save_version(lake, version)
    return lake, version


def measured(
    lake: Lake, workspace: Workspace, version: Version, tuning: RetrieverTuning
) -> dict[str, Any]:
    """The document of one run, from the file where it is there."""
    kept = workspace.root / "finetuning.jsonl"
    asked = json.loads(json.dumps(asdict(tuning)))
    lines = kept.read_text(encoding="utf-8").splitlines() if kept.is_file() else []
    for line in lines:
        if json.loads(line)["tuning"] == asked:
            found: dict[str, Any] = json.loads(line)
            return found
    document = {"tuning": asked, **made(lake, workspace, version, tuning)}
    with kept.open("a", encoding="utf-8") as file:
        file.write(json.dumps(document) + "\n")
    return document


def made(
    lake: Lake, workspace: Workspace, version: Version, tuning: RetrieverTuning
) -> dict[str, Any]:
    embedder = version.spec.embedder
    assert embedder is not None
    plan = plan_retriever(lake, workspace, version, embedder, tuning)
    name = sha256(json.dumps(asdict(tuning)).encode()).hexdigest()[:10]
    tuned = plan.train(workspace.training / name, lambda _, message: print("  " + message))
    after = version  # where no step helped, tuning makes no version
    if tuned.trained.best_step:
        after = tuned_version(workspace, version, tuned.embedder, f"tuned-{name}")
        save_version(lake, after)
        build_version_index(lake, workspace, after)
        after = reweighed(lake, workspace, after, [(after, plan.asked)])
    test = plan.sets[0]
    ranked = [Ranker(lake, workspace, one).rank(test.questions) for one in (version, after)]
    changes = {one.metric: one for one in measure_change(test, *ranked).changes}
    return {
        "pairs": len(plan.assembled.train.pairs),
        "alpha": [version.spec.fusion.alpha, after.spec.fusion.alpha],
        "dense": document_of(changes[DENSE]),
        "hybrid": document_of(changes[PRIMARY]),
        "dev": [tuned.trained.first_score, tuned.trained.best_score],
        "best_step": tuned.trained.best_step,
        "steps": tuned.trained.steps,
        "wall_s": tuned.trained.wall_s,
        "peak_bytes": peak_bytes(),
    }


def document_of(change: Change) -> dict[str, Any]:
    estimates = {"before": change.before, "after": change.after, "difference": change.difference}
    return {"p": change.p, **{name: one.to_json() for name, one in estimates.items()}}


def told(name: str, document: dict[str, Any]) -> str:
    """A row of the table."""
    tuning = document["tuning"]
    cells = [name, tuning["method"], str(tuning["learn"]["seed"])]
    for path in ("dense", "hybrid"):
        found = document[path]
        before, after, change = (found[key] for key in ("before", "after", "difference"))
        cells.append(
            f"{before['value']:.3f} → {after['value']:.3f} "
            f"({change['value'] / before['value']:+.1%}; {change['low']:+.3f} to "
            f"{change['high']:+.3f}; p = {found['p']:.1g})"
        )
    cells += [f"{document['wall_s']:.0f} s", f"{document['peak_bytes'] / 1e9:.1f} GB"]
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
