"""What a version's reranker says of what the version retrieves for judged questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ragdiag.errors import SpecError
from ragdiag.pipeline import serving_parts
from ragdiag.progress import Progress, report
from ragdiag.records import Question
from ragdiag.retrieval.hybrid import HybridRetriever
from ragdiag.retrieval.rerank import open_reranker
from ragdiag.retrieval.rerank_tuning import RerankEvidence
from ragdiag.settings import Workspace
from ragdiag.store.corpus import load_judgments, load_questions
from ragdiag.store.lake import Lake
from ragdiag.version import RerankerSpec, Version


def require_reranker(version: Version) -> RerankerSpec:
    """Raises SpecError for a version without one."""
    if version.spec.reranker is None:
        raise SpecError(
            f"version {version.name} has no [reranker]", remedy="name a version with one"
        )
    return version.spec.reranker


def gather_evidence(
    lake: Lake,
    workspace: Workspace,
    version: Version,
    split: str,
    progress: Progress | None = None,
) -> list[RerankEvidence]:
    """Of every question of ``split`` that has a judgment, in their order, to the reranker's depth.

    An unjudged passage counts as irrelevant. Raises SpecError, UnknownName, ModelError.
    """
    questions, judgments = questions_with_judgments(lake, split)
    return score_questions(lake, workspace, version, questions, judgments, progress)


def questions_with_judgments(
    lake: Lake, split: str, *, answerable: bool = False
) -> tuple[list[Question], dict[str, dict[str, int]]]:
    """The questions of ``split`` that have a judgment, and their judgments; with ``answerable``
    only where something relevant is known, whether it is retrieved or not."""
    judgments = {
        question_id: dict(grades)
        for question_id, grades in load_judgments(lake, split).items()
        if not answerable or any(grade > 0 for grade in grades.values())
    }
    questions = [one for one in load_questions(lake, split) if judgments.get(one.question_id)]
    return questions, judgments


def score_questions(
    lake: Lake,
    workspace: Workspace,
    version: Version,
    questions: Sequence[Question],
    judgments: Mapping[str, Mapping[str, int]],
    progress: Progress | None = None,
) -> list[RerankEvidence]:
    """As :func:`gather_evidence`, of questions and judgments that need not be in the lake."""
    spec = require_reranker(version)
    index, passages = serving_parts(lake, workspace, version)
    retriever = HybridRetriever(index.unrestricted(), version.spec)
    reranker = open_reranker(passages, spec, workspace)
    evidence = []
    for number, question in enumerate(questions, start=1):
        fused = retriever.retrieve(question.text).fused
        grades = judgments[question.question_id]
        evidence.append(
            RerankEvidence(
                logits=np.array(reranker.logits(question.text, fused), dtype=np.float64),
                fused=np.array([hit.score for hit in fused]),
                relevant=np.array([grades.get(hit.passage_id, 0) > 0 for hit in fused], bool),
            )
        )
        report(progress, number / len(questions), f"scored {number} of {len(questions)}")
    return evidence
