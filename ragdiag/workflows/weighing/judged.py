"""The judged questions that a setting is chosen by."""

from __future__ import annotations

from collections.abc import Sequence

from ragdiag.errors import InputError
from ragdiag.question_clusters import load_clusters
from ragdiag.records import Question
from ragdiag.retrieval.fusion_tuning import LABELS_NEEDED
from ragdiag.store.corpus import load_judgments, load_questions
from ragdiag.store.lake import Lake


def judged_questions(
    lake: Lake, split: str, *, to: str, remedy: str
) -> tuple[list[Question], dict[str, set[str]]]:
    """Those of ``split`` with a relevant passage, and question → its relevant passages. Raises
    InputError, with ``to`` and ``remedy``, below LABELS_NEEDED."""
    gold = {
        name: {passage for passage, grade in judged.items() if grade > 0}
        for name, judged in load_judgments(lake, split).items()
    }
    questions = [one for one in load_questions(lake, split) if gold.get(one.question_id)]
    if len(questions) < LABELS_NEEDED:
        raise InputError(
            f"split {split!r} has {len(questions)} questions with a relevant passage, and "
            f"{LABELS_NEEDED} are needed to {to}",
            remedy=remedy,
        )
    return questions, gold


def owners_of(lake: Lake, split: str, questions: Sequence[Question]) -> list[str]:
    """By question, what it shares with others: the document that answers it (load_clusters)."""
    texts = {one.question_id: one.text for one in questions}
    clusters = load_clusters(lake, texts, load_judgments(lake, split))
    return [clusters[one.question_id] for one in questions]
