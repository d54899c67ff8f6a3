"""The logger that a service holds: requests and feedback in, lines in the spool out.

What a caller pays is a copy of what it said. Checking, hashing of users, sampling and writing are
done by one background thread, which starts with the first request: also in a forked child, and in
each worker of a server that forks after loading. Nothing that is said to a logger raises; what
cannot be logged is counted (:meth:`QueryLogger.stats`), warned of in the log named
``ragdiag.instrumentation``, and kept for ``ragdiag doctor``.
"""

from __future__ import annotations

import atexit
import os
import sys
import time
import weakref
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ParamSpec, Self, TypeVar

from ragdiag.errors import InputError, RagdiagError
from ragdiag.identifiers import time_ordered_id
from ragdiag.instrumentation.assembly import Unloggable, build_feedback, build_request, user_id
from ragdiag.instrumentation.current import open_request
from ragdiag.instrumentation.delivery import Delivery, Work
from ragdiag.instrumentation.drafts import FeedbackDraft, RequestDraft, copy_names, draft_of
from ragdiag.instrumentation.functions import log_calls
from ragdiag.instrumentation.losses import Losses
from ragdiag.instrumentation.request_log import RequestLog, new_feedback
from ragdiag.instrumentation.sampling import Sampler, Sampling
from ragdiag.privacy.pseudonyms import user_key
from ragdiag.records import Feedback, FeedbackKind, Request, Traffic
from ragdiag.settings import Workspace
from ragdiag.store.spool import SpoolWriter

P = ParamSpec("P")
T = TypeVar("T")
Record = Request | Feedback
Draft = RequestDraft | FeedbackDraft

CAPACITY = 5_000
LOG_DEPTH = 10
"""How much of each ranked list a production request keeps (METHODS.md §1)."""
WARN_EVERY_S = 60.0
EXIT_S = 5.0
"""How long the end of a process waits for the disk."""
FORK_S = 0.5
"""How long a fork waits for the record that is just being written."""


_NOT_REMEMBERED = "its request is not remembered here"


@dataclass(frozen=True, slots=True)
class LoggerStats:
    """Counts of this process: ``logged`` records are in the spool, ``sampled_out`` requests were
    passed over on purpose, ``waiting`` ones are in the queue. ``dropped``, ``refused``,
    ``left_out`` and ``thumbs_down_too_late`` are losses by reason: see losses.py."""

    logged: int
    sampled_out: int
    waiting: int
    dropped: Mapping[str, int]
    refused: Mapping[str, int]
    left_out: Mapping[str, int]
    thumbs_down_too_late: Mapping[str, int]


