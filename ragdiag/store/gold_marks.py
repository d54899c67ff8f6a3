"""What is known to be right of a question, as a short mark: a diagnosis keeps that of the gold it
rests on, and is out of date once the question has another."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence

from ragdiag.privacy.hiding import is_hidden
from ragdiag.store.lake import Lake


def gold_mark(gold: Iterable[str], answers: Iterable[str]) -> str:
    """Of the gold passages' ids and the accepted answers, in any order; empty where neither is
    known."""
    known = [sorted(gold), sorted(answers)]
    return hashlib.sha256(json.dumps(known).encode()).hexdigest()[:16] if any(known) else ""


def load_gold_marks(lake: Lake, request_ids: Sequence[str]) -> dict[str, str]:
    """The mark of each request's question as it is now, by request id; empty where nothing is known
    of it. Gold are the passages of the highest grade; answers that are not stored do not count."""
    rows = lake.rows(
        """with asked as (
               select request_id, question_id from requests
               where request_id in (select unnest($ids::varchar[])) and question_id is not null),
           best as (
               select question_id, list(distinct passage_id) as gold
               from (select question_id, passage_id from judgments
                     where grade > 0 and question_id in (select question_id from asked)
                     qualify grade = max(grade) over (partition by question_id))
               group by question_id)
           select request_id, gold, answers
           from asked left join best using (question_id)
           left join gold_answers using (question_id)""",
        {"ids": list(request_ids)},
    )
    marks = {
        row["request_id"]: gold_mark(
            row["gold"] or (), [text for text in row["answers"] or () if not is_hidden(text)]
        )
        for row in rows
    }
    return {name: marks.get(name, "") for name in request_ids}
