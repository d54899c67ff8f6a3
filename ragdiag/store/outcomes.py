"""What became of a version's requests in one narrow row each: for looking at running traffic."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ragdiag.records import LATENCY_STAGES, Status, Traffic
from ragdiag.store.authority import OWN_NEWEST, OWN_SAYS
from ragdiag.store.lake import Lake
from ragdiag.store.times import to_aware_utc, to_naive_utc


@dataclass(frozen=True, slots=True)
class Outcome:
    """One request without its texts and lists of hits.

    ``owner`` is the user's pseudonym, else the request itself. ``y`` and ``score`` are the default
    grader's latest, ``rel`` the grades of the ranked hits (None: nothing is judged), ``thumbs`` the
    last one given (1 up, −1 down). What is unknown is None, for numbers NaN. ``total_ms`` and
    ``cost_usd`` of an answer from the cache are not known: no stage ran, and how often none does
    depends on how full the cache is, not on the version. ``processing_ms`` is the time of its
    stages, so without a wait in line. It is the total where the stages do not tell: they were not
    timed, or one of them was given up. Of a failure without stages it is not known.
    ``keep_probability`` is the chance with which it was logged.
    """

    request_id: str
    asked_at: datetime
    owner: str
    question: str
    question_id: str | None
    status: Status
    total_ms: float
    processing_ms: float
    cost_usd: float
    y: int | None
    score: float
    rel: tuple[int, ...] | None
    thumbs: int | None
    cache_hit: bool
    keep_probability: float


_STAGES = " + ".join(f"coalesce({stage}_ms, 0)" for stage in LATENCY_STAGES if stage != "total")
_CHOSEN = f"""
    select request_id, asked_at, coalesce(user_key, request_id) as owner,
           coalesce(question_id, md5(question)) as question, question_id, status,
           case when cache_hit is not true then total_ms end as total_ms,
           case when cache_hit is true then null
                when degraded_reason is null and packing_ms is not null
                     and generation_ms is not null then {_STAGES}
                when degraded_reason is not null or status != 'error' then total_ms
           end as processing_ms,
           case when cache_hit is not true then cost_usd end as cost_usd, rel,
           coalesce(cache_hit, false) as cache_hit,
           coalesce(keep_probability, 1) as keep_probability
    from requests
    where version_id = $version_id and traffic in (select unnest($traffic::varchar[]))
"""
_SAID = f"""
    select c.*, g.found.y as y, g.found.score as score, f.thumbs
    from chosen c
    left join (select request_id,
                      arg_max({{'y': y, 'score': score}},
                              {{'newest': {OWN_NEWEST}, 'at': graded_at, 'y': y, 'score': score,
                                'reason': reason}}) as found
               from grades
               where {OWN_SAYS} and request_id in (select request_id from chosen)
               group by request_id) g using (request_id)
    left join (select request_id,
                      arg_max(value, {{'at': given_at, 'id': feedback_id}}) as thumbs
               from feedback
               where kind = 'thumbs' and request_id in (select request_id from chosen)
               group by request_id) f using (request_id)
    order by c.asked_at, c.request_id
"""


def load_outcomes(
    lake: Lake,
    version_id: str,
    traffic: Sequence[Traffic],
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    request_ids: Sequence[str] | None = None,
    first: int | None = None,
    last: int | None = None,
) -> list[Outcome]:
    """Requests that meet every filter given, oldest first (``since`` ≤ asked_at < ``until``); of
    them the ``first`` or the ``last`` so many, where one is given."""
    parameters: dict[str, Any] = {
        "version_id": version_id,
        "traffic": list(traffic),
        "limit": last if first is None else first,
    }
    chosen = _CHOSEN
    for name, comparison, moment in (("since", ">=", since), ("until", "<", until)):
        if moment is not None:
            chosen += f" and asked_at {comparison} ${name}::timestamp"
            parameters[name] = to_naive_utc(moment)
    if request_ids is not None:
        chosen += " and request_id in (select unnest($request_ids::varchar[]))"
        parameters["request_ids"] = list(request_ids)
    order = "desc" if first is None else "asc"
    chosen += f" order by asked_at {order}, request_id {order} limit $limit"
    table = lake.table(f"with chosen as ({chosen}) {_SAID}", parameters)
    return [_read(row) for row in table.to_pylist()]


def _read(row: dict[str, Any]) -> Outcome:
    rel, thumbs = row["rel"], row["thumbs"]
    return Outcome(
        request_id=row["request_id"],
        asked_at=to_aware_utc(row["asked_at"]),
        owner=row["owner"],
        question=row["question"],
        question_id=row["question_id"],
        status=row["status"],
        total_ms=_number(row["total_ms"]),
        processing_ms=_number(row["processing_ms"]),
        cost_usd=_number(row["cost_usd"]),
        y=row["y"],
        score=_number(row["score"]),
        rel=None if rel is None else tuple(rel),
        thumbs=None if thumbs is None else (1 if thumbs > 0 else -1),
        cache_hit=row["cache_hit"],
        keep_probability=row["keep_probability"],
    )


def _number(value: float | None) -> float:
    return math.nan if value is None else value
