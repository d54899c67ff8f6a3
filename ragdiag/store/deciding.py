"""The grades that decide, read back: people before judges, judges before rules (authority.py)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ragdiag.records import HUMAN_GRADER, Grade
from ragdiag.store.authority import decisions, is_own
from ragdiag.store.lake import Lake


def load_deciding(lake: Lake, request_ids: Sequence[str]) -> dict[str, Grade]:
    """The grade that decides each of these requests, by request id; ``grader`` says whose word it
    is. Requests that nobody graded are left out."""
    rows = lake.rows(
        f"with {decisions('true', 'select unnest($ids::varchar[])')} "
        "select request_id, found from opinions",
        {"ids": list(request_ids)},
    )
    return {row["request_id"]: Grade(row["request_id"], **row["found"]) for row in rows}


def load_people(lake: Lake, request_ids: Sequence[str]) -> dict[str, int]:
    """What people say of each of these answers, by request id: 0 or 1. Ties are left out."""
    deciding = load_deciding(lake, request_ids)
    return {
        name: grade.y
        for name, grade in deciding.items()
        if grade.grader == HUMAN_GRADER and grade.y is not None
    }


def overrule(own: Grade, said: Grade | None) -> Grade:
    """``own``, the default grade, with the outcome of ``said`` where that is a person's or a
    judge's. That there is no gold answer stays known."""
    if said is None or is_own(said.grader):
        return own
    status = own.status if own.status == "no_gold" else "ok"
    return replace(own, grader=said.grader, y=said.y, status=status, reason=said.reason)
