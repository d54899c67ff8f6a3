"""What a trained reranker adds to hybrid retrieval on questions that it never saw.

    python -m benchmarks.reranker_training DATA_FOLDER SET [--seeds 0 1 2] [--loss …] > FILE

SET is a BEIR folder below DATA_FOLDER. The train split gives the fusion weight, and for each seed
an inner split of its questions: most are learned from, the rest stop training early, calibrate, and
choose weight and depth (``reranker tune``). Everything reported is of the test split: MRR@10 of the
first stage, with the cross-encoder alone over its head, and with the setting chosen, compared by
paired t. Times are of this machine, one question at a time. ``--limit`` is for a quick look.
``--pretrain`` names sets whose train splits are learned first, for one epoch, with 3 negatives.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ragdiag.importers.beir import import_beir
from ragdiag.metrics.latency import quantile_estimate
from ragdiag.pipeline import serving_index, serving_passages
from ragdiag.records import Hit, Passage
from ragdiag.retrieval.hybrid import HybridRetriever
from ragdiag.retrieval.rerank import Reranker
from ragdiag.retrieval.rerank_tuning import (
    LABELS_NEEDED,
    RerankEvidence,
    RerankSetting,
    choose_reranking,
    depths_up_to,
    reciprocal_rank_at,
)
from ragdiag.retrieval.vectors import passage_text
from ragdiag.settings import Workspace
from ragdiag.stats.paired import compare_paired
from ragdiag.store.corpus import load_judgments, load_questions
from ragdiag.store.lake import Lake, open_lake
from ragdiag.training.data.examples import Pair, TrainingSet
from ragdiag.training.reranker.cross_encoder import (
    CrossEncoderOptions,
    TunedCrossEncoder,
    train_cross_encoder,
)
from ragdiag.training.reranker.dev import RerankDev, RerankQuestion
from ragdiag.version import RerankerSpec, Version, parse_spec
from ragdiag.workflows.indexing.build import build_version_index
from ragdiag.workflows.weighing.tune_fusion import tune_fusion

PATHS = {
    "hybrid": "[embedder]\n[lexical]\n[fusion]\nkind = 'convex'\n",
    "bm25": "[lexical]\n",
}
INNER_DEV = 0.2
PRETRAINING_NEGATIVES = 3


@dataclass(frozen=True)
class Asked:
    """A judged question and what the first stage found for it."""

    question_id: str
    text: str
    hits: tuple[Hit, ...]
    grades: Mapping[str, int]


def main() -> None:
    given = arguments()
    with tempfile.TemporaryDirectory() as temporary:
        print(json.dumps(measure(given, given.scratch or Path(temporary)), indent=1))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("set")
    parser.add_argument("--scratch", type=Path, help="kept, so that a killed run goes on")
    parser.add_argument("--first-stage", choices=list(PATHS), default="hybrid")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--depth", type=int, default=50, help="of the lists, in passages")
    parser.add_argument("--limit", type=int, help="questions of each split")
    parser.add_argument("--pretrain", nargs="+", default=[], metavar="SET")
    parser.add_argument("--pretrain-limit", type=int, help="questions of each of these")
    own = CrossEncoderOptions()
    for name in ("base", "loss", "method"):
        parser.add_argument(f"--{name}", default=getattr(own, name))
    parser.add_argument("--layers", type=int)
    parser.add_argument("--negatives", type=int, default=own.negatives)
    parser.add_argument("--max-tokens", type=int, default=own.max_tokens)
    parser.add_argument("--epochs", type=int, default=own.loop.epochs)
    parser.add_argument("--learning-rate", type=float, default=own.loop.learning_rate)
    return parser.parse_args()


def measure(given: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    before = [pretraining_set(given, name, scratch) for name in given.pretrain]
    lake, workspace, version = stocked(given, given.set, scratch / "workspace")
    passages = serving_passages(lake, workspace, version)
    learned = asked(lake, workspace, version, "train", given.depth, given.limit)
    tested = asked(lake, workspace, version, "test", given.depth, given.limit)
    return {
        "set": given.set,
        "first_stage": version.spec.fusion.model_dump() | {"path": given.first_stage},
        "test_questions": len(tested),
        "runs": [
            run_seed(given, seed, scratch / f"seed-{seed}", before, passages, learned, tested)
            for seed in given.seeds
        ],
    }


def stocked(given: argparse.Namespace, name: str, root: Path) -> tuple[Lake, Workspace, Version]:
    """A lake with the set, and the first stage over it."""
    workspace = Workspace(root)
    lake = open_lake(workspace, create=True)
    import_beir(lake, given.data / name)
    spec = PATHS[given.first_stage] + "[generator]\nkind = 'extractive'\n"
    version = Version(given.first_stage, parse_spec(spec, source=given.first_stage))
    build_version_index(lake, workspace, version)
    if given.first_stage == "hybrid":
        version = Version("tuned", tune_fusion(lake, workspace, version, "train").spec)
    return lake, workspace, version


def pretraining_set(given: argparse.Namespace, name: str, scratch: Path) -> TrainingSet:
    lake, workspace, version = stocked(given, name, scratch / f"workspace-{name}")
    passages = serving_passages(lake, workspace, version)
    texts = {one: passage_text(passage, title=True) for one, passage in passages.items()}
    learned = asked(lake, workspace, version, "train", given.depth, given.pretrain_limit)
    return training_set(learned, texts, PRETRAINING_NEGATIVES, seed=0)


def joined(sets: Mapping[str, TrainingSet]) -> TrainingSet:
    """All pairs, their ids headed by the name of their set."""
    pairs, texts = [], {}
    for name, one in sets.items():
        texts |= {f"{name}/{own}": text for own, text in one.texts.items()}
        for pair in one.pairs:
            ids = {"question_id": f"{name}/{pair.question_id}"}
            ids["passage_id"] = f"{name}/{pair.passage_id}"
            negatives = tuple(f"{name}/{own}" for own in pair.negatives)
            pairs.append(replace(pair, **ids, negatives=negatives))
    return TrainingSet(pairs, texts)


def asked(
    lake: Lake,
    workspace: Workspace,
    version: Version,
    split: str,
    depth: int,
    limit: int | None,
) -> list[Asked]:
    """The questions of ``split`` that have a relevant passage, found or not."""
    retriever = HybridRetriever(serving_index(lake, workspace, version), version.spec)
    judged = load_judgments(lake, split)
    found = []
    for question in load_questions(lake, split):
        grades = judged.get(question.question_id, {})
        if any(grade > 0 for grade in grades.values()):
            hits = retriever.retrieve(question.text).fused[:depth]
            found.append(Asked(question.question_id, question.text, hits, grades))
        if limit is not None and len(found) == limit:
            break
    return found


def run_seed(
    given: argparse.Namespace,
    seed: int,
    folder: Path,
    before: Sequence[TrainingSet],
    passages: Mapping[str, Passage],
    learned: Sequence[Asked],
    tested: Sequence[Asked],
) -> dict[str, Any]:
    shuffled = random.Random(seed).sample(learned, len(learned))
    held = round(INNER_DEV * len(shuffled))
    dev, train = shuffled[:held], shuffled[held:]
    texts = {name: passage_text(passage, title=True) for name, passage in passages.items()}
    options = options_of(given, seed)
    data = training_set(train, texts, given.negatives, seed)
    held_out = dev_lists(dev, texts)
    pretrained = None
    if before:
        first = replace(options, loop=replace(options.loop, epochs=1))
        sets = dict(zip(given.pretrain, before, strict=True))
        pretrained = train_cross_encoder(joined(sets), held_out, first, folder / "pretrained", say)
        options = replace(options, base=str(pretrained.model))
    tuned = train_cross_encoder(data, held_out, options, folder, say)
    spec = RerankerSpec(model=str(tuned.model), max_tokens=given.max_tokens, depth=given.depth)
    reranker = Reranker(passages, spec)
    evidence, _ = read(reranker, dev)
    enough = len(evidence) >= LABELS_NEEDED
    setting = choose_reranking(evidence, depths_up_to(given.depth)).setting if enough else None
    return {
        "options": asdict(options),
        "pretrained": pretrained and facts_of(pretrained),
        **facts_of(tuned),
        "dev_questions": len(dev),
        "peak_mib": round(tuned.trained.peak_bytes / 2**20),
        **score_test(reranker, tested, given.depth, setting),
    }


def facts_of(tuned: TunedCrossEncoder) -> dict[str, Any]:
    return {
        "examples": tuned.examples,
        "dev": {"first_stage": tuned.first_stage, "reranked": tuned.reranked},
        "best_step": tuned.trained.best_step,
        "scores": [(one.step, one.score) for one in tuned.trained.curve if one.score is not None],
        "train_s": round(tuned.trained.wall_s, 1),
    }


def say(_: float, message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def options_of(given: argparse.Namespace, seed: int) -> CrossEncoderOptions:
    loop = replace(
        CrossEncoderOptions().loop,
        epochs=given.epochs,
        learning_rate=given.learning_rate,
        seed=seed,
    )
    return CrossEncoderOptions(
        base=given.base,
        loss=given.loss,
        method=given.method,
        layers=given.layers,
        negatives=given.negatives,
        max_tokens=given.max_tokens,
        loop=loop,
    )


def training_set(
    train: Sequence[Asked], texts: Mapping[str, str], negatives: int, seed: int
) -> TrainingSet:
    """Negatives are drawn from all of the head, whose very top holds answers that nobody judged."""
    chance = random.Random(seed)
    pairs = []
    for one in train:
        wrong = [h.passage_id for h in one.hits if one.grades.get(h.passage_id, 0) <= 0]
        for gold in sorted(name for name, grade in one.grades.items() if grade > 0):
            drawn = tuple(chance.sample(wrong, min(negatives, len(wrong))))
            if gold in texts:
                pairs.append(Pair(one.question_id, one.text, gold, negatives=drawn))
    return TrainingSet(pairs, texts)


def dev_lists(dev: Sequence[Asked], texts: Mapping[str, str]) -> RerankDev:
    questions = [
        RerankQuestion(one.question_id, one.text, tuple(h.passage_id for h in one.hits), one.grades)
        for one in dev
    ]
    return RerankDev(questions, texts)


def read(
    reranker: Reranker, questions: Sequence[Asked]
) -> tuple[list[RerankEvidence], list[float]]:
    """What the cross-encoder says of each list, and the milliseconds that it took."""
    evidence, spent = [], []
    for one in questions:
        begun = time.perf_counter()
        logits = reranker.logits(one.text, one.hits)
        spent.append((time.perf_counter() - begun) * 1e3)
        evidence.append(
            RerankEvidence(
                np.array(logits),
                np.array([hit.score for hit in one.hits]),
                np.array([one.grades.get(hit.passage_id, 0) > 0 for hit in one.hits], bool),
            )
        )
    return evidence, spent


def score_test(
    reranker: Reranker, tested: Sequence[Asked], depth: int, setting: RerankSetting | None
) -> dict[str, Any]:
    """MRR@10 of each way on the test questions; ``setting`` is None where too few were held out."""
    evidence, spent = read(reranker, tested)
    first = [reciprocal_rank_at(one, RerankSetting(0, 1.0)) for one in evidence]
    ways = {"cross_encoder_alone": RerankSetting(depth, 1.0)}
    if setting is not None:
        ways["chosen"] = setting
    found: dict[str, Any] = {"p95_ms": round(quantile_estimate(spent, 0.95).value, 1)}
    for name, way in ways.items():
        paired = compare_paired(first, [reciprocal_rank_at(one, way) for one in evidence])
        found[name] = {
            **asdict(way),
            "MRR@10_first_stage": paired.a,
            "MRR@10": paired.b,
            "difference": paired.difference.to_json(),
            "p": paired.p,
        }
    return found


if __name__ == "__main__":
    main()
