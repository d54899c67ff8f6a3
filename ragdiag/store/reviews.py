"""What reviewers said, read back, and the answers that they can be asked about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ragdiag.privacy.hiding import is_hidden
from ragdiag.records import Grade
from ragdiag.store.authority import REVIEWER
from ragdiag.store.lake import Lake
from ragdiag.store.queries import Filters
from ragdiag.store.rows import grade_from_row

WITHDRAWN: Final = "withdrawn"
"""The state of a label that was taken back."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A request whose answer can be reviewed: its texts are stored and something was answered."""

    request_id: str
    topic: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, and whether anything was said: neither declined nor failed nor empty."""

    request_id: str
    topic: str
    answered: bool


def load_reviews(
    lake: Lake, request_ids: Sequence[str] | None = None
) -> dict[str, dict[str, Grade]]:
    """Reviewer → request → label that stands, each reviewer's in the order in which they were
    given; of these requests, or of all."""
    chosen = "" if request_ids is None else " and request_id in (select unnest($ids::varchar[]))"
    rows = lake.rows(
        "select * from latest_grades where starts_with(grader, $reviewer)"
        f" and status <> $withdrawn{chosen} order by grader, graded_at, request_id",
        {
            "reviewer": REVIEWER,
            "withdrawn": WITHDRAWN,
            **({} if request_ids is None else {"ids": list(request_ids)}),
        },
    )
    found: dict[str, dict[str, Grade]] = {}
    for row in rows:
        name = row["grader"].removeprefix(REVIEWER)
        found.setdefault(name, {})[row["request_id"]] = grade_from_row(row)
    return found


def load_answered(lake: Lake, filters: Filters) -> list[Answered]:
    """The requests whose answers can be reviewed, by id."""
    condition, parameters = filters.where()
    rows = lake.rows(
        "select r.request_id, r.topic, r.question, r.answer from requests r"
        f" where r.status = 'ok' and r.answer <> '' and {condition} order by r.request_id",
        parameters,
    )
    return [
        Answered(row["request_id"], row["topic"] or "")
        for row in rows
        if not (is_hidden(row["question"]) or is_hidden(row["answer"]))
    ]


def load_asked(lake: Lake, filters: Filters) -> list[Asked]:
    """All requests, by id: those whose answers can be reviewed, and all others."""
    condition, parameters = filters.where()
    rows = lake.rows(
        "select r.request_id, r.topic, r.status = 'ok' and r.answer <> '' as answered"
        f" from requests r where {condition} order by r.request_id",
        parameters,
    )
    return [Asked(row["request_id"], row["topic"] or "", row["answered"]) for row in rows]
