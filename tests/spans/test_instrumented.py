"""What the real OpenInference instrumentation of LangChain records, read as a request."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from langchain_core.documents import Document
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import Runnable, RunnableLambda, RunnablePassthrough
from openinference.instrumentation.langchain import LangChainInstrumentor
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from ragdiag.spans.documents import text_id
from ragdiag.spans.otlp import decode_traces
from ragdiag.spans.traces import read_trace

Exported = tuple[TracerProvider, InMemorySpanExporter]

DOGS = "Dogs were tamed from wolves."
DOCUMENTS = [
    Document(id="cats#0", page_content="Cats sleep fifteen hours.", metadata={"source": "cats.md"}),
    Document(page_content=DOGS, metadata={"source": "dogs.md"}),
]


class BM25Retriever(BaseRetriever):
    def _get_relevant_documents(self, query: str, *, run_manager: object) -> list[Document]:
        if "unicorn" in query:
            raise LookupError("the index is gone")
        return DOCUMENTS


@pytest.fixture
def chain(exported: Exported) -> Iterator[Runnable[str, str]]:
    usage = {"input_tokens": 40, "output_tokens": 3, "total_tokens": 43}
    model = GenericFakeChatModel(messages=iter([AIMessage("Fifteen.", usage_metadata=usage)]))
    prompt = ChatPromptTemplate.from_template("{context}\n\nQuestion: {question}")
    join = RunnableLambda(lambda found: "\n".join(one.page_content for one in found))
    instrumentor = LangChainInstrumentor()
    instrumentor.instrument(tracer_provider=exported[0])
    yield (
        {"context": BM25Retriever() | join, "question": RunnablePassthrough()}
        | prompt
        | model
        | StrOutputParser()
    )
    instrumentor.uninstrument()


@pytest.mark.filterwarnings("ignore:Calling .text")
def test_a_real_chain_is_one_request(exported: Exported, chain: Runnable[str, str]) -> None:
    assert chain.invoke("How long do cats sleep?") == "Fifteen."
    body = encode_spans(exported[1].get_finished_spans()).SerializeToString()
    records = read_trace(decode_traces(body).spans)
    (request,) = records.requests
    assert (request.question, request.answer) == ("How long do cats sleep?", "Fifteen.")
    assert [hit.passage_id for hit in request.lexical or ()] == ["cats#0", text_id(DOGS)]
    assert [(h.passage_id, h.chars) for h in request.context] == [
        ("cats#0", len(DOCUMENTS[0].page_content)),
        (text_id(DOGS), len(DOGS)),
    ]
    assert (request.prompt_tokens, request.completion_tokens) == (40, 3)
    assert (request.version_id, request.status, request.degraded_reason) == ("2.1", "ok", None)
    assert {"lexical", "generation", "total"} == set(request.latency_ms)
    assert [passage.document_id for passage in records.passages] == ["cats.md", "dogs.md"]


def test_a_real_chain_that_fails_is_an_error(exported: Exported, chain: Runnable[str, str]) -> None:
    with pytest.raises(LookupError):
        chain.invoke("What do unicorns eat?")
    body = encode_spans(exported[1].get_finished_spans()).SerializeToString()
    (request,) = read_trace(decode_traces(body).spans).requests
    assert request.status == "error"
    assert "the index is gone" in (request.error or "")
    assert request.fused == ()
