"""Whatever a service says: no method raises, and what is taken ingest takes too."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragdiag import QueryLogger
from ragdiag.instrumentation.assembly import Unloggable, build_feedback, build_request
from ragdiag.instrumentation.drafts import FeedbackDraft, RequestDraft
from ragdiag.instrumentation.lines import read_draft
from ragdiag.instrumentation.request_log import RequestLog
from ragdiag.records import Feedback, Request
from ragdiag.settings import Workspace
from ragdiag.store.lines import parse_line
from ragdiag.store.spool import record_to_json

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.binary(max_size=4)
    | st.sampled_from(
        ["dense", "fused", "rerank", "context", "ok", "thumbs", "p1", " ", "a\0", "\ud800"]
    )
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.tuples(inner, inner, inner)
        | st.dictionaries(st.sampled_from(["id", "passage_id", "score", "text", "chars"]), inner)
    ),
    max_leaves=12,
)
REQUEST = Request("r1", datetime(2026, 1, 31, tzinfo=UTC), "v1", "production", "q")
NOTES = ("question", "topic", "version_id", "build_id", "question_id", "traffic", "cache_hit")
LINE = (*Request.__dataclass_fields__, "hits", "user", "feedback", "value", "kind")
TELL: dict[str, Callable[[RequestLog, Any], object]] = {
    "hits": lambda request, said: request.hits("dense", said),
    "one hit": lambda request, said: request.hits("reranked", [said]),
    "id": lambda request, said: request.hits("lexical", [(said, 1.0)]),
    "score": lambda request, said: request.hits("fusion", [("p1", said)]),
    "stage": lambda request, said: request.hits(said, [("p1", 1.0)]),
    "depth": lambda request, said: request.hits("dense", ["p1"], searched_depth=said),
    "context": lambda request, said: request.context(said),
    "passage": lambda request, said: request.context([said]),
    "text": lambda request, said: request.context([("p1", 1.0, said)]),
    "latency": lambda request, said: request.latency("dense", said),
    "clock": lambda request, said: request.stage(said).__exit__(),
    "answer": lambda request, said: request.answer(said),
    "citations": lambda request, said: request.answer("a", citations=said),
    "status": lambda request, said: request.answer("a", status=said),
    "tokens": lambda request, said: request.usage(prompt_tokens=said),
    "cost": lambda request, said: request.usage(cost_usd=said),
    "user": lambda request, said: request.note(user=said),
    "error": lambda request, said: request.error(said),
    "kind": lambda request, said: request.feedback(said),
    "value": lambda request, said: request.feedback("thumbs", said),
    "clicked": lambda request, said: request.feedback("click", passage_id=said),
    **{name: lambda request, said, name=name: request.note(**{name: said}) for name in NOTES},  # type: ignore[misc]
}


SAY: dict[str, Callable[[QueryLogger, Any], object]] = {
    "log": lambda logger, said: logger.log(said),
    "log user": lambda logger, said: logger.log(REQUEST, user=said),
    **{
        f"log {name}": lambda logger, said, name=name: logger.log(replace(REQUEST, **{name: said}))  # type: ignore[misc]
        for name in Request.__dataclass_fields__
    },
    "question": lambda logger, said: logger.request(said).finish(),
    **{
        name: lambda logger, said, name=name: logger.request("q", **{name: said}).finish()  # type: ignore[misc]
        for name in ("request_id", "user", "topic", "question_id", "version_id", "tenant", "roles")
    },
    "feedback": lambda logger, said: logger.feedback(said, "thumbs"),
    "feedback kind": lambda logger, said: logger.feedback("r1", said),
    "feedback value": lambda logger, said: logger.feedback("r1", "thumbs", said),
    "feedback passage": lambda logger, said: logger.feedback("r1", "click", passage_id=said),
    "feedback id": lambda logger, said: logger.feedback("r1", "thumbs", feedback_id=said),
}


class Unreadable:
    """Neither says what it is nor what it holds."""

    def __str__(self) -> str:
        raise ValueError

    def __iter__(self) -> Iterator[object]:
        raise ValueError


class Kept:
    """Takes what is offered, as a logger's queue does."""

    def __init__(self) -> None:
        self.drafts: list[RequestDraft | FeedbackDraft] = []

    def offer(self, draft: RequestDraft | FeedbackDraft) -> None:
        self.drafts.append(draft)

    def leave_out(self, reason: str) -> None:
        assert isinstance(reason, str)


def check(draft: RequestDraft | FeedbackDraft) -> None:
    """It becomes a record which the spool says as it is, or there is a reason why not."""
    with suppress(Unloggable):
        record: Request | Feedback
        if isinstance(draft, FeedbackDraft):
            record = build_feedback(draft)
        else:
            record = build_request(draft, lambda user: f"key of {len(user)}", 10)
            for said in draft.feedback:
                check(said)
        assert parse_line(json.dumps(record_to_json(record), allow_nan=False).encode()) == record


@pytest.mark.parametrize("tell", TELL.values(), ids=TELL.keys())
@settings(max_examples=60, deadline=None)
@given(said=ANYTHING)
def test_no_method_raises(tell: Callable[[RequestLog, Any], object], said: Any) -> None:
    kept = Kept()
    facts = {"version_id": "v1", "traffic": "production", "question": "q"}
    with RequestLog(RequestDraft("r1", 1_700_000_000_000_000_000, facts), kept) as request:
        tell(request, said)
    (draft,) = kept.drafts
    check(draft)


class Listening(QueryLogger):
    """Keeps what would be queued."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(workspace, version_id="v1")
        self.drafts: list[RequestDraft | FeedbackDraft] = []

    def offer(self, draft: RequestDraft | FeedbackDraft) -> None:
        self.drafts.append(draft)


@pytest.mark.parametrize("say", SAY.values(), ids=SAY.keys())
@settings(max_examples=20, deadline=None)
@given(said=ANYTHING | st.just(Unreadable()) | st.just({Unreadable()}))
def test_no_method_of_a_logger_raises(say: Callable[[QueryLogger, Any], object], said: Any) -> None:
    logger = Listening(Workspace(Path("never made")))
    say(logger, said)
    (draft,) = logger.drafts
    check(draft)


def test_what_is_no_request_is_counted(make_logger: Callable[..., QueryLogger]) -> None:
    logger = make_logger()
    logger.log(None)  # type: ignore[arg-type]
    logger.request("q", roles={Unreadable()}).finish()  # type: ignore[arg-type]
    assert logger.flush()
    stats = logger.stats()
    assert stats.refused == {"log: AttributeError": 1, "request: ValueError": 1}
    assert stats.logged == 0


@settings(max_examples=300, deadline=None)
@given(name=st.sampled_from(LINE), said=ANYTHING | st.just("2026-01-31T09:30:00Z"))
def test_no_line_is_half_taken(name: str, said: Any) -> None:
    with suppress(Unloggable):
        check(read_draft({"question": "q", "version_id": "v1", name: said}, "v1"))
    with suppress(Unloggable):
        check(read_draft({"feedback": "click", "request_id": "r1", name: said}, "v1"))
