"""Questions whose accepted answers contradict each other, and the failures that hang on them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from ragdiag.metrics.contradictions import find_contradiction
from ragdiag.records import Weighed
from ragdiag.store.corpus import load_gold_answers
from ragdiag.store.lake import Lake
from ragdiag.store.queries import Filters, Row
from ragdiag.store.trends import failing_questions

SHOWN = 5
"""Questions in a text."""


def contradicting_gold(
    golds: Mapping[str, Sequence[str]], question_ids: Collection[str]
) -> dict[str, tuple[str, str]]:
    """Question → two of its accepted answers that cannot both be right; others are left out.

    >>> contradicting_gold({"q1": ["yes", "no"], "q2": ["yes"]}, ["q1", "q2", "q3"])
    {'q1': ('yes', 'no')}
    """
    return {
        name: two
        for name in sorted(question_ids)
        if (two := find_contradiction(golds.get(name, ()))) is not None
    }


def contradicting_failures(lake: Lake, filters: Filters) -> list[Row]:
    """``question_id``, the two ``answers`` and how many answers to it ``failed`` (a Weighed), of
    questions with a graded answer."""
    failed: dict[str, Weighed] = {
        row["question_id"]: row["failed"] for row in failing_questions(lake, filters)
    }
    found = contradicting_gold(load_gold_answers(lake), failed)
    return [
        {"question_id": name, "answers": two, "failed": failed[name]} for name, two in found.items()
    ]


def contradiction_lines(contradicting: Mapping[str, tuple[str, str]]) -> list[str]:
    """How many there are and the first few, for a terminal; no line where there are none."""
    if not contradicting:
        return []
    n = len(contradicting)
    return [
        f"accepted answers contradict each other in {n} question{'s' if n > 1 else ''}:",
        *(f"  {name!r}: {one!a} and {other!a}" for name, (one, other) in _first(contradicting)),
        *([f"  and {n - SHOWN} more (--json lists them)"] if n > SHOWN else []),
    ]


def _first(contradicting: Mapping[str, tuple[str, str]]) -> list[tuple[str, tuple[str, str]]]:
    return list(contradicting.items())[:SHOWN]
