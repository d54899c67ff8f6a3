"""Grading what running versions answer, where a gold answer is known and nobody has graded yet."""

from __future__ import annotations

from datetime import datetime

from ragdiag.metrics.answers import grade_answer
from ragdiag.privacy.hiding import is_hidden
from ragdiag.store.corpus import load_gold_answers
from ragdiag.store.lake import Lake
from ragdiag.store.results import save_findings
from ragdiag.store.ungraded import load_ungraded


def grade_new_answers(lake: Lake, version_id: str, since: datetime) -> int:
    """Give every request of ``version_id`` since then its default grade (METHODS.md §2), unless it
    has one that rests on a gold answer, its question has none, or either is not stored. Returns how
    many.

    Which question a request asks that names none, see store/ungraded.py.
    """
    rows = load_ungraded(lake, version_id, since)
    golds = load_gold_answers(lake) if rows else {}
    grades = [
        grade_answer(row["request_id"], row["answer"], row["status"], golds[row["question_id"]])
        for row in rows
        if not is_hidden(row["answer"]) and row["question_id"] in golds
    ]
    save_findings(lake, grades=grades)
    return len(grades)
