"""What the log holds to learn from: failures, feedback, and questions that nobody has judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ragdiag.records import Feedback, Request
from ragdiag.store.lake import Lake
from ragdiag.store.results import load_requests
from ragdiag.store.rows import feedback_from_row
from ragdiag.store.times import to_aware_utc, to_naive_utc


@dataclass(frozen=True, slots=True)
class Window:
    """Which requests are looked at: ``since`` ≤ asked_at < ``until``, of one version or of all; of
    them the ``most`` recent. Shadows and replays are not, since nobody read their answers."""

    since: datetime | None = None
    until: datetime | None = None
    version_id: str | None = None
    most: int = 50_000

    def where(self) -> tuple[str, dict[str, Any]]:
        """A condition on ``requests`` and its named parameters."""
        conditions = ["traffic in ('production', 'canary', 'evaluation')"]
        values: dict[str, Any] = {"most": self.most}
        for name, comparison, moment in (("since", ">=", self.since), ("until", "<", self.until)):
            if moment is not None:
                conditions.append(f"asked_at {comparison} ${name}::timestamp")
                values[name] = to_naive_utc(moment)
        if self.version_id is not None:
            conditions.append("version_id = $version_id")
            values["version_id"] = self.version_id
        return " and ".join(conditions), values


def load_diagnosed(lake: Lake, window: Window) -> list[Request]:
    """Requests of the window that have a verdict other than ``ok`` and ``lucky``, oldest first."""
    condition = """request_id in
        (select request_id from latest_verdicts where verdict not in ('ok', 'lucky'))"""
    return _load(lake, window, condition)


def count_lost(lake: Lake, split: str, causes: Sequence[str]) -> tuple[int, int]:
    """Requests whose gold retrieval lost, by the verdict or by one of ``causes``, where ``split``
    and no other has their gold; and the pairs of question and gold passage that they make."""
    rows = lake.rows(
        """select count(distinct request_id) as requests,
                count(distinct (question_id, passage_id)) as pairs
            from requests join latest_verdicts using (request_id)
                join judgments using (question_id)
            where traffic in ('production', 'canary', 'evaluation')
                and (verdict = 'retrieval' or (verdict not in ('ok', 'lucky')
                    and cause in (select unnest($causes::varchar[]))))
                and split = $split and grade > 0
                and question_id not in (select question_id from judgments where split <> $split)""",
        {"split": split, "causes": list(causes)},
    )
    return rows[0]["requests"], rows[0]["pairs"]


def load_commented(lake: Lake, window: Window) -> list[Request]:
    """Requests of the window that users said something of, oldest first."""
    return _load(lake, window, "request_id in (select request_id from feedback)")


def load_unjudged(lake: Lake, window: Window) -> list[Request]:
    """Requests of the window whose question has no judgment, oldest first."""
    condition = """traffic <> 'evaluation' and coalesce(question_id, '') not in
        (select question_id from judgments)"""
    return _load(lake, window, condition)


def load_first_asked(lake: Lake) -> list[tuple[str | None, str, datetime]]:
    """Id (None: it had none), words and first time of every question that users asked, however it
    was answered; an evaluation is no user."""
    rows = lake.rows(
        "select question_id, question, min(asked_at) as first from requests "
        "where traffic in ('production', 'canary') group by question_id, question"
    )
    return [(row["question_id"], row["question"], to_aware_utc(row["first"])) for row in rows]


def load_feedback(lake: Lake, request_ids: Sequence[str]) -> list[Feedback]:
    """All feedback on these requests, in the order in which it was given."""
    rows = lake.rows(
        "select feedback_id, request_id, given_at, kind, value, passage_id, certain from feedback "
        "where request_id in (select unnest(?::varchar[])) order by given_at, feedback_id",
        [list(request_ids)],
    )
    return [feedback_from_row(row) for row in rows]


def _load(lake: Lake, window: Window, condition: str) -> list[Request]:
    where, values = window.where()
    rows = lake.rows(
        f"select request_id from requests where {where} and {condition} "
        "order by asked_at desc, request_id limit $most",
        values,
    )
    return load_requests(lake, request_ids=[row["request_id"] for row in rows])
