"""LlamaIndex's spans as requests: ``LlamaIndexHandler(logger).attach()``, once in a process.

The outermost query, chat or retrieval is the request, unless ``with logger.request(…)`` is open
around it: then what the spans tell is added to that one. Optional: needs llama-index-core.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from functools import wraps
from time import perf_counter_ns
from typing import Any, Literal, Self

from ragdiag.instrumentation.assembly import RankedStage
from ragdiag.instrumentation.framework_trace import Stages, Trace, checked_stages, passage_name
from ragdiag.instrumentation.query_logger import QueryLogger
from ragdiag.instrumentation.streams import watch_async_stream, watch_stream

try:
    from llama_index.core.base.base_query_engine import BaseQueryEngine
    from llama_index.core.base.base_retriever import BaseRetriever
    from llama_index.core.base.embeddings.base import BaseEmbedding
    from llama_index.core.base.llms.base import BaseLLM
    from llama_index.core.chat_engine.types import BaseChatEngine
    from llama_index.core.instrumentation import get_dispatcher
    from llama_index.core.instrumentation.event_handlers import BaseEventHandler
    from llama_index.core.instrumentation.events.llm import LLMChatEndEvent, LLMCompletionEndEvent
    from llama_index.core.instrumentation.span import BaseSpan
    from llama_index.core.instrumentation.span_handlers import BaseSpanHandler
    from llama_index.core.postprocessor.types import BaseNodePostprocessor
    from pydantic import PrivateAttr
except ImportError as error:
    raise ImportError(
        "ragdiag.instrumentation.llama_index needs LlamaIndex; run: pip install llama-index-core"
    ) from error

Kind = Literal["query", "retrieve", "rerank", "embed", "llm", "other"]
EMPTY_RESPONSE = "Empty Response"
"""What LlamaIndex says where nothing was retrieved."""

_KINDS: tuple[tuple[type, Kind, str], ...] = (
    (BaseQueryEngine, "query", "query aquery"),
    (BaseChatEngine, "query", "chat achat stream_chat astream_chat"),
    (BaseRetriever, "retrieve", "retrieve aretrieve"),
    (BaseNodePostprocessor, "rerank", "_postprocess_nodes _apostprocess_nodes"),
    (BaseEmbedding, "embed", "get_query_embedding aget_query_embedding"),
    (BaseLLM, "llm", "predict apredict complete acomplete chat achat"),
)


class _Span(BaseSpan):  # type: ignore[misc]
    kind: Kind
    trace: Any
    root: bool
    around: tuple[Any, ...]
    """The spans that this one is within, the innermost last."""
    stage: Any = None
    started: int = 0
    embedding_ms: float = 0.0

    @property
    def milliseconds(self) -> float:
        return (perf_counter_ns() - self.started) / 1e6

    @property
    def nested(self) -> bool:
        """Whether a span of its own kind is around it, which tells the same."""
        return any(span.kind == self.kind for span in self.around)


def _counted(method: Callable[..., Any]) -> Callable[..., Any]:
    """LlamaIndex swallows what a handler raises: it is counted here."""

    @wraps(method)
    def counted(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return method(self, *args, **kwargs)
        except Exception as error:
            self._logger.leave_out(f"llama_index {method.__name__}: {type(error).__name__}")
            return None

    return counted


class LlamaIndexHandler(BaseSpanHandler[_Span]):  # type: ignore[misc]
    """Records query and chat engines, retrievers, postprocessors, embeddings and models.

    A retriever's list is the stage that ``stages`` gives for its class name; else ``dense``, or
    ``fused`` where retrievers within it have their own stages. A postprocessor's list is
    ``reranked``. The context is the response's source nodes. A passage's id is the node's, or
    ``metadata[id_key]``, else made from its text. A streamed answer ends its request when the
    stream ends.

    Raises InputError for a stage that is none.
    """

    _logger: QueryLogger = PrivateAttr()
    _stages: dict[str, RankedStage] = PrivateAttr()
    _id_key: str | None = PrivateAttr()
    _events: Any = PrivateAttr()

    def __init__(
        self, logger: QueryLogger, *, stages: Stages | None = None, id_key: str | None = None
    ) -> None:
        super().__init__()
        self._logger = logger
        self._stages = checked_stages(stages)
        self._id_key = id_key
        self._events = _TokenCounts(self)

    @classmethod
    def class_name(cls) -> str:
        return "LlamaIndexHandler"

    def attach(self) -> Self:
        """Listen to every part of LlamaIndex in this process."""
        get_dispatcher().add_span_handler(self)
        get_dispatcher().add_event_handler(self._events)
        return self

    def detach(self) -> None:
        root = get_dispatcher()
        root.span_handlers = [one for one in root.span_handlers if one is not self]
        root.event_handlers = [one for one in root.event_handlers if one is not self._events]

    @_counted
    def new_span(
        self,
        id_: str,
        bound_args: inspect.BoundArguments,
        instance: Any = None,
        parent_span_id: str | None = None,
        tags: dict[str, Any] | None = None,
        **_: Any,
    ) -> _Span | None:
        parent = self.open_spans.get(parent_span_id)
        kind = _kind(id_, instance)
        if parent is None and kind not in ("query", "retrieve"):
            return None
        question = _question(bound_args) if kind in ("query", "retrieve") else None
        trace = Trace(self._logger, question) if parent is None else parent.trace
        if question:
            trace.ask(question)
        return _Span(
            id_=id_,
            parent_id=parent_span_id,
            kind=kind,
            trace=trace,
            root=parent is None,
            around=() if parent is None else (*parent.around, parent),
            stage=self._stages.get(type(instance).__name__),
            started=perf_counter_ns(),
        )

    @_counted
    def prepare_to_exit_span(
        self,
        id_: str,
        bound_args: inspect.BoundArguments,
        instance: Any = None,
        result: Any = None,
        **_: Any,
    ) -> _Span | None:
        span: _Span | None = self.open_spans.get(id_)
        if span is None:
            return None
        try:
            self._record(span, result)
        finally:
            if span.root:
                self._end(span, result)
        return span

    @_counted
    def prepare_to_drop_span(
        self,
        id_: str,
        bound_args: inspect.BoundArguments,
        instance: Any = None,
        err: BaseException | None = None,
        **_: Any,
    ) -> _Span | None:
        span: _Span | None = self.open_spans.get(id_)
        if span is not None and span.root:
            span.trace.fail(err or RuntimeError("it was dropped"))
        return span

    def _record(self, span: _Span, result: Any) -> None:
        request = span.trace.request
        if span.kind == "retrieve":
            spent = max(span.milliseconds - span.embedding_ms, 0.0)
            span.trace.record_list(span.stage, span.nested, map(self._hit, result), spent)
        elif span.nested:
            return
        elif span.kind == "embed":
            request.latency("embed", span.milliseconds)
            for around in span.around:  # a retriever's time is told without it
                around.embedding_ms += span.milliseconds
        elif span.kind == "rerank":
            request.hits("reranked", map(self._hit, result))
            request.latency("rerank", span.milliseconds)
        elif span.kind == "llm" and not any(one.kind == "retrieve" for one in span.around):
            request.latency("generation", span.milliseconds)

    def _end(self, span: _Span, result: Any) -> None:
        trace: Trace = span.trace
        nodes = getattr(result, "source_nodes", None)
        if span.kind == "retrieve" or nodes is None:
            trace.end(None)
            return
        trace.request.context([(*self._hit(one), one.node.get_content()) for one in nodes])
        stream: Any = getattr(result, "response_gen", None)
        if isinstance(stream, AsyncIterator):
            result.response_gen = watch_async_stream(stream, trace)
        elif isinstance(stream, Iterator):
            result.response_gen = watch_stream(stream, trace)
        else:
            text = str(getattr(result, "response", result))
            empty = text == EMPTY_RESPONSE and not nodes
            trace.end("" if empty else text, "no_answer" if empty else "ok")

    def _hit(self, found: Any) -> tuple[object, object]:
        node = found.node
        name = node.node_id if self._id_key is None else node.metadata.get(self._id_key)
        return passage_name(name, node.get_content()), found.score


class _TokenCounts(BaseEventHandler):  # type: ignore[misc]
    """Only the events of models say how many tokens were used."""

    _spans: LlamaIndexHandler = PrivateAttr()

    def __init__(self, spans: LlamaIndexHandler) -> None:
        super().__init__()
        self._spans = spans

    @classmethod
    def class_name(cls) -> str:
        return "ragdiag token counts"

    def handle(self, event: Any, **_: Any) -> None:
        span = self._spans.open_spans.get(event.span_id)
        if span is None or not isinstance(event, (LLMChatEndEvent, LLMCompletionEndEvent)):
            return
        raw = getattr(event.response, "raw", None)
        used = _member(raw, "usage")
        if used is not None:
            span.trace.use(
                int(_member(used, "prompt_tokens") or 0),
                int(_member(used, "completion_tokens") or 0),
            )


def _kind(id_: str, instance: Any) -> Kind:
    """By the class and the method, which a span's id begins with."""
    method = id_.partition(".")[2].partition("-")[0]
    for kind_of, kind, methods in _KINDS:
        if isinstance(instance, kind_of) and method in methods.split():
            return kind
    return "other"


def _question(bound_args: inspect.BoundArguments) -> str | None:
    given = next(iter(bound_args.arguments.values()), None)
    text = given if isinstance(given, str) else getattr(given, "query_str", None)
    return text if isinstance(text, str) else None


def _member(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else getattr(value, name, None)
