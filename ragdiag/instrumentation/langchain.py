"""LangChain's runs as requests: ``chain.invoke(…, {"callbacks": [LangChainHandler(logger)]})``.

The outermost run is the request, unless ``with logger.request(…)`` is open around it: then what
the runs tell is added to that one. Optional: needs langchain-core.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from time import perf_counter_ns
from typing import Any, Literal
from uuid import UUID

from ragdiag.instrumentation.assembly import RankedStage
from ragdiag.instrumentation.framework_trace import Stages, Trace, checked_stages, passage_name
from ragdiag.instrumentation.query_logger import QueryLogger

try:
    from langchain_core.callbacks import BaseCallbackHandler
    from langchain_core.documents import Document
    from langchain_core.outputs import LLMResult
except ImportError as error:
    raise ImportError(
        "ragdiag.instrumentation.langchain needs LangChain; run: pip install langchain-core"
    ) from error

Kind = Literal["chain", "retriever", "llm"]

MOST_OPEN_RUNS = 10_000
QUESTION_KEYS = ("question", "query", "input")
ANSWER_KEYS = ("answer", "result", "output", "output_text", "text")


class _ChainTrace(Trace):
    """A trace, and what says which documents went into the prompt."""

    retrieved: Sequence[Document] = ()
    packed = False
    generated: str | None = None


@dataclass(slots=True)
class _Run:
    trace: _ChainTrace
    kind: Kind
    root: bool
    in_retriever: bool
    stage: RankedStage | None
    started: int

    @property
    def milliseconds(self) -> float:
        return (perf_counter_ns() - self.started) / 1e6


def _counted(callback: Callable[..., None]) -> Callable[..., None]:
    """What a callback does not understand is counted, not raised into the chain."""

    @wraps(callback)
    def counted(self: LangChainHandler, *args: Any, **kwargs: Any) -> None:
        try:
            callback(self, *args, **kwargs)
        except Exception as error:
            self.logger.leave_out(f"langchain {callback.__name__}: {type(error).__name__}")

    return counted


class LangChainHandler(BaseCallbackHandler):  # type: ignore[misc]
    """Records retrievers, chains and models of LangChain; one may serve all threads and tasks.

    A retriever's list is the stage that ``stages`` gives for its run name, class name or tag; else
    ``dense``, or ``fused`` where retrievers within it have their own stages. A passage's id is the
    document's ``id``, or ``metadata[id_key]``, else made from its text; its score
    ``metadata[score_key]`` where that is there. The context is what a chain gets under
    ``context_key`` as documents, else what the last retriever returned if a model ran after it.

    Raises InputError for a stage that is none.
    """

    run_inline = True  # in the caller's own task: its times, its request

    def __init__(
        self,
        logger: QueryLogger,
        *,
        stages: Stages | None = None,
        id_key: str | None = None,
        score_key: str = "score",
        context_key: str = "context",
    ) -> None:
        self.logger = logger
        self._stages = checked_stages(stages)
        self._id_key = id_key
        self._score_key = score_key
        self._context_key = context_key
        self._runs: dict[UUID, _Run] = {}

    @_counted
    def on_chain_start(
        self,
        serialized: dict[str, Any] | None,
        inputs: Any,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        **_: Any,
    ) -> None:
        run = self._begin("chain", run_id, parent_run_id, _text_of(inputs, QUESTION_KEYS))
        packed = inputs.get(self._context_key) if isinstance(inputs, dict) else None
        if isinstance(packed, list) and packed and all(isinstance(d, Document) for d in packed):
            self._pack(run.trace, packed)

    @_counted
    def on_chain_end(self, outputs: Any, *, run_id: UUID, **_: Any) -> None:
        run = self._runs.pop(run_id, None)
        if run is not None and run.root:
            self._end(run.trace, _text_of(outputs, ANSWER_KEYS))

    @_counted
    def on_retriever_start(
        self,
        serialized: dict[str, Any] | None,
        query: str,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        name: str | None = None,
        **_: Any,
    ) -> None:
        run = self._begin("retriever", run_id, parent_run_id, query)
        names = [name or "", (serialized or {}).get("name") or "", *(tags or ())]
        run.stage = next((self._stages[one] for one in names if one in self._stages), None)
        run.trace.ask(query)

    @_counted
    def on_retriever_end(self, documents: Sequence[Document], *, run_id: UUID, **_: Any) -> None:
        run = self._runs.pop(run_id, None)
        if run is None:
            return
        hits = map(self._hit, documents)
        run.trace.record_list(run.stage, run.in_retriever, hits, run.milliseconds)
        if not run.in_retriever:
            run.trace.retrieved = documents
        if run.root:
            self._end(run.trace, None)

    @_counted
    def on_llm_start(
        self,
        serialized: dict[str, Any] | None,
        prompts: list[str],
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        **_: Any,
    ) -> None:
        self._begin("llm", run_id, parent_run_id, prompts[0] if prompts else None)

    @_counted
    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **_: Any) -> None:
        run = self._runs.pop(run_id, None)
        if run is None:
            return
        used = _tokens(response)
        if used is not None:
            run.trace.use(*used)
        if not run.in_retriever:
            run.trace.request.latency("generation", run.milliseconds)
            run.trace.generated = response.generations[0][0].text
        if run.root:
            self._end(run.trace, None)

    @_counted
    def on_chain_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        run = self._runs.pop(run_id, None)
        if run is not None and run.root:
            run.trace.fail(error)

    on_retriever_error = on_chain_error
    on_llm_error = on_chain_error

    def _begin(
        self, kind: Kind, run_id: UUID, parent_run_id: UUID | None, question: str | None
    ) -> _Run:
        parent = None if parent_run_id is None else self._runs.get(parent_run_id)
        trace = _ChainTrace(self.logger, question) if parent is None else parent.trace
        within = parent is not None and (parent.in_retriever or parent.kind == "retriever")
        run = _Run(trace, kind, parent is None, within, None, perf_counter_ns())
        self._runs[run_id] = run
        if len(self._runs) > MOST_OPEN_RUNS:  # runs that were abandoned never end
            self._runs.pop(next(iter(self._runs)), None)
            self.logger.leave_out("langchain: a run that never ended")
        return run

    def _end(self, trace: _ChainTrace, answer: str | None) -> None:
        if trace.generated is not None and trace.retrieved and not trace.packed:
            self._pack(trace, trace.retrieved)
        trace.end(trace.generated if answer is None else answer)

    def _pack(self, trace: _ChainTrace, documents: Sequence[Document]) -> None:
        trace.packed = True
        trace.request.context([(*self._hit(one), len(one.page_content)) for one in documents])

    def _hit(self, document: Document) -> tuple[object, object]:
        name = document.id if self._id_key is None else document.metadata.get(self._id_key)
        score = document.metadata.get(self._score_key)
        return passage_name(name, document.page_content), score


def _tokens(response: LLMResult) -> tuple[int, int] | None:
    """Prompt and completion tokens, as chat models tell them or as older ones do."""
    message = getattr(response.generations[0][0], "message", None)
    used = getattr(message, "usage_metadata", None)
    if used:
        return int(used.get("input_tokens", 0)), int(used.get("output_tokens", 0))
    older = (response.llm_output or {}).get("token_usage")
    if older:
        return int(older.get("prompt_tokens", 0)), int(older.get("completion_tokens", 0))
    return None


def _text_of(value: Any, keys: Sequence[str]) -> str | None:
    """What a chain was given or has given: a text, a message's, or the one under a key."""
    if isinstance(value, str):
        return value
    content = getattr(value, "content", None)
    if isinstance(content, str):
        return content
    if isinstance(value, Mapping):
        return next(
            (text for key in keys if (text := _text_of(value.get(key), ())) is not None), None
        )
    return None
