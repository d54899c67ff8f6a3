"""The lexical baseline on real text. The dense and hybrid rows need minutes of embedding: they are
in benchmarks/baselines.py and docs/baselines.md."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragdiag.importers.beir import import_beir
from ragdiag.metrics.ranking import score_ranking
from ragdiag.records import IndexBuild
from ragdiag.retrieval.builds import load_index
from ragdiag.retrieval.hybrid import HybridRetriever
from ragdiag.settings import Workspace
from ragdiag.store.corpus import load_judgments, load_questions
from ragdiag.store.lake import open_lake
from ragdiag.version import Version, parse_spec
from ragdiag.workflows.indexing.build import build_version_index

VERSION = Version("bm25", parse_spec("[lexical]\n[generator]\nkind='extractive'", source="bm25"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("folder", "reciprocal_rank", "recall_10", "recall_100"),
    [("covidqa", 0.602, 0.824, 0.943), ("policyqa", 0.144, 0.301, 0.808)],
)
def test_bm25_gives_the_published_baseline(
    workspace: Workspace,
    shared_data: Path,
    folder: str,
    reciprocal_rank: float,
    recall_10: float,
    recall_100: float,
) -> None:
    lake = open_lake(workspace, create=True)
    assert import_beir(lake, shared_data / folder).rejects == ()
    build: IndexBuild = build_version_index(lake, workspace, VERSION)
    retriever = HybridRetriever(load_index(workspace, build.build_id, VERSION.spec), VERSION.spec)
    judged = load_judgments(lake, "test")
    scores = [
        score_ranking(retriever.retrieve(question.text).fused, judged[question.question_id])
        for question in load_questions(lake, "test")
    ]

    def mean(metric: str) -> float:
        return sum(score[metric] for score in scores) / len(scores)

    assert mean("MRR@10") == pytest.approx(reciprocal_rank, abs=0.01)
    assert mean("recall@10") == pytest.approx(recall_10, abs=0.01)
    assert mean("recall@100") == pytest.approx(recall_100, abs=0.01)
