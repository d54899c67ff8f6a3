"""One row of a table as a request, with the passages, opinions and gold answers that it carries."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, cast, get_args

from ragdiag.importers.gold import question_id_of
from ragdiag.importers.logs.fields import PASSAGE_FIELDS, STAGE_FIELDS
from ragdiag.importers.logs.hits import LoggedHit, read_hits
from ragdiag.importers.logs.labels import read_label
from ragdiag.importers.logs.mapping import Mapping as LogMapping
from ragdiag.importers.logs.opinions import read_feedback
from ragdiag.importers.logs.reading import Reading
from ragdiag.importers.logs.values import (
    BadValue,
    read_json,
    read_list,
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

MAX_ID_CHARS = 500

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
    time of rows without one; ``user_key`` turns a user id into its pseudonym."""

    def __init__(
        self, mapping: LogMapping, traffic: Traffic, at: datetime, user_key: Callable[[str], str]
    ) -> None:
        self._mapping = mapping
        self._traffic = traffic
        self._at = at
        self._user_key = user_key
        self.zoneless = 0

    def read(self, cells: Mapping[str, Any], latency: Mapping[str, Any], origin: Origin) -> Reading:
        """The row's records, or the fault that names the field it lies in."""
        try:
            return self._read(cells, latency, origin)
        except _BadField as error:
            return Reading(origin, fault=str(error))

    def _read(
        self, cells: Mapping[str, Any], latency: Mapping[str, Any], origin: Origin
    ) -> Reading:
        question = _text(cells, "question")
        if not question.strip():
            return Reading(origin, fault="question is missing")
        lists = self._lists(cells)
        golds = tuple(
            text
            for one in _parse(cells, "gold_answer", self._items("gold_answer"), ())
            if (text := _of("gold_answer", read_text, one)).strip()
        )
        question_id = _text(cells, "question_id") or (question_id_of(question) if golds else None)
        at, timeless = self._time(cells)
        request = self._request(cells, latency, question, question_id, lists, at)
        request = _named(request, _text(cells, "id"), timeless)
        topic = request.topic
        records: list[Record] = [request, *_passages(lists)]
        records += _of("feedback", lambda c: read_feedback(c, request, self._mapping), cells)
        records += self._grades(cells, request, golds)
        return Reading(
            origin,
            tuple(records),
            Question(question_id, question, topic) if golds and question_id else None,
            GoldAnswer(question_id, golds) if golds and question_id else None,
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
        answer, error = _text(cells, "answer"), _text(cells, "error") or None
        usage = _parse(cells, "tokens", read_json, {})
        stages = {name: tuple(h.hit for h in lists[name]) for name in STAGE_FIELDS if name in lists}
        contexts = lists.get("contexts", ())
        if not stages:
            stages["fused"] = tuple(hit.hit for hit in contexts)
        return Request(
            request_id="",
            asked_at=at,
            version_id=_text(cells, "version") or UNVERSIONED,
            traffic=_word(cells, "traffic", _TRAFFICS, self._traffic),
            question=question,
            build_id=_text(cells, "build"),
            question_id=question_id,
            topic=_text(cells, "topic"),
            user_key=self._user(cells),
            answer=answer,
            citations=tuple(
                _of("citations", read_text, one)
                for one in _parse(cells, "citations", self._items("citations"), ())
            ),
            status=_word(cells, "status", _STATUSES, _status_of(answer, error)),
            error=error,
            degraded_reason=_text(cells, "degraded_reason") or None,
            cache_hit=_parse(cells, "cache_hit", read_truth, False),
            prompt_tokens=_tokens(cells, usage, "prompt_tokens"),
            completion_tokens=_tokens(cells, usage, "completion_tokens"),
            cost_usd=_parse(cells, "cost", read_number, None),
            latency_ms=self._latency(cells, latency),
            lexical=stages.get("lexical"),
            dense=stages.get("dense"),
            fused=stages.get("fused", ()),
            reranked=stages.get("reranked"),
            context=tuple(hit.context for hit in contexts),
            searched_depth=_parse(cells, "searched_depth", read_whole, 0),
            logged_depth=_parse(cells, "logged_depth", read_whole, None),
        )

    def _lists(self, cells: Mapping[str, Any]) -> dict[str, list[LoggedHit]]:
        """Every list that the row has; the contexts last, since they may name earlier ids."""
        lists: dict[str, list[LoggedHit]] = {}
        for name in PASSAGE_FIELDS:
            if name in cells:
                known = frozenset(hit.passage_id for hits in lists.values() for hit in hits)
                items = _parse(cells, name, self._items(name), ())
                read = partial(read_hits, texts=name == "contexts", known=known)
                lists[name] = _of(name, read, items)
        return lists

    def _grades(
        self, cells: Mapping[str, Any], request: Request, golds: Sequence[str]
    ) -> list[Grade]:
        grades = []
        if golds:
            grades.append(grade_answer(request.request_id, request.answer, request.status, golds))
        if "label" in cells:
            why = _text(cells, "label_reason")[:2_000]
            label = _of("label", read_json, cells["label"])
            grades.append(read_label(request.request_id, label, self._mapping.label, why))
        return grades

    def _time(self, cells: Mapping[str, Any]) -> tuple[datetime, bool]:
        if "time" not in cells:
            return self._at, True
        at, zoneless = _of("time", lambda v: read_time(v, self._mapping.time), cells["time"])
        self.zoneless += zoneless
        return at, False

    def _user(self, cells: Mapping[str, Any]) -> str | None:
        """A pseudonym made here earlier stays; anything else is a user id, and is hashed."""
        key = _text(cells, "user_key")
        if len(key) == 32 and all(digit in "0123456789abcdef" for digit in key):
            return key
        user = key or _text(cells, "user")
        return self._user_key(user) if user else None

    def _latency(self, cells: Mapping[str, Any], latency: Mapping[str, Any]) -> dict[str, float]:
        given = _parse(cells, "latency", read_json, None)
        stages = dict(given) if isinstance(given, Mapping) else {}
        if given is not None and not stages:
            stages["total"] = given
        factor = 1_000 if self._mapping.latency_unit == "s" else 1
        unknown = sorted(set(stages) - set(LATENCY_STAGES))
        if unknown:
            raise _BadField(f"latency: {unknown[0]!a} is no stage")
        return {
            stage: _of("latency", read_number, cell) * factor
            for stage, cell in {**stages, **latency}.items()
            if cell is not None
        }

    def _items(self, field: str) -> Callable[[Any], Sequence[Any]]:
        return lambda value: read_list(value, self._mapping.lists.get(field))


class _BadField(Exception):
    """A field of the row cannot be read; the message begins with its name."""


def _of(field: str, read: Callable[[Any], Any], value: Any) -> Any:
    try:
        return read(value)
    except BadValue as error:
        raise _BadField(f"{field}: {error}") from None


def _parse(cells: Mapping[str, Any], field: str, read: Callable[[Any], Any], default: Any) -> Any:
    return _of(field, read, cells[field]) if field in cells else default


def _text(cells: Mapping[str, Any], field: str) -> str:
    if field not in cells:
        return ""
    text: str = _of(field, read_text, cells[field])
    if field in ("id", "version", "question_id", "topic", "build") and len(text) > MAX_ID_CHARS:
        raise _BadField(f"{field}: longer than {MAX_ID_CHARS} characters")
    return text


def _word(cells: Mapping[str, Any], field: str, known: Mapping[str, Any], default: Any) -> Any:
    if field not in cells:
        return default
    said = _text(cells, field).strip().lower()
    if said not in known:
        raise _BadField(f"{field}: {said[:40]!a} is none of {', '.join(known)}")
    return known[said]


def _status_of(answer: str, error: str | None) -> Status:
    if error is not None:
        return "error"
    return "ok" if answer.strip() else "no_answer"


def _tokens(cells: Mapping[str, Any], usage: Any, field: str) -> int | None:
    if field in cells:
        return cast(int, _of(field, read_whole, cells[field]))
    if isinstance(usage, Mapping):
        for key in _TOKEN_KEYS[field]:
            if usage.get(key) is not None:
                return cast(int, _of("tokens", read_whole, usage[key]))
    return None


def _passages(lists: Mapping[str, Sequence[LoggedHit]]) -> list[Passage]:
    found = {hit.passage: None for hits in lists.values() for hit in hits if hit.passage}
    return list(found)


def _named(request: Request, given: str, timeless: bool) -> Request:
    """With the id given, else one made from what was asked, answered and shown, and when."""
    if given.strip():
        return replace(request, request_id=given)
    shown = [hit.passage_id for hit in request.context]
    shown += [hit.passage_id for hit in request.ranking]
    said = [request.version_id, request.traffic, request.question, request.answer, *shown]
    when = [] if timeless else [request.asked_at.isoformat()]
    made = hashlib.sha256(json.dumps([*said, *when]).encode()).hexdigest()[:24]
    return replace(request, request_id=f"row-{made}")
