"""One row of a table as a request, with the passages, opinions and gold answers that it carries."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, cast, get_args

from ragdiag.importers.gold import question_id_of
from ragdiag.importers.logs.cells import (
    BadField,
    parse_cell,
    read_cell,
    text_cell,
    word_cell,
)
from ragdiag.importers.logs.fields import PASSAGE_FIELDS, STAGE_FIELDS
from ragdiag.importers.logs.hits import LoggedHit, read_hits
from ragdiag.importers.logs.labels import read_label
from ragdiag.importers.logs.mapping import Mapping as LogMapping
from ragdiag.importers.logs.opinions import read_feedback
from ragdiag.importers.logs.reading import Reading
from ragdiag.importers.logs.row_gold import read_gold
from ragdiag.importers.logs.values import (
    read_json,
    read_list,
    read_milliseconds,
    read_number,
    read_text,
    read_time,
    read_truth,
    read_whole,
)
from ragdiag.importers.report import Origin
from ragdiag.metrics.answers import grade_answer
from ragdiag.records import (
    LATENCY_STAGES,
    GoldAnswer,
    Grade,
    Passage,
    Question,
    Request,
    Status,
    Traffic,
)
from ragdiag.spans.conventions import UNVERSIONED
from ragdiag.store.kinds import Record
from ragdiag.user_ids import plain_user

_STATUSES: Mapping[str, Status] = {
    **dict.fromkeys(("ok", "success", "succeeded", "completed", "200"), "ok"),
    **dict.fromkeys(("no_answer", "declined", "abstained"), "no_answer"),
    **dict.fromkeys(("error", "failed", "failure", "timeout"), "error"),
}
_TRAFFICS: Mapping[str, Traffic] = {
    **{name: name for name in get_args(Traffic)},
    **dict.fromkeys(("prod", "live", "default"), "production"),
    **dict.fromkeys(("eval", "test", "benchmark"), "evaluation"),
}
_TOKEN_KEYS = {
    "prompt_tokens": ("prompt_tokens", "input_tokens", "prompt", "input"),
    "completion_tokens": ("completion_tokens", "output_tokens", "completion", "output"),
}


class RowReader:
    """Reads rows by one mapping. ``traffic`` is that of rows that do not say theirs, ``at`` the
    time of rows without one; ``user_key`` turns a user id into its pseudonym, and ``unread`` counts
    what of a cell has no place."""

    def __init__(
        self,
        mapping: LogMapping,
        traffic: Traffic,
        at: datetime,
        user_key: Callable[[str], str],
        unread: Counter[str],
    ) -> None:
        self._mapping = mapping
        self._traffic = traffic
        self._at = at
        self._user_key = user_key
        self._unread = unread
        self.zoneless = 0

    def read(self, cells: Mapping[str, Any], latency: Mapping[str, Any], origin: Origin) -> Reading:
        """The row's records, or the fault that names the field it lies in."""
        try:
            return self._read(cells, latency, origin)
        except BadField as error:
            return Reading(origin, fault=str(error))

    def _read(
        self, cells: Mapping[str, Any], latency: Mapping[str, Any], origin: Origin
    ) -> Reading:
        question = text_cell(cells, "question")
        if not question.strip():
            return Reading(origin, fault="question is missing")
        lists = self._lists(cells)
        gold = read_gold(cells, self._items, lists)
        question_id = text_cell(cells, "question_id") or (
            question_id_of(question) if gold else None
        )
        at, timeless = self._time(cells)
        request = self._request(cells, latency, question, question_id, lists, at)
        request = _named(request, text_cell(cells, "id"), timeless)
        topic = request.topic
        records: list[Record] = [request, *_passages(lists), *gold.passages]
        records += read_cell("feedback", lambda c: read_feedback(c, request, self._mapping), cells)
        records += self._grades(cells, request, gold.answers)
        return Reading(
            origin,
            tuple(records),
            Question(question_id, question, topic) if gold and question_id else None,
            GoldAnswer(question_id, gold.answers) if gold.answers and question_id else None,
            gold.passage_ids,
            gold.by_text,
            timeless=timeless,
        )

    def _request(
        self,
        cells: Mapping[str, Any],
        latency: Mapping[str, Any],
        question: str,
        question_id: str | None,
        lists: Mapping[str, Sequence[LoggedHit]],
        at: datetime,
    ) -> Request:
        answer, error = text_cell(cells, "answer"), text_cell(cells, "error") or None
        usage = parse_cell(cells, "tokens", read_json, {})
        stages = {name: tuple(h.hit for h in lists[name]) for name in STAGE_FIELDS if name in lists}
        contexts = lists.get("contexts", ())
        if not stages:
            stages["fused"] = tuple(hit.hit for hit in contexts)
        return Request(
            request_id="",
            asked_at=at,
            version_id=text_cell(cells, "version") or UNVERSIONED,
            traffic=word_cell(cells, "traffic", _TRAFFICS, self._traffic),
            question=question,
            build_id=text_cell(cells, "build"),
            question_id=question_id,
            topic=text_cell(cells, "topic"),
            user_key=self._user(cells),
            answer=answer,
            citations=tuple(
                read_cell("citations", read_text, one)
                for one in parse_cell(cells, "citations", self._items("citations"), ())
            ),
            status=word_cell(cells, "status", _STATUSES, _status_of(answer, error)),
            error=error,
            degraded_reason=text_cell(cells, "degraded_reason") or None,
            cache_hit=parse_cell(cells, "cache_hit", read_truth, False),
            prompt_tokens=_tokens(cells, usage, "prompt_tokens"),
            completion_tokens=_tokens(cells, usage, "completion_tokens"),
            cost_usd=parse_cell(cells, "cost", read_number, None),
            latency_ms=self._latency(cells, latency),
            lexical=stages.get("lexical"),
            dense=stages.get("dense"),
            fused=stages.get("fused", ()),
            reranked=stages.get("reranked"),
            context=tuple(hit.context for hit in contexts),
            searched_depth=parse_cell(cells, "searched_depth", read_whole, 0),
            logged_depth=parse_cell(cells, "logged_depth", read_whole, None),
            keep_probability=parse_cell(cells, "keep_probability", read_number, 1.0),
        )

    def _lists(self, cells: Mapping[str, Any]) -> dict[str, list[LoggedHit]]:
        """Every list that the row has; the contexts last, since they may name earlier ids."""
        lists: dict[str, list[LoggedHit]] = {}
        for name in PASSAGE_FIELDS:
            if name in cells:
                known = frozenset(hit.passage_id for hits in lists.values() for hit in hits)
                items = parse_cell(cells, name, self._items(name), ())
                read = partial(read_hits, texts=name == "contexts", known=known)
                lists[name] = read_cell(name, read, items)
        return lists

    def _grades(
        self, cells: Mapping[str, Any], request: Request, golds: Sequence[str]
    ) -> list[Grade]:
        grades = []
        if golds:
            grades.append(grade_answer(request.request_id, request.answer, request.status, golds))
        if "label" in cells:
            why = text_cell(cells, "label_reason")[:2_000]
            label = read_cell("label", read_json, cells["label"])
            grades.append(read_label(request.request_id, label, self._mapping.label, why))
        return grades

    def _time(self, cells: Mapping[str, Any]) -> tuple[datetime, bool]:
        if "time" not in cells:
            return self._at, True
        at, zoneless = read_cell("time", lambda v: read_time(v, self._mapping.time), cells["time"])
        self.zoneless += zoneless
        return at, False

    def _user(self, cells: Mapping[str, Any]) -> str | None:
        """A pseudonym made here earlier stays; anything else is a user id, and is hashed."""
        key = plain_user(text_cell(cells, "user_key"))
        if len(key) == 32 and all(digit in "0123456789abcdef" for digit in key):
            return key
        user = key or plain_user(text_cell(cells, "user"))
        return self._user_key(user) if user else None

    def _latency(self, cells: Mapping[str, Any], latency: Mapping[str, Any]) -> dict[str, float]:
        given = parse_cell(cells, "latency", read_json, None)
        stages = dict(given) if isinstance(given, Mapping) else {}
        if given is not None and not isinstance(given, Mapping):
            stages["total"] = given
        factor = 1_000 if self._mapping.latency_unit == "s" else 1
        unknown = stages.keys() - set(LATENCY_STAGES)
        self._unread.update(f"latency.{stage}" for stage in unknown)
        return {
            stage: read_cell("latency", lambda value: read_milliseconds(value, factor), cell)
            for stage, cell in {**stages, **latency}.items()
            if cell is not None and stage not in unknown
        }

    def _items(self, field: str) -> Callable[[Any], Sequence[Any]]:
        return lambda value: read_list(value, self._mapping.lists.get(field))


