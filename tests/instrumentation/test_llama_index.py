"""Real LlamaIndex engines, retrievers and postprocessors over toy documents."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from llama_index.core import VectorStoreIndex
from llama_index.core.base.llms.types import CompletionResponse
from llama_index.core.embeddings import BaseEmbedding
from llama_index.core.llms import MockLLM
from llama_index.core.llms.callbacks import llm_completion_callback
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

from ragdiag import QueryLogger
from ragdiag.instrumentation.llama_index import LlamaIndexHandler
from ragdiag.records import ContextHit, Feedback, Hit, Request
from tests.conftest import TOY_PASSAGES

Spooled = Callable[[], list[Request | Feedback]]
Attach = Callable[..., LlamaIndexHandler]
CATS = TOY_PASSAGES["cats"]


class HashedWords(BaseEmbedding):
    """Each word counts in one of 64 places: texts that share words are near."""

    def _get_text_embedding(self, text: str) -> list[float]:
        places = [0.0] * 64
        for word in text.lower().split():
            places[hashlib.sha256(word.encode()).digest()[0] % 64] += 1.0
        return places

    _get_query_embedding = _get_text_embedding

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)


class CountingModel(MockLLM):
    """Says how many tokens it used, as servers do."""

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **_: Any) -> CompletionResponse:
        usage = {"prompt_tokens": 30, "completion_tokens": 5}
        return CompletionResponse(text="Fifteen hours.", raw={"usage": usage})


class Reversed(BaseNodePostprocessor):
    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        return [NodeWithScore(node=one.node, score=None) for one in reversed(nodes)]


class Both(BaseRetriever):
    """The lists of two retrievers, one after the other."""

    def __init__(self, *inner: BaseRetriever) -> None:
        super().__init__()
        self.inner = inner

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return [hit for one in self.inner for hit in one.retrieve(query_bundle)]


class Failing(BaseRetriever):
    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        raise ConnectionError("no index")


@pytest.fixture(scope="module")
def index() -> VectorStoreIndex:
    nodes = [
        TextNode(id_=name, text=text, metadata={"key": f"doc:{name}"})
        for name, text in TOY_PASSAGES.items()
    ]
    return VectorStoreIndex(nodes, embed_model=HashedWords())


@pytest.fixture
def attach(logger: QueryLogger) -> Iterator[Attach]:
    attached: list[LlamaIndexHandler] = []

    def begin(**settings: Any) -> LlamaIndexHandler:
        attached.append(LlamaIndexHandler(logger, **settings).attach())
        return attached[-1]

    yield begin
    for handler in attached:
        assert handler.open_spans == {}
        handler.detach()


def requests(logger: QueryLogger, spooled: Spooled) -> list[Request]:
    assert logger.flush()
    assert logger.stats().left_out == {}
    assert logger.stats().refused == {}
    return [one for one in spooled() if isinstance(one, Request)]


def test_a_query_is_one_request(
    logger: QueryLogger, spooled: Spooled, attach: Attach, index: VectorStoreIndex
) -> None:
    attach()
    engine = index.as_query_engine(
        llm=CountingModel(), similarity_top_k=3, node_postprocessors=[Reversed()]
    )
    response = engine.query(CATS)
    (logged,) = requests(logger, spooled)
    assert logged.question == CATS
    assert logged.answer == str(response) == "Fifteen hours."
    assert logged.dense is not None
    assert logged.dense[0].passage_id == "cats"
    assert [hit.score for hit in logged.dense] == sorted(
        (hit.score for hit in logged.dense), reverse=True
    )
    assert logged.fused == logged.dense
    reranked = [hit.passage_id for hit in reversed(logged.dense)]
    assert logged.reranked == tuple(Hit(p, 1 / rank) for rank, p in enumerate(reranked, start=1))
    assert [(hit.passage_id, hit.chars) for hit in logged.context] == [
        (p, len(TOY_PASSAGES[p])) for p in reranked
    ]
    assert set(logged.latency_ms) == {"embed", "dense", "rerank", "generation", "total"}
    assert (logged.prompt_tokens, logged.completion_tokens) == (30, 5)


def test_retrievers_within_a_retriever_are_its_stages(
    logger: QueryLogger, spooled: Spooled, attach: Attach, index: VectorStoreIndex
) -> None:
    attach(stages={"VectorIndexRetriever": "dense"}, id_key="key")
    found = Both(index.as_retriever(similarity_top_k=2)).retrieve("espresso pressure")
    index.as_retriever(similarity_top_k=2).retrieve("green tea")
    both, alone = requests(logger, spooled)
    assert [hit.passage_id for hit in both.fused] == [f"doc:{hit.node.node_id}" for hit in found]
    assert both.dense == both.fused
    assert set(both.latency_ms) == {"embed", "dense", "total"}
    assert both.degraded_reason == alone.degraded_reason == "retrieval only"
    assert alone.question == "green tea"


def test_tasks_do_not_mix(
    logger: QueryLogger, spooled: Spooled, attach: Attach, index: VectorStoreIndex
) -> None:
    attach()
    engine = index.as_query_engine(llm=MockLLM(max_tokens=4), similarity_top_k=1)

    async def main() -> None:
        await asyncio.gather(*(engine.aquery(text) for text in TOY_PASSAGES.values()))

    asyncio.run(main())
    logged = requests(logger, spooled)
    assert {one.question: one.fused[0].passage_id for one in logged} == {
        text: name for name, text in TOY_PASSAGES.items()
    }
    assert len({one.request_id for one in logged}) == len(TOY_PASSAGES)


def test_a_streamed_answer_ends_its_request(
    logger: QueryLogger, spooled: Spooled, attach: Attach, index: VectorStoreIndex
) -> None:
    attach()
    engine = index.as_query_engine(llm=MockLLM(max_tokens=5), streaming=True, similarity_top_k=1)
    response = engine.query(CATS)
    assert requests(logger, spooled) == []
    answer = "".join(response.response_gen)
    closed: Any = engine.query(CATS).response_gen
    first = next(closed)
    closed.close()

    async def stream() -> str:
        streamed = await engine.aquery(CATS)
        return "".join([part async for part in streamed.async_response_gen()])

    streamed = asyncio.run(stream())
    whole, part, later = requests(logger, spooled)
    assert len(answer) > len(first) > 0
    assert (whole.answer, part.answer, later.answer) == (answer, first, streamed)
    assert part.degraded_reason == "the answer's stream was closed early"
    assert whole.context == (ContextHit("cats", whole.fused[0].score, len(CATS)),)


def test_an_error_is_the_requests_and_nothing_found_is_no_answer(
    logger: QueryLogger, spooled: Spooled, attach: Attach, index: VectorStoreIndex
) -> None:
    attach()
    with pytest.raises(ConnectionError, match="no index"):
        Failing().retrieve("q")
    empty = VectorStoreIndex([], embed_model=HashedWords())
    empty.as_query_engine(llm=MockLLM()).query("is anybody there")
    with logger.request("asked by a person", topic="tea"):
        index.as_query_engine(llm=CountingModel(), similarity_top_k=1).query("green tea")
    failed, nothing, outer = requests(logger, spooled)
    assert (failed.status, failed.error) == ("error", "ConnectionError: no index")
    assert (nothing.status, nothing.answer) == ("no_answer", "")
    assert (outer.question, outer.topic, outer.answer) == (
        "asked by a person",
        "tea",
        "Fifteen hours.",
    )
    assert [hit.passage_id for hit in outer.context] == ["tea"]
