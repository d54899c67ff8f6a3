"""Evaluations and annotations on spans, as grades and as feedback.

A result is about the trace of its span, or about the one that its span links to: feedback that
comes later travels on a span of its own (OpenInference, "Annotations and Evaluations"). A human
thumb becomes Feedback: a criterion named for thumbs whose label says up or down, or that has no
label and scores 1, 0 or −1. Everything else becomes a Grade, ratings on a scale among them. ``y``
is set only where the label is a verdict, or where a criterion that is correctness itself says yes
or no, or scores 1 or 0: what other scores mean, and which way is better, only the evaluator knows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ragdiag.records import Feedback, Grade, Span
from ragdiag.spans.bounds import finite_number
from ragdiag.spans.building import LINKS, LogEvent
from ragdiag.spans.conventions import EVALUATION, EVALUATION_EVENT, FEEDBACK_LISTS, SESSION_LISTS
from ragdiag.spans.nesting import read_nested

_RIGHT = re.compile(r"correct|pass(ed)?|right|accurate")
_WRONG = re.compile(r"incorrect|fail(ed)?|wrong|inaccurate")
_YES = re.compile(r"true|yes|1")
_NO = re.compile(r"false|no|0")
_CORRECTNESS = re.compile(r"(?<!in)(correct|accura)|exact_?match", re.I)
_THUMBS = re.compile(
    r"((user|human|customer)-?)?(thumbs?(-?up(-?(or-?)?down)?)?(-?feedback)?|feedback|liked?)"
)
"""Not ``thumbs down`` and ``dislike``: whether 1 is good there, nobody knows."""
_UP = re.compile(r"thumbs?-?up|up|positive|good|liked?|yes|true|1|👍")
_DOWN = re.compile(r"thumbs?-?down|down|negative|bad|disliked?|no|false|0|-1|👎")
_TONES = re.compile("[\ufe0e\ufe0f\U0001f3fb-\U0001f3ff]")
"""Variation selectors and skin tones, which say nothing of up and down."""
_CARRIERS = tuple(name for name, _ in FEEDBACK_LISTS)
_SESSION_CARRIERS = tuple(name for name, _ in SESSION_LISTS)


@dataclass(frozen=True, slots=True)
class Opinion:
    """One result, whichever convention carried it."""

    request_id: str
    opinion_id: str
    at: datetime
    name: str
    score: float | None
    label: str
    explanation: str
    human: bool


def read_opinions(span: Span) -> list[Opinion]:
    """Every result that ``span`` carries; what has no name, or says nothing, is none."""
    links = span.attributes.get(LINKS)
    request_id = span.trace_id
    if isinstance(links, list) and len(links) == 1 and isinstance(links[0], Mapping):
        request_id = str(links[0].get("trace_id") or request_id)
    found = [*_attribute_results(span), *_event_results(span)]
    return [
        opinion
        for number, (at, fields) in enumerate(found)
        if (opinion := _opinion(request_id, f"{span.trace_id}/{span.span_id}/{number}", at, fields))
    ]


def read_log_event(log: LogEvent) -> Opinion | None:
    """The result that a log record tells; None where it names no trace or no criterion, or says
    nothing."""
    if len(log.trace_id) != 32 or not log.trace_id.strip("0"):
        return None
    fields = _event_fields(log.event.attributes)
    identifier = f"{log.trace_id}/{log.span_id}/{log.event.at.timestamp():.6f}"
    return _opinion(log.trace_id, identifier, log.event.at, fields)


def has_session_results(span: Span) -> bool:
    """Whether it carries results about a session, which no record of ours can hold."""
    return any(key.startswith(_SESSION_CARRIERS) for key in span.attributes)


def to_record(opinion: Opinion) -> Grade | Feedback:
    """A human thumb as Feedback, everything else as a Grade.

    >>> from datetime import UTC
    >>> at = datetime(2026, 1, 5, tzinfo=UTC)
    >>> grade = to_record(Opinion("r1", "f1", at, "correctness", 0.9, "correct", "as told", False))
    >>> grade.request_id, grade.grader, grade.y, grade.score, grade.status, grade.reason
    ('r1', 'correctness', 1, 0.9, 'ok', 'as told')
    >>> to_record(Opinion("r1", "f1", at, "thumbs", None, "thumbs_down", "", True)).value
    -1.0
    """
    value = _thumb(opinion)
    if value is not None:
        return Feedback(opinion.opinion_id, opinion.request_id, opinion.at, "thumbs", value)
    reason = ": ".join(text for text in (opinion.label, opinion.explanation) if text)
    return Grade(
        opinion.request_id,
        opinion.name,
        _verdict(opinion),
        opinion.score,
        reason=opinion.explanation if _verdict(opinion) is not None else reason,
    )


def to_records(opinions: Iterable[Opinion]) -> list[Grade | Feedback]:
    """All of them, the earliest first: of two by one grader the later one counts."""
    return [to_record(opinion) for opinion in sorted(opinions, key=lambda opinion: opinion.at)]


def thumb_said(word: str) -> float | None:
    """1 for a word or sign that says up, −1 for one that says down, None for any other.

    >>> thumb_said("Thumbs up"), thumb_said("thumbs-down"), thumb_said("👍🏽"), thumb_said("so so")
    (1.0, -1.0, 1.0, None)
    """
    plain = re.sub(r"[_ ]", "-", _TONES.sub("", word).strip().lower())
    return 1.0 if _UP.fullmatch(plain) else -1.0 if _DOWN.fullmatch(plain) else None


def _attribute_results(span: Span) -> Iterator[tuple[datetime, Mapping[str, Any]]]:
    if not any(key.startswith(_CARRIERS) for key in span.attributes):
        return
    for prefix, inner in FEEDBACK_LISTS:
        listed = read_nested(span.attributes, prefix)
        for one in listed if isinstance(listed, list) else []:
            if isinstance(one, Mapping) and isinstance(fields := one.get(inner), Mapping):
                yield span.ended_at, fields


def _event_results(span: Span) -> Iterator[tuple[datetime, Mapping[str, Any]]]:
    for event in span.events:
        if event.name == EVALUATION_EVENT:
            yield event.at, _event_fields(event.attributes)


def _event_fields(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": attributes.get(f"{EVALUATION}name"),
        "score": attributes.get(f"{EVALUATION}score.value"),
        "label": attributes.get(f"{EVALUATION}score.label"),
        "explanation": attributes.get(f"{EVALUATION}explanation"),
    }


def _opinion(
    request_id: str, opinion_id: str, at: datetime, fields: Mapping[str, Any]
) -> Opinion | None:
    name = fields.get("name")
    label, explanation = (str(fields.get(key) or "") for key in ("label", "explanation"))
    value = finite_number(fields.get("score"))
    if (
        not isinstance(name, str)
        or not name.strip()
        or not (value is not None or label or explanation)
    ):
        return None
    human = str(fields.get("annotator_kind") or "").upper() == "HUMAN"
    return Opinion(request_id, opinion_id, at, name.strip(), value, label, explanation, human)


def _thumb(opinion: Opinion) -> float | None:
    name = re.sub(r"[\W_]+", "-", opinion.name.lower()).strip("-")
    if not opinion.human or not _THUMBS.fullmatch(name):
        return None
    if (said := thumb_said(opinion.label)) is not None:
        return said
    if opinion.label.strip() or opinion.score not in (-1.0, 0.0, 1.0):
        return None
    return 1.0 if opinion.score > 0 else -1.0


def _verdict(opinion: Opinion) -> int | None:
    label = opinion.label.strip().lower()
    about_correctness = _CORRECTNESS.search(opinion.name) is not None
    for y, words, truth in ((1, _RIGHT, _YES), (0, _WRONG, _NO)):
        if words.fullmatch(label) or (about_correctness and truth.fullmatch(label)):
            return y
    if opinion.score in (0.0, 1.0) and not label and about_correctness:
        return int(opinion.score)
    return None
