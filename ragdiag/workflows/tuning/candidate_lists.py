"""What a version's first stage lists for questions, as rerankers learn from it."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

from ragdiag.pipeline import Retriever
from ragdiag.progress import Progress, report
from ragdiag.records import Question
from ragdiag.retrieval.rerank import shares
from ragdiag.training.reranker.dev import RerankQuestion
from ragdiag.training.reranker.late_lists import FusedList


def fused_lists(
    retriever: Retriever,
    questions: Sequence[Question],
    judgments: Mapping[str, Mapping[str, int]],
    known: Container[str],
    depth: int,
    progress: Progress | None = None,
) -> list[FusedList]:
    """Of each question the first ``depth`` fused hits whose passages are ``known``."""
    found = []
    for number, question in enumerate(questions, start=1):
        hits = retriever.retrieve(question.text).fused[:depth]
        hits = tuple(hit for hit in hits if hit.passage_id in known)
        asked = RerankQuestion(
            question.question_id,
            question.text,
            tuple(hit.passage_id for hit in hits),
            judgments[question.question_id],
        )
        found.append(FusedList(asked, tuple(shares([hit.score for hit in hits]))))
        report(progress, number / len(questions), f"listed {number} of {len(questions)} questions")
    return found
