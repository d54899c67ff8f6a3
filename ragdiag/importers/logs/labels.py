"""A published label as Y: right, wrong, or undecided.

Truth values and the words below decide by themselves, and so do the numbers 0 and 1; any other
number needs the mapping's threshold, from which on it is right. What none of this decides is kept
as a grade without Y, with the reason.
"""

from __future__ import annotations

from typing import Any

from ragdiag.importers.logs.mapping import LabelTable
from ragdiag.importers.logs.values import BadValue, read_number
from ragdiag.records import Grade, GradeStatus

RIGHT = frozenset({"correct", "right", "true", "yes", "pass", "passed", "good", "accurate"})
WRONG = frozenset(
    {"incorrect", "wrong", "false", "no", "fail", "failed", "bad", "inaccurate", "hallucinated"}
)


def read_label(request_id: str, value: Any, table: LabelTable, reason: str = "") -> Grade:
    """The label as a grade of the mapping's grader.

    >>> read_label("r", "Correct", LabelTable()).y, read_label("r", 0.4, LabelTable()).reason
    (1, 'the label 0.4 needs a threshold in the mapping')
    """
    y, score, why = _decide(value, table)
    status: GradeStatus = "error" if y is None else "ok"
    return Grade(request_id, table.grader, y, score, status, reason if y is not None else why)


def _decide(value: Any, table: LabelTable) -> tuple[int | None, float | None, str]:
    if isinstance(value, bool):
        return int(value), float(value), ""
    if isinstance(value, list) and value:
        numbers = [None if isinstance(one, list) else _decide(one, table)[1] for one in value]
        known = [number for number in numbers if number is not None]
        if len(known) != len(numbers):
            return None, None, "a list of labels that are not all numbers or truth values"
        return _by_number(sum(known) / len(known), table)
    said = str(value).strip().lower()
    if said in {word.lower() for word in table.correct}:
        return 1, 1.0, ""
    if said in {word.lower() for word in table.incorrect}:
        return 0, 0.0, ""
    if said in RIGHT or said in WRONG:
        return int(said in RIGHT), float(said in RIGHT), ""
    try:
        return _by_number(read_number(value), table)
    except BadValue:
        return None, None, f"the label {ascii(value)[:60]} says neither right nor wrong"


def _by_number(number: float, table: LabelTable) -> tuple[int | None, float, str]:
    if table.threshold is not None:
        return int(number >= table.threshold), number, ""
    if number in (0.0, 1.0):
        return int(number), number, ""
    return None, number, f"the label {number:g} needs a threshold in the mapping"
