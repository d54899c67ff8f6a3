"""The facts of one request's story, put together from what the lake holds about it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ragdiag.metrics.ranking import best_judged
from ragdiag.records import DEFAULT_GRADER, RANKED_STAGES, ContextHit, Grade, Hit, Request
from ragdiag.store.authority import is_own
from ragdiag.store.deciding import load_deciding
from ragdiag.store.findings import find_grade, is_of_gold, is_of_outcome
from ragdiag.store.gold_marks import load_gold_marks
from ragdiag.store.lake import Lake
from ragdiag.store.queries import Row, gold_of, passages_at, said_about
from ragdiag.store.results import load_requests


@dataclass(frozen=True)
class Story:
    """``gold`` is {passage_id: grade} of the passages of the highest grade, ``stages`` the ranked
    lists that were logged, in order, ``passages`` the texts as they were when the question was
    asked, ``opinions`` the grades of other graders than the default one. ``decided_by`` is the
    grader whose word ``y`` is, ``outdated`` what the verdict does not fit any more: the ``outcome``
    where it explains another ``y``, the ``gold`` where it rests on other gold."""

    request: Request
    gold: Mapping[str, int]
    gold_answers: Sequence[str]
    stages: Mapping[str, Sequence[Hit | ContextHit]]
    passages: Mapping[str, Row]
    y: int | None
    score: float | None
    verdict: Row | None
    evidence: Mapping[str, Any]
    replays: Sequence[Row]
    feedback: Sequence[Row]
    opinions: Sequence[Row] = ()
    decided_by: str = DEFAULT_GRADER
    reason: str = ""
    outdated: Literal["outcome", "gold"] | None = None

    def rank(self, stage: str) -> int | None:
        """The rank (from 1) of the best gold passage at a stage."""
        ranks = [n for n, hit in enumerate(self.stages[stage], 1) if hit.passage_id in self.gold]
        return ranks[0] if ranks else None

    @property
    def failed_arms(self) -> Sequence[str]:
        """The arms on which the generator failed when it was asked again."""
        return self.evidence.get("failed_arms") or ()

    @property
    def varied_arms(self) -> Sequence[str]:
        """The arms to which it gave different answers when it was asked again."""
        return self.evidence.get("varied_arms") or ()

    def draws(self, arm: str) -> list[Row]:
        return [draw for draw in self.replays if draw["arm"] == arm]


def tell(lake: Lake, request_id: str) -> Story | None:
    """Everything about one request; None where there is no such id."""
    found = load_requests(lake, request_ids=[request_id])
    return compose(lake, found[0]) if found else None


def compose(lake: Lake, request: Request) -> Story:
    """Everything about a request, which need not be in the log."""
    known = gold_of(lake, request.question_id) if request.question_id else {}
    grades = known.get("grades", {})
    gold = {passage: grades[passage] for passage in best_judged(grades)}
    stages = {
        stage: hits for stage in RANKED_STAGES if (hits := getattr(request, stage)) is not None
    }
    said = said_about(lake, request.request_id)
    grade = find_grade(lake, request.request_id)
    deciding = load_deciding(lake, [request.request_id]).get(request.request_id)
    y = deciding.y if deciding else None
    verdict = said["verdicts"][0] if said["verdicts"] else None
    evidence = _evidence(verdict)
    wanted = {hit.passage_id for hits in stages.values() for hit in hits} | set(gold)
    wanted |= {passage for draw in said["replays"] for passage in draw["passage_ids"] or ()}
    return Story(
        request=request,
        gold=gold,
        gold_answers=known.get("answers", ()),
        stages=stages,
        passages=passages_at(lake, sorted(wanted), request.asked_at),
        y=y,
        score=grade.score if grade else None,
        verdict=verdict,
        evidence=evidence,
        replays=said["replays"],
        feedback=said["feedback"],
        opinions=[row for row in said["grades"] if not is_own(row["grader"])],
        decided_by=deciding.grader if deciding else DEFAULT_GRADER,
        reason=deciding.reason if deciding else "",
        outdated=_outdated(lake, request, verdict, evidence, deciding),
    )


def _outdated(
    lake: Lake,
    request: Request,
    verdict: Row | None,
    evidence: Mapping[str, Any],
    deciding: Grade | None,
) -> Literal["outcome", "gold"] | None:
    if verdict is None:
        return None
    if deciding is not None and not is_of_outcome(verdict["verdict"], evidence, deciding.y):
        return "outcome"
    mark = load_gold_marks(lake, [request.request_id])[request.request_id]
    return None if is_of_gold(evidence, mark) else "gold"


def _evidence(verdict: Row | None) -> Mapping[str, Any]:
    try:
        told = json.loads(verdict["evidence"]) if verdict else {}
    except (TypeError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}
