"""What users said about an answer, as logs write it: a thumb, or a list of feedback objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast, get_args

from ragdiag.importers.logs.mapping import Mapping as LogMapping
from ragdiag.importers.logs.values import BadValue, read_list, read_number, read_text, read_time
from ragdiag.records import Feedback, FeedbackKind, Request
from ragdiag.spans.feedback import thumb_said


def read_feedback(
    cells: Mapping[str, Any], request: Request, mapping: LogMapping
) -> list[Feedback]:
    """``thumbs`` and ``feedback`` of a row. Feedback without a time has the request's."""
    found = []
    if "thumbs" in cells:
        value = read_thumb(cells["thumbs"])
        found.append(
            Feedback(
                f"{request.request_id}/thumbs",
                request.request_id,
                request.asked_at,
                "thumbs",
                value,
            )
        )
    items = read_list(cells.get("feedback", ()), mapping.lists.get("feedback"))
    for number, item in enumerate(items, start=1):
        if not isinstance(item, Mapping):
            item = {"kind": "thumbs", "value": item}
        found.append(_read_object(item, number, request, mapping))
    return found


def read_thumb(value: Any) -> float:
    """1 up, −1 down: 1 or a word for up is up; 0, −1 or a word for down is down, as in traces.

    >>> read_thumb("👍"), read_thumb("Thumbs down"), read_thumb(0)
    (1.0, -1.0, -1.0)
    """
    if (said := thumb_said(str(value))) is not None:
        return said
    number = read_number(value)
    if number not in (-1.0, 0.0, 1.0):
        raise BadValue(f"{ascii(value)[:40]} is neither up nor down")
    return 1.0 if number > 0 else -1.0


def _read_object(
    item: Mapping[str, Any], number: int, request: Request, mapping: LogMapping
) -> Feedback:
    kind = item.get("kind", item.get("feedback_kind", "thumbs"))
    if kind not in get_args(FeedbackKind):
        raise BadValue(
            f"the kind {ascii(kind)[:40]} is none of {', '.join(get_args(FeedbackKind))}"
        )
    time = item.get("time", item.get("given_at"))
    value = item.get("value", 1)
    passage = item.get("passage_id")
    return Feedback(
        feedback_id=read_text(item.get("feedback_id") or f"{request.request_id}/{kind}/{number}"),
        request_id=request.request_id,
        given_at=request.asked_at if time is None else read_time(time, mapping.time)[0],
        kind=cast(FeedbackKind, kind),
        value=read_thumb(value) if kind == "thumbs" else read_number(value),
        passage_id=None if passage is None else read_text(passage),
    )
