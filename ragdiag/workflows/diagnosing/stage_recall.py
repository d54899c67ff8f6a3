"""Gold recall by stage of what the workspace has logged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ragdiag.diagnosis.stage_recall import Gold, StageRecall, recall_by_stage
from ragdiag.metrics.ranking import best_judged
from ragdiag.privacy.hiding import is_hidden
from ragdiag.records import Request
from ragdiag.store.corpus import load_gold_answers, load_judgments, load_passages_by_id
from ragdiag.store.lake import Lake
from ragdiag.store.queries import Filters, recent_with_judgments
from ragdiag.store.results import load_requests


def load_stage_recall(
    lake: Lake, requests: Sequence[Request], judgments: Mapping[str, Mapping[str, int]]
) -> list[StageRecall]:
    """Gold are the best judged passages of a question; of texts that are not known, or not stored,
    the passage's place in the prompt is all that tells."""
    asked = {request.question_id for request in requests if request.question_id}
    gold = {name: best_judged(judgments[name]) for name in asked if name in judgments}
    passages = load_passages_by_id(lake, {one for names in gold.values() for one in names})
    texts = {
        name: passage.text for name, passage in passages.items() if not is_hidden(passage.text)
    }
    answers = load_gold_answers(lake)
    return recall_by_stage(
        requests,
        {
            question: Gold({name: texts.get(name, "") for name in names}, answers.get(question, ()))
            for question, names in gold.items()
        },
    )


def recent_stage_recall(lake: Lake, filters: Filters, most: int) -> list[StageRecall]:
    """Of the ``most`` recent requests that did not fail and whose question has judgments."""
    recent = load_requests(lake, request_ids=recent_with_judgments(lake, filters, most))
    return load_stage_recall(lake, recent, load_judgments(lake))
