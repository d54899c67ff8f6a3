"""What a framework's runs show of one request: common to LangChain and LlamaIndex."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import get_args

from ragdiag.errors import InputError
from ragdiag.instrumentation.assembly import RankedStage
from ragdiag.instrumentation.current import open_request
from ragdiag.instrumentation.query_logger import QueryLogger
from ragdiag.instrumentation.request_log import RequestLog
from ragdiag.records import Status
from ragdiag.spans.documents import text_id

Stages = Mapping[str, RankedStage]
"""Which ranked list a retriever makes, by one of its names."""


def passage_name(identifier: object, text: str) -> object:
    """What names a retrieved passage: its id, else its text, as it does in a trace or an import.

    >>> passage_name("p1", "Cats sleep."), passage_name(None, "Cats sleep.")
    ('p1', 'text:4437f5d1a46753b9')
    """
    return text_id(text) if identifier is None or identifier == "" else identifier


class Trace:
    """The request that a framework's outermost run is, or that was open around it.

    ``owned`` requests are ended with their run; the others by whoever opened them.
    """

    def __init__(self, logger: QueryLogger, question: str | None) -> None:
        outer = open_request()
        self.owned = outer is None
        self.request: RequestLog = logger.request(question or "") if outer is None else outer
        self._asked = bool(question) or not self.owned
        self._inner_lists = False
        self._prompt_tokens = 0
        self._completion_tokens = 0

    def ask(self, question: str) -> None:
        """The question, where nobody has said one yet."""
        if not self._asked:
            self._asked = True
            self.request.note(question=question)

    def record_list(
        self,
        stage: RankedStage | None,
        nested: bool,
        hits: Iterable[tuple[object, object]],
        milliseconds: float,
    ) -> None:
        """A retriever's list. Without a stage of its own a retriever within another is part of
        that one; an outermost one is ``dense``, or ``fused`` where those within it have stages:
        then its time is theirs, and not told twice."""
        if stage is None and nested:
            return
        known = stage or ("fused" if self._inner_lists else "dense")
        self.request.hits(known, hits)
        if not (known == "fused" and self._inner_lists):
            self.request.latency(known, milliseconds)
        self._inner_lists |= nested

    def use(self, prompt_tokens: int, completion_tokens: int) -> None:
        """Tokens of one call of a model; a request may have several."""
        self._prompt_tokens += prompt_tokens
        self._completion_tokens += completion_tokens
        self.request.usage(
            prompt_tokens=self._prompt_tokens, completion_tokens=self._completion_tokens
        )

    def end(self, answer: str | None, status: Status = "ok") -> None:
        """The outermost run has ended. What the service itself said was the answer stays."""
        if answer is not None and not self.request.is_answered:
            self.request.answer(answer, status=status)
        elif answer is None and self.owned:
            self.request.note(degraded_reason="retrieval only")
        if self.owned:
            self.request.finish()

    def fail(self, error: BaseException) -> None:
        """The outermost run has failed. An open request around it sees the error by itself."""
        if self.owned:
            self.request.finish(error)


def checked_stages(stages: Stages | None) -> dict[str, RankedStage]:
    """``stages`` as they are; InputError for a stage that no retriever can be."""
    unknown = set((stages or {}).values()) - set(get_args(RankedStage))
    if unknown:
        raise InputError(
            f"{min(map(str, unknown))!r} is no stage of a retriever",
            remedy=f"use {', '.join(get_args(RankedStage))}",
        )
    return dict(stages or {})