class QueryLogger:
    """Logs requests of ``version_id`` to ``workspace``; safe between threads, tasks and processes.

    ``log_depth`` cuts the logged lists (None keeps them whole), ``capacity`` bounds the queue,
    ``writer`` names the service in the spool's files. Raises InputError for settings that cannot
    be used; after that nothing raises.
    """

    def __init__(
        self,
        workspace: Workspace | Path | str,
        *,
        version_id: str,
        build_id: str = "",
        traffic: Traffic = "production",
        writer: str = "service",
        sampling: Sampling | None = None,
        log_depth: int | None = LOG_DEPTH,
        capacity: int = CAPACITY,
        warn_every_s: float = WARN_EVERY_S,
    ) -> None:
        if not version_id.strip() or capacity < 1 or (log_depth is not None and log_depth < 1):
            raise InputError(
                "a logger needs a version_id, and a capacity and log_depth of at least 1",
                remedy="ragdiag version list shows the ids; log_depth=None keeps whole lists",
            )
        chosen = workspace if isinstance(workspace, Workspace) else Workspace(_absolute(workspace))
        self._workspace = chosen
        self._facts = {"version_id": version_id, "build_id": build_id, "traffic": traffic}
        self._log_depth = log_depth
        self._sampling = sampling or Sampling()
        self._spool = SpoolWriter(chosen, writer)
        self._losses = Losses(chosen, writer, warn_every_s)
        self._delivery: Delivery[Draft, Record] = Delivery(
            f"ragdiag logger {writer}",
            capacity,
            Work(
                prepare=self._records,
                write=self._write,
                hand_over=self._spool.flush,
                refuse=self._refuse,
                drop=self._drop,
                tick=self._losses.report,
                started=self._drain_at_exit_of_child,
            ),
        )
        self._begin()
        _loggers.add(self)

    def request(
        self,
        question: str,
        *,
        request_id: str | None = None,
        user: object = None,
        topic: str = "",
        question_id: str | None = None,
        version_id: str | None = None,
        tenant: str | None = None,
        roles: Collection[str] | None = None,
    ) -> RequestLog:
        """A request that begins now: ``with logger.request("…") as request:``. With ``tenant``
        and ``roles`` it is retrieved again, in a replay, as for them."""
        now = time.time_ns()
        facts: dict[str, Any] = {
            **self._facts,
            "question": question,
            "topic": topic,
            "question_id": question_id,
            "tenant": tenant,
        }
        if version_id is not None:
            facts["version_id"] = version_id
        own_id = time_ordered_id(now) if request_id is None else request_id
        draft = RequestDraft(own_id, now, facts, user)
        try:
            facts["roles"] = copy_names(roles)
        except Exception as error:
            draft.fault = f"request: {type(error).__name__}"
        return RequestLog(draft, self)

    def log(self, request: Request, *, user: object = None) -> None:
        """A request that is complete already; ``user`` is the raw id."""
        try:
            draft = draft_of(request, user)
        except Exception as error:
            draft = RequestDraft("", time.time_ns(), {}, fault=f"log: {type(error).__name__}")
        self.offer(draft)

    def feedback(
        self,
        request_id: str,
        kind: FeedbackKind,
        value: float = 1.0,
        *,
        passage_id: str | None = None,
        feedback_id: str | None = None,
    ) -> None:
        """What a user did with an answer, whenever it is known: see :class:`Feedback`. With a
        ``feedback_id`` of the client's, one that is sent twice counts once."""
        self.offer(
            new_feedback(request_id, kind, value, passage_id=passage_id, feedback_id=feedback_id)
        )

    def logged(
        self, *, question: str | None = None, user: str | None = None
    ) -> Callable[[Callable[P, T]], Callable[P, T]]:
        """Decorates a function or coroutine that answers one question: see :func:`log_calls`."""
        return log_calls(self.request, question=question, user=user)

    def flush(self, timeout_s: float = 10.0) -> bool:
        """True once everything said before is on disk, fsynced and ready for ``ragdiag ingest``;
        False where that takes longer."""
        return self._delivery.flush(timeout_s)

    def close(self, timeout_s: float = 10.0) -> bool:
        """As :meth:`flush`, and the thread ends; what cannot be written by then is dropped and
        counted. Logging again starts it again. The end of the process does this by itself."""
        done = self._delivery.close(timeout_s)
        self._losses.report(at_once=True)
        return done

    def stats(self) -> LoggerStats:
        counts = self._losses.counts()
        return LoggerStats(
            logged=self._logged,
            sampled_out=self._sampled_out,
            waiting=self._delivery.waiting,
            dropped=counts.get("dropped", {}),
            refused=counts.get("refused", {}),
            left_out=counts.get("left_out", {}),
            thumbs_down_too_late=counts.get("thumbs_down_too_late", {}),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def offer(self, draft: Draft) -> None:
        """Put a draft on the queue, or count it as dropped."""
        try:
            if not self._delivery.offer(draft):
                self._drop("the queue was full", 1)
        except Exception as error:  # whatever it is, it is not the caller's
            self._drop(f"it could not be queued: {type(error).__name__}", 1)

    def leave_out(self, reason: str) -> None:
        self._losses.count("left_out", reason)

    def _begin(self) -> None:
        self._logged = self._sampled_out = 0
        self._sampler = Sampler(self._sampling)

    def _records(self, draft: Draft) -> Sequence[Record]:
        """What is to be written for one draft."""
        if isinstance(draft, FeedbackDraft):
            return self._with_recalled(build_feedback(draft))
        try:
            user_id(draft.user)
        except Unloggable as error:  # a request without its user is worth more than none
            self.leave_out(str(error))
            draft = replace(draft, user=None)
        request = build_request(draft, self._user_key, self._log_depth)
        feedback = []
        for said in draft.feedback:
            try:
                feedback.append(build_feedback(said))
            except Unloggable as error:
                self._refuse(error)
        early = self._sampler.take_early(request.request_id)
        if self._sampler.may_be_missing(request.request_id):  # so they were told as too late
            self._losses.take_back("thumbs_down_too_late", _NOT_REMEMBERED, early)
        disliked = early > 0 or any(map(_is_thumbs_down, feedback))
        kept = self._sampler.choose(request, thumbs_down=disliked)
        if kept is None:
            self._sampled_out += 1
            return feedback
        return [kept, *feedback]

    def _with_recalled(self, feedback: Feedback) -> Sequence[Record]:
        if not _is_thumbs_down(feedback):
            return [feedback]
        recalled = self._sampler.recall(feedback.request_id)
        if recalled is not None:
            self._sampled_out -= 1
            return [recalled, feedback]
        if self._sampler.is_certain(feedback.request_id):
            return [replace(feedback, certain=True)]
        if self._sampler.may_be_missing(feedback.request_id):
            self._losses.count("thumbs_down_too_late", _NOT_REMEMBERED)
        self._sampler.expect(feedback.request_id)
        return [feedback]

    def _user_key(self, user: str) -> str | None:
        try:
            return user_key(self._workspace, user)
        except RagdiagError:
            # Its text names a path, not a reason that a counter can group.
            self.leave_out("user: the key for its hash cannot be read")
            return None

    def _write(self, record: Record) -> None:
        self._spool.write(record)
        self._logged += 1

    def _refuse(self, error: Exception) -> None:
        reason = str(error) if isinstance(error, Unloggable) else type(error).__name__
        self._losses.count("refused", reason)

    def _drop(self, reason: str, number: int) -> None:
        self._losses.count("dropped", reason, number)

    def _drain_at_exit_of_child(self) -> None:
        """A process of multiprocessing ends without atexit, but runs its own finalizers."""
        util = sys.modules.get("multiprocessing.util")
        if util is not None:
            util.Finalize(None, self.close, args=(EXIT_S,), exitpriority=10)

    def _pause_for_fork(self) -> Callable[[], None]:
        return self._delivery.pause(FORK_S)

    def _forget_after_fork(self) -> None:
        self._delivery.forget()
        self._losses.forget()
        self._begin()


def _absolute(path: Path | str) -> Path:
    return Path(path).expanduser().resolve()


def _is_thumbs_down(feedback: Feedback) -> bool:
    return feedback.kind == "thumbs" and feedback.value < 0


_loggers: weakref.WeakSet[QueryLogger] = weakref.WeakSet()


_paused: list[Callable[[], None]] = []


def _before_fork() -> None:
    _paused.extend(logger._pause_for_fork() for logger in list(_loggers))


def _after_fork_in_parent() -> None:
    while _paused:
        _paused.pop()()


def _after_fork_in_child() -> None:
    _paused.clear()  # locks of the parent's thread
    for logger in list(_loggers):
        logger._forget_after_fork()
    request = open_request()
    if request is not None:
        request.abandon()  # the parent goes on with it


def _close_all() -> None:
    for logger in list(_loggers):
        logger.close(EXIT_S)


os.register_at_fork(
    before=_before_fork,
    after_in_parent=_after_fork_in_parent,
    after_in_child=_after_fork_in_child,
)
atexit.register(_close_all)
