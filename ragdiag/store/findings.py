"""What is known of requests, read back: the default grade, the latest verdict, the replays."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ragdiag.records import DEFAULT_GRADER, Diagnosis, Grade, Replay
from ragdiag.store.authority import OWN_GRADERS, OWN_NEWEST
from ragdiag.store.deciding import load_deciding
from ragdiag.store.gold_marks import load_gold_marks
from ragdiag.store.lake import Lake
from ragdiag.store.rows import grade_from_row
from ragdiag.store.weighing import weight_of

_DRAW = (
    "request_id, arm, draw, answer, y, score, passage_ids,"
    " coalesce(status, 'ok') as status, coalesce(draw_key, '') as draw_key"
)


def find_grade(lake: Lake, request_id: str) -> Grade | None:
    """The latest grade of the default grader; None where it has given none."""
    return load_grades(lake, DEFAULT_GRADER, [request_id]).get(request_id)


def load_weights(lake: Lake, request_ids: Sequence[str]) -> dict[str, float]:
    """How many requests each of these stands for; 1 where it has left the log."""
    rows = lake.rows(
        f"select r.request_id, {weight_of('r')} as weight from requests r"
        " where r.request_id in (select unnest(?::varchar[]))",
        [list(request_ids)],
    )
    return dict.fromkeys(request_ids, 1.0) | {row["request_id"]: row["weight"] for row in rows}


def load_grades(lake: Lake, grader: str, request_ids: Sequence[str]) -> dict[str, Grade]:
    """The latest grade that ``grader`` gave each of these requests, by request id; of the default
    grader its first version's, where the present one gave none."""
    names = OWN_GRADERS if grader == DEFAULT_GRADER else (grader,)
    rows = lake.rows(
        "select * from latest_grades where grader in (select unnest($names::varchar[]))"
        f" and request_id in (select unnest($ids::varchar[])) order by {OWN_NEWEST}",
        {"names": list(names), "ids": list(request_ids)},
    )
    return {row["request_id"]: grade_from_row(row) for row in rows}


def load_diagnoses(lake: Lake, request_ids: Sequence[str]) -> dict[str, Diagnosis]:
    """The latest diagnosis of each request that has one, by request id. One that is out of date is
    left out: found while the answer counted as right and that now counts as wrong, say, or from
    other gold than its question has now."""
    rows = lake.rows(
        "select request_id, cause, verdict, verified_fix, tier, evidence, second_level"
        " from latest_verdicts where request_id in (select unnest(?::varchar[]))",
        [list(request_ids)],
    )
    found = [Diagnosis(**{**row, "evidence": json.loads(row["evidence"])}) for row in rows]
    names = [one.request_id for one in found]
    deciding, marks = load_deciding(lake, names), load_gold_marks(lake, names)
    return {
        one.request_id: one
        for one in found
        if is_of_gold(one.evidence, marks[one.request_id])
        and (
            one.request_id not in deciding
            or is_of_outcome(one.verdict, one.evidence, deciding[one.request_id].y)
        )
    }


def is_of_outcome(verdict: str, evidence: Mapping[str, Any], y: int | None) -> bool:
    """Whether a diagnosis explains an answer that counts as ``y``.

    >>> is_of_outcome("generator", {"y": 0}, 0), is_of_outcome("ok", {"y": 1}, 0)
    (True, False)
    """
    if "y" in evidence:
        return bool(evidence["y"] == y)
    return (verdict in ("ok", "lucky")) == (y == 1)


def is_of_gold(evidence: Mapping[str, Any], mark: str) -> bool:
    """Whether a diagnosis rests on the gold that has this ``mark``."""
    return bool(evidence.get("gold_mark", "") == mark)


def load_replays(lake: Lake, request_ids: Sequence[str]) -> dict[str, list[Replay]]:
    """The draws of each request's latest replay, by request id; requests without any are left
    out."""
    rows = lake.rows(
        f"select {_DRAW} from replays where request_id in (select unnest(?::varchar[]))"
        " qualify rank() over (partition by request_id order by replayed_at desc) = 1"
        " order by request_id, draw, arm",
        [list(request_ids)],
    )
    found: dict[str, list[Replay]] = {}
    for row in rows:
        found.setdefault(row["request_id"], []).append(_draw(row))
    return found


def load_draws(lake: Lake, questions: Collection[str]) -> dict[str, Replay]:
    """Every answer that was ever drawn to one of these questions, whatever the request and the
    version, by its ``draw_key``; failures are left out."""
    rows = lake.rows(
        f"select {_DRAW} from replays"
        " where draw_key <> '' and status <> 'error' and request_id in ("
        "select request_id from requests where question in (select unnest(?::varchar[])))"
        " qualify row_number() over (partition by draw_key order by replayed_at desc) = 1",
        [sorted(set(questions))],
    )
    return {row["draw_key"]: _draw(row) for row in rows}


def _draw(row: Mapping[str, Any]) -> Replay:
    return Replay(**{**row, "passage_ids": tuple(row["passage_ids"])})
