"""What is known of requests, read back: the default grade, the latest verdict, the replays."""

from __future__ import annotations

import json
from collections.abc import Sequence

from ragdiag.records import DEFAULT_GRADER, Diagnosis, Grade, Replay
from ragdiag.store.lake import Lake
from ragdiag.store.rows import grade_from_row


def find_grade(lake: Lake, request_id: str) -> Grade | None:
    """The latest grade of the default grader; None where it has given none."""
    rows = lake.rows(
        "select * from latest_grades where request_id = ? and grader = ?",
        [request_id, DEFAULT_GRADER],
    )
    return grade_from_row(rows[0]) if rows else None


def load_grades(lake: Lake, grader: str, request_ids: Sequence[str]) -> dict[str, Grade]:
    """The latest grade that ``grader`` gave each of these requests, by request id."""
    rows = lake.rows(
        "select * from latest_grades where grader = $grader"
        " and request_id in (select unnest($ids::varchar[]))",
        {"grader": grader, "ids": list(request_ids)},
    )
    return {row["request_id"]: grade_from_row(row) for row in rows}


def load_diagnoses(lake: Lake, request_ids: Sequence[str]) -> dict[str, Diagnosis]:
    """The latest diagnosis of each request that has one, by request id."""
    rows = lake.rows(
        "select request_id, cause, verdict, verified_fix, tier, evidence from latest_verdicts"
        " where request_id in (select unnest(?::varchar[]))",
        [list(request_ids)],
    )
    return {
        row["request_id"]: Diagnosis(**{**row, "evidence": json.loads(row["evidence"])})
        for row in rows
    }


def load_replays(lake: Lake, request_ids: Sequence[str]) -> dict[str, list[Replay]]:
    """The draws of each request's latest replay, by request id; requests without any are left
    out."""
    rows = lake.rows(
        "select request_id, arm, draw, answer, y, score, passage_ids from replays"
        " where request_id in (select unnest(?::varchar[]))"
        " qualify rank() over (partition by request_id order by replayed_at desc) = 1"
        " order by request_id, draw, arm",
        [list(request_ids)],
    )
    found: dict[str, list[Replay]] = {}
    for row in rows:
        draw = Replay(**{**row, "passage_ids": tuple(row["passage_ids"])})
        found.setdefault(draw.request_id, []).append(draw)
    return found
