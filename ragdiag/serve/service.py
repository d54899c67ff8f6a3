"""What the endpoints do: check, hand to a worker, tell the client, the log and the counters."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ragdiag.errors import InputError
from ragdiag.http.refusals import Refusal
from ragdiag.instrumentation.query_logger import QueryLogger
from ragdiag.instrumentation.request_log import describe_error
from ragdiag.records import Request, Traffic
from ragdiag.serve import outcomes
from ragdiag.serve.answering import Asked, answer, failed, search
from ragdiag.serve.bodies import AskBody, FeedbackBody, SearchBody
from ragdiag.serve.fleet import Fleet, Served
from ragdiag.serve.metrics import Metrics, Reading
from ragdiag.serve.outcomes import Outcome
from ragdiag.serve.shadows import Shadows
from ragdiag.serve.workers import Ticket, Workers

DEFECT = "a defect of the service; its own log has the traceback"
STARTING = "the index and the models are being loaded"
STARTING_RETRY_S = 5.0
PATIENCE_S = 5.0
"""How long the end of the service waits for work that is over its deadline, and for the disk."""
BREAKER = {"closed": 0.0, "half_open": 1.0, "open": 2.0}

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Capacity:
    """``workers`` questions at once, ``waiting`` more in line, each for ``deadline_s`` seconds
    from its arrival."""

    workers: int
    waiting: int
    deadline_s: float


class Service:
    def __init__(self, fleet: Fleet, logger: QueryLogger, capacity: Capacity) -> None:
        self.metrics = Metrics(self._read_gauges)
        self.fleet = fleet
        self._logger, self._deadline_s = logger, capacity.deadline_s
        self._workers = Workers(capacity.workers, capacity.waiting)
        self._shadows = Shadows(self._note)

    async def ask(self, body: AskBody) -> Outcome:
        """The answer, logged. Raises Refusal."""
        asked = Asked(
            body.question, body.user, body.topic, body.tenant, body.roles, body.question_id
        )
        served, traffic = self._choose(asked)
        left_s: float | None = None  # of its deadline, when its turn came

        def work(ticket: Ticket[Outcome]) -> Outcome:
            nonlocal left_s
            left_s = self._deadline_s - asked.waited_ms / 1e3
            outcome = _attempt(
                lambda: outcomes.answered(served, answer(served, asked, traffic)),
                served,
                asked,
                traffic,
            )
            if ticket.take():  # else its client has been told, and the log too
                self._note(served, outcome.request, asked.user)
            return outcome

        try:
            outcome = await self._workers.submit(work, self._deadline_s).result()
        except TimeoutError:
            outcome = self._late(served, asked, traffic)
            self._note(served, outcome.request, asked.user)
        if traffic == "production" and left_s is not None:
            self._mirror(asked, left_s)
        return outcome

    async def search(self, body: SearchBody) -> Outcome:
        """The ranked lists. They are not logged: whoever answers from them logs the answer.
        Raises Refusal."""
        asked = Asked(body.question, body.user, "", body.tenant, body.roles)
        served, traffic = self._choose(asked)

        def work(ticket: Ticket[Outcome]) -> Outcome:
            return _attempt(
                lambda: outcomes.found(served, search(served, asked)), served, asked, traffic
            )

        try:
            return await self._workers.submit(work, self._deadline_s).result()
        except TimeoutError:
            return self._late(served, asked, traffic)

    def give_feedback(self, body: FeedbackBody) -> None:
        self._logger.feedback(
            body.request_id,
            body.kind,
            body.value,
            passage_id=body.passage_id,
            feedback_id=body.feedback_id,
        )

    def close(self) -> None:
        """On return every answered request is in the log."""
        self._workers.close(PATIENCE_S)
        self._shadows.close(PATIENCE_S)
        self._logger.close(PATIENCE_S)

    def _choose(self, asked: Asked) -> tuple[Served, Traffic]:
        if not self.fleet.ready:
            raise Refusal(503, STARTING, retry_after=STARTING_RETRY_S)
        return self.fleet.choose(asked.key)

    def _mirror(self, asked: Asked, left_s: float) -> None:
        """Whatever became of it: a shadow that was asked only what production could answer would
        seem to fail more often."""
        shadow = self.fleet.serving.get("shadow")
        if shadow is not None and not self._shadows.mirror(shadow, asked, left_s):
            self.metrics.leave_out()

    def _late(self, served: Served, asked: Asked, traffic: Traffic) -> Outcome:
        error = f"no answer within the deadline of {self._deadline_s:g} s"
        return outcomes.unanswered(failed(served, asked, traffic, error), outcomes.LATE, error)

    def _note(self, served: Served, request: Request, user: str | None) -> None:
        self._logger.log(request, user=user)
        self.metrics.count(request, served.version.name)

    def _read_gauges(self) -> Iterator[Reading]:
        log = self._logger.stats()
        lost = sum(log.dropped.values()) + sum(log.refused.values())
        yield Reading("ragdiag_ready", "1 once questions are answered.", float(self.fleet.ready))
        yield Reading("ragdiag_workers_busy", "Questions being answered.", self._workers.busy)
        yield Reading("ragdiag_workers_waiting", "Questions in line.", self._workers.waiting)
        yield Reading("ragdiag_log_waiting", "Records not yet in the spool.", log.waiting)
        yield Reading("ragdiag_log_lost", "Records that were dropped or refused.", lost)
        for role, served in self.fleet.serving.items():
            yield from _read_version(role, served)


def _attempt(do: Callable[[], Outcome], served: Served, asked: Asked, traffic: Traffic) -> Outcome:
    """What ``do`` gives; a defect is an outcome too. Raises Refusal (400) for a question that
    cannot be looked for."""
    try:
        return do()
    except InputError as error:
        raise Refusal(400, str(error)) from None
    except Exception as error:
        _log.exception("a question could not be answered")
        request = failed(served, asked, traffic, describe_error(error))
        return outcomes.unanswered(request, outcomes.DEFECT, f"{DEFECT} ({type(error).__name__})")


def _read_version(role: str, served: Served) -> Iterator[Reading]:
    name = ("version", served.version.name)
    which = (name, ("role", role), ("build", served.pipeline.build_id))
    yield Reading("ragdiag_serving", "What serves, always 1.", 1.0, which)
    if served.cache is not None:
        kept = len(served.cache)
        yield Reading("ragdiag_cache_entries", "Answers kept.", kept, (name, ("role", role)))
    for stage, breaker in served.breakers.items():
        labels = (name, ("role", role), ("stage", stage))
        state = BREAKER[breaker.state]
        yield Reading("ragdiag_breaker_state", "0 closed, 1 half open, 2 open.", state, labels)
