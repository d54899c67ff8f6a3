"""Whether a tuned hybrid is at least as good as the better path alone, on questions it never saw.

    python -m benchmarks.fusion SCRATCH BEIR_FOLDER [MORE_FOLDERS…] >> docs/retrieval.md

Each folder gets a workspace below SCRATCH, which is used again where it is there. The weight comes
from the train split (`fusion tune`), everything in the table from the test split. Retrieval alone:
no answers are generated. With `--export` questions are also encoded by int8 and fp32 exports.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from ragdiag.importers.beir import import_beir
from ragdiag.metrics.ranking import score_ranking
from ragdiag.records import Hit, Question
from ragdiag.retrieval.builds import load_index
from ragdiag.retrieval.hybrid import HybridRetriever
from ragdiag.retrieval.onnx_export import export_model
from ragdiag.settings import Workspace
from ragdiag.stats.paired import compare_paired
from ragdiag.store.corpus import load_judgments, load_questions
from ragdiag.store.lake import Lake, close_lakes, open_lake
from ragdiag.version import EmbedderSpec, Spec, Version, parse_spec
from ragdiag.workflows.indexing.build import build_version_index
from ragdiag.workflows.weighing.tune_fusion import PATHS, tune_fusion

HYBRID = Version(
    "hybrid",
    parse_spec(
        "[embedder]\n[lexical]\n[fusion]\nkind = 'convex'\n[generator]\nkind = 'extractive'",
        source="hybrid",
    ),
)
MARGIN = 0.01
METRICS = ("MRR@10", "recall@10", "recall@100")

Scores = Mapping[str, Sequence[float]]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("scratch", type=Path)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--export", action="store_true")
    given = parser.parse_args()
    print(
        "| set, test split | weight | "
        + " | ".join(METRICS)
        + " | MRR@10 against the better path |"
    )
    print("|---" * (len(METRICS) + 3) + "|", flush=True)
    for folder in given.folders:
        measure(folder, Workspace(given.scratch / folder.name), given.scratch, given.export)
        close_lakes()


def measure(folder: Path, workspace: Workspace, scratch: Path, export: bool) -> None:
    lake = open_lake(workspace, create=True)
    import_beir(lake, folder)
    build_version_index(lake, workspace, HYBRID)
    tuned = tune_fusion(lake, workspace, HYBRID, "train")
    single = tuned.choice.best_single
    found = {
        PATHS[alpha]: retrieve(lake, workspace, with_alpha(tuned.spec, alpha))
        for alpha in (0.0, 1.0)
    }
    found["tuned hybrid"] = retrieve(lake, workspace, tuned.spec)
    if export:
        for precision in ("fp32", "int8"):
            target = scratch / f"export-{precision}"
            if not target.exists():
                export_model(EmbedderSpec(), target, precision)  # type: ignore[arg-type]
            embedder = EmbedderSpec(questions=str(target))
            spec = tuned.spec.model_copy(update={"embedder": embedder})
            found[f"tuned hybrid, {precision} questions"] = retrieve(lake, workspace, spec)
    base = found[PATHS[single]]["MRR@10"]
    for name, scores in found.items():
        weight = f"{tuned.choice.alpha:.2f}" if name.startswith("tuned") else ""
        means = [f"{sum(scores[metric]) / len(scores[metric]):.3f}" for metric in METRICS]
        change = compare_paired(base, scores["MRR@10"]).difference
        cell = (
            ""
            if name == PATHS[single]
            else f"{change.value:+.3f} ({change.low:+.3f} to "
            f"{change.high:+.3f}), {'not worse' if change.low > -MARGIN else 'not shown'}"
        )
        print(f"| {folder.name}: {name} | {weight} | {' | '.join(means)} | {cell} |", flush=True)


def with_alpha(spec: Spec, alpha: float) -> Spec:
    fusion = spec.fusion.model_copy(update={"alpha": alpha})
    return spec.model_copy(update={"fusion": fusion})


def retrieve(lake: Lake, workspace: Workspace, spec: Spec) -> Scores:
    """Every metric of every judged test question, in the order of their ids."""
    build = build_version_index(lake, workspace, HYBRID)
    retriever = HybridRetriever(load_index(workspace, build.build_id, HYBRID.spec), spec)
    judged = load_judgments(lake, "test")
    questions: Sequence[Question] = load_questions(lake, "test")
    rows = []
    for question in questions:
        hits: tuple[Hit, ...] = retriever.retrieve(question.text).fused
        rows.append(score_ranking(hits, judged[question.question_id]))
    return {metric: [row[metric] for row in rows] for metric in METRICS}


if __name__ == "__main__":
    main()
