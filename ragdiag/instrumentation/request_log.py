"""One request as the service tells it, step by step. No method raises, none waits."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from contextvars import Token
from datetime import datetime
from functools import wraps
from time import perf_counter_ns
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Protocol, Self, TypeVar

from ragdiag.identifiers import time_ordered_id
from ragdiag.instrumentation.assembly import CLOCKS, LISTS
from ragdiag.instrumentation.current import enter_request, leave_request, open_request
from ragdiag.instrumentation.drafts import (
    FeedbackDraft,
    RequestDraft,
    copy_context,
    copy_hits,
    copy_names,
)
from ragdiag.records import FeedbackKind, Status, Traffic

P = ParamSpec("P")
SelfT = TypeVar("SelfT", bound="RequestLog")

MOST_ERROR_CHARS = 2_000


class Sink(Protocol):
    """Where finished requests go; nothing of it raises."""

    def offer(self, draft: RequestDraft | FeedbackDraft) -> None: ...

    def leave_out(self, reason: str) -> None: ...


def _quiet(
    method: Callable[Concatenate[SelfT, P], None],
) -> Callable[Concatenate[SelfT, P], None]:
    """What cannot be understood spoils the record, never the request."""

    @wraps(method)
    def quiet(self: SelfT, /, *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            if self._ended:
                self._leave_out(f"{method.__name__}: the request had ended")
            else:
                method(self, *args, **kwargs)
        except Exception as error:
            self._draft.fault = f"{method.__name__}: {type(error).__name__}"

    return quiet


class RequestLog:
    """A request being served. Open it with ``with`` or ``async with``, or call :meth:`finish`.

    The time from its opening to its end is the latency ``total``. An exception that leaves the
    block makes it a request of status ``error`` and goes on unchanged. May be used from several
    threads at once. Stage names are those of LATENCY_STAGES and RANKED_STAGES.
    """

    __slots__ = ("_draft", "_ended", "_sink", "_started", "_token")

    def __init__(self, draft: RequestDraft, sink: Sink | None) -> None:
        self._draft = draft
        self._sink = sink
        self._ended = False
        self._token: Token[RequestLog | None] | None = None
        self._started = perf_counter_ns()

    @property
    def request_id(self) -> str:
        """To be given to the client, so that its feedback can name the request."""
        return self._draft.request_id

    @property
    def is_answered(self) -> bool:
        """Whether somebody has said what the answer was."""
        return "answer" in self._draft.facts

    def stage(self, name: str) -> StageClock:
        """``with request.stage("dense"):`` measures a stage. A stage measured twice counts the
        sum; one that raises counts what it took."""
        return StageClock(self, name)

    @_quiet
    def latency(self, stage: str, milliseconds: float) -> None:
        """The time of a stage that somebody else has measured."""
        self._spend(stage, milliseconds)

    @_quiet
    def hits(
        self, stage: str, hits: Iterable[object], *, searched_depth: int | None = None
    ) -> None:
        """The ranked list that a stage made, best first: pairs (id, score), bare ids, mappings or
        objects with ``passage_id`` or ``id`` and ``score``. The last list of a stage counts.
        ``searched_depth`` is how many candidates were looked at, where the list is shorter."""
        if stage == "context":
            self._draft.lists["context"] = copy_context(hits)
            return
        known = LISTS.get(stage)
        if known is None:
            self._draft.fault = "hits: the stage is none of lexical, dense, fused, reranked"
            return
        self._draft.lists[known] = copy_hits(hits)
        if searched_depth is not None:
            self._draft.facts["searched_depth"] = searched_depth

    @_quiet
    def context(self, passages: Iterable[object]) -> None:
        """What went into the prompt, in its order: (id, score, text), or mappings or objects with
        ``text`` or ``chars`` beside id and score. Of a text only the length is kept."""
        self._draft.lists["context"] = copy_context(passages)

    @_quiet
    def answer(self, text: str, *, citations: Iterable[object] = (), status: Status = "ok") -> None:
        """What the generator said; ``status="no_answer"`` where it abstained. ``citations`` are
        passage ids."""
        cited = (citations,) if isinstance(citations, str) else tuple(citations)
        self._draft.facts.update(answer=text, citations=cited, status=status)

    @_quiet
    def usage(
        self,
        *,
        prompt_tokens: int | None = None,
        completion_tokens: int | None = None,
        cost_usd: float | None = None,
    ) -> None:
        """What the generator used. What is None stays as it was."""
        self._state(
            prompt_tokens=prompt_tokens, completion_tokens=completion_tokens, cost_usd=cost_usd
        )

    @_quiet
    def note(
        self,
        *,
        question: str | None = None,
        user: object = None,
        topic: str | None = None,
        version_id: str | None = None,
        build_id: str | None = None,
        question_id: str | None = None,
        traffic: Traffic | None = None,
        cache_hit: bool | None = None,
        degraded_reason: str | None = None,
        tenant: str | None = None,
        roles: Collection[str] | None = None,
        only_topics: Collection[str] | None = None,
        only_since: datetime | None = None,
        only_until: datetime | None = None,
    ) -> None:
        """What else is known. ``user`` is stored as a keyed hash. What is None stays as it was.
        ``tenant`` and what follows say for whom and for what passages were looked for."""
        if user is not None:
            self._draft.user = user
        self._state(
            question=question,
            topic=topic,
            version_id=version_id,
            build_id=build_id,
            question_id=question_id,
            traffic=traffic,
            cache_hit=cache_hit,
            degraded_reason=degraded_reason,
            tenant=tenant,
            roles=copy_names(roles),
            only_topics=copy_names(only_topics),
            only_since=only_since,
            only_until=only_until,
        )

    @_quiet
    def error(self, error: BaseException | str) -> None:
        """The request has failed; :meth:`finish` is still to come."""
        self._fail(error)

    def feedback(
        self, kind: FeedbackKind, value: float = 1.0, *, passage_id: str | None = None
    ) -> None:
        """What the user did with the answer, now or after the end: see :class:`Feedback`."""
        said = new_feedback(self.request_id, kind, value, passage_id=passage_id)
        if not self._ended:
            self._draft.feedback.append(said)
        elif self._sink is not None:
            self._sink.offer(said)

    def finish(self, error: BaseException | None = None) -> None:
        """The request is over, and goes to the log. A second call does nothing."""
        if self._ended:
            return
        self._ended = True
        draft = self._draft
        draft.spent.append(("total", (perf_counter_ns() - self._started) / 1e6))
        if error is not None:
            self._fail(error)
        if self._token is not None:
            leave_request(self._token)
        if self._sink is not None:
            self._sink.offer(draft)

    def abandon(self) -> None:
        """Another process goes on with this request: from here it is not logged."""
        self._ended, self._sink = True, None

    def __enter__(self) -> Self:
        self._token = enter_request(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.finish(error)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.finish(error)

    def _spend(self, stage: str, milliseconds: float) -> None:
        if stage in CLOCKS:
            self._draft.spent.append((CLOCKS[stage], milliseconds))
        else:
            self._leave_out("latency of a stage that is none")

    def _state(self, **facts: Any) -> None:
        for name, value in facts.items():
            if value is not None:
                self._draft.facts[name] = value

    def _fail(self, error: BaseException | str) -> None:
        self._draft.facts["status"] = "error"
        self._draft.facts["error"] = describe_error(error)

    def _leave_out(self, reason: str) -> None:
        if self._sink is not None:
            self._sink.leave_out(reason)


class StageClock:
    """Measures its block on the monotonic clock, for ``with`` and ``async with``."""

    __slots__ = ("_request", "_stage", "_started")

    def __init__(self, request: RequestLog, stage: str) -> None:
        self._request = request
        self._stage = stage
        self._started = 0

    def __enter__(self) -> Self:
        self._started = perf_counter_ns()
        return self

    def __exit__(self, *_: object) -> None:
        self._request.latency(self._stage, (perf_counter_ns() - self._started) / 1e6)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(self, *_: object) -> None:
        self.__exit__()


def current_request() -> RequestLog:
    """The request that the running code serves; outside of any, one that nobody logs, so that code
    which tells what it does runs anywhere."""
    return open_request() or RequestLog(RequestDraft("", 0, {}), None)


def new_feedback(
    request_id: object,
    kind: object,
    value: object,
    *,
    passage_id: object = None,
    feedback_id: object = None,
) -> FeedbackDraft:
    now = time.time_ns()
    own_id = time_ordered_id(now) if feedback_id is None else feedback_id
    return FeedbackDraft(request_id, kind, value, passage_id, own_id, now)


def describe_error(error: BaseException | str) -> str:
    """``TypeName: message``, cut to what a log needs; of an error that cannot tell, its type."""
    if isinstance(error, str):
        return error[:MOST_ERROR_CHARS]
    try:
        message = str(error)
    except Exception:
        message = ""
    return f"{type(error).__name__}: {message}".removesuffix(": ")[:MOST_ERROR_CHARS]