def _status_of(answer: str, error: str | None) -> Status:
    if error is not None:
        return "error"
    return "ok" if answer.strip() else "no_answer"


def _tokens(cells: Mapping[str, Any], usage: Any, field: str) -> int | None:
    if field in cells:
        return cast(int, read_cell(field, read_whole, cells[field]))
    if isinstance(usage, Mapping):
        for key in _TOKEN_KEYS[field]:
            if usage.get(key) is not None:
                return cast(int, read_cell("tokens", read_whole, usage[key]))
    return None


def _passages(lists: Mapping[str, Sequence[LoggedHit]]) -> list[Passage]:
    found = {hit.passage: None for hits in lists.values() for hit in hits if hit.passage}
    return list(found)


def _named(request: Request, given: str, timeless: bool) -> Request:
    """With the id given, else one made from what was asked, answered and shown, when, and to whom
    where the row names a user."""
    if given.strip():
        return replace(request, request_id=given)
    shown = [hit.passage_id for hit in request.context]
    shown += [hit.passage_id for hit in request.ranking]
    said = [request.version_id, request.traffic, request.question, request.answer, *shown]
    when = [] if timeless else [request.asked_at.isoformat()]
    whose = [] if request.user_key is None else [request.user_key]
    made = hashlib.sha256(json.dumps([*said, *when, *whose]).encode()).hexdigest()[:24]
    return replace(request, request_id=f"row-{made}")
