"""Real LangChain retrievers, chains and models over toy documents."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import Runnable, RunnableLambda, RunnablePassthrough
from langchain_core.vectorstores import InMemoryVectorStore

from ragdiag import QueryLogger
from ragdiag.errors import InputError
from ragdiag.instrumentation.langchain import LangChainHandler
from ragdiag.records import ContextHit, Feedback, Hit, Request
from ragdiag.settings import PROJECT
from ragdiag.spans.documents import text_id
from tests.conftest import TOY_PASSAGES

Spooled = Callable[[], list[Request | Feedback]]
MakeLogger = Callable[..., QueryLogger]


class WordRetriever(BaseRetriever):
    """Documents by the number of words that they share with the question."""

    k: int = 2

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[Document]:
        if query == "fail":
            raise ConnectionError("no index")
        wanted = set(query.lower().split())
        scored = [
            (len(wanted & set(text.lower().split())), name) for name, text in TOY_PASSAGES.items()
        ]
        return [
            Document(TOY_PASSAGES[name], id=name, metadata={"score": score, "key": f"doc:{name}"})
            for score, name in sorted(scored, key=lambda pair: (-pair[0], pair[1]))[: self.k]
        ]


class BothRetriever(BaseRetriever):
    """The lists of two retrievers, one after the other."""

    inner: list[Any]

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[Document]:
        config = {"callbacks": run_manager.get_child()}
        found = {
            document.id: document for one in self.inner for document in one.invoke(query, config)
        }
        return list(found.values())


@pytest.fixture
def dense() -> Any:
    store = InMemoryVectorStore(DeterministicFakeEmbedding(size=16))
    store.add_documents([Document(text, id=name) for name, text in TOY_PASSAGES.items()])
    return store.as_retriever(search_kwargs={"k": 3})


def model(*answers: str) -> GenericFakeChatModel:
    used = {"input_tokens": 30, "output_tokens": 5, "total_tokens": 35}
    return GenericFakeChatModel(
        messages=iter([AIMessage(text, usage_metadata=used) for text in answers])
    )


def chain_of(retriever: Any, *answers: str) -> Runnable[str, str]:
    def join(documents: list[Document]) -> str:
        return "\n".join(document.page_content for document in documents)

    prompt = ChatPromptTemplate.from_template("{context}\n{question}")
    given = {"context": retriever | RunnableLambda(join), "question": RunnablePassthrough()}
    return given | prompt | model(*answers) | StrOutputParser()


def requests(logger: QueryLogger, spooled: Spooled) -> list[Request]:
    assert logger.flush()
    assert logger.stats().left_out == {}
    return [one for one in spooled() if isinstance(one, Request)]


def test_a_chain_is_one_request(logger: QueryLogger, spooled: Spooled) -> None:
    handler = LangChainHandler(logger, stages={"WordRetriever": "lexical"})
    chain = chain_of(WordRetriever(), "Fifteen hours.")
    question = "How long do cats sleep"
    assert chain.invoke(question, config={"callbacks": [handler]}) == "Fifteen hours."
    (logged,) = requests(logger, spooled)
    assert (logged.question, logged.answer, logged.status) == (question, "Fifteen hours.", "ok")
    assert logged.lexical == logged.fused == (Hit("cats", 2.0), Hit("bread", 0.0))
    assert logged.dense is None
    lengths = [len(TOY_PASSAGES[name]) for name in ("cats", "bread")]
    assert logged.context == (
        ContextHit("cats", 2.0, lengths[0]),
        ContextHit("bread", 0.0, lengths[1]),
    )
    assert set(logged.latency_ms) == {"lexical", "generation", "total"}
    assert (logged.prompt_tokens, logged.completion_tokens) == (30, 5)


def test_a_vector_store_keeps_its_order_without_scores(
    logger: QueryLogger, spooled: Spooled, dense: Any
) -> None:
    found = dense.invoke("cats", config={"callbacks": [LangChainHandler(logger)]})
    (logged,) = requests(logger, spooled)
    assert logged.dense == tuple(Hit(d.id, 1 / rank) for rank, d in enumerate(found, start=1))
    assert len(logged.fused) == 3
    assert logged.degraded_reason == "retrieval only"


def test_retrievers_within_a_retriever_are_its_stages(
    logger: QueryLogger, spooled: Spooled, dense: Any
) -> None:
    handler = LangChainHandler(
        logger, stages={"WordRetriever": "lexical", "VectorStoreRetriever": "dense"}
    )
    both = BothRetriever(inner=[WordRetriever(), dense])
    found = both.invoke("cats sleep", config={"callbacks": [handler]})
    (logged,) = requests(logger, spooled)
    assert [hit.passage_id for hit in logged.fused] == [document.id for document in found]
    assert len(logged.lexical or ()) == 2
    assert len(logged.dense or ()) == 3
    assert set(logged.latency_ms) == {"lexical", "dense", "total"}


def test_ids_may_come_from_the_metadata_and_the_context_from_a_chain(
    logger: QueryLogger, spooled: Spooled
) -> None:
    handler = LangChainHandler(logger, id_key="key", stages={"words": "reranked"})
    retriever = WordRetriever(tags=["words"])

    def stuff(inputs: dict[str, Any]) -> dict[str, str]:
        return {"answer": f"{len(inputs['context'])} passages"}

    first_only = RunnableLambda(lambda documents: documents[:1])
    chain = {
        "context": RunnableLambda(lambda inputs: inputs["input"]) | retriever | first_only,
        "question": RunnableLambda(lambda inputs: inputs["input"]),
    } | RunnableLambda(stuff)
    chain.invoke({"input": "green tea"}, config={"callbacks": [handler]})
    (logged,) = requests(logger, spooled)
    assert (logged.question, logged.answer) == ("green tea", "1 passages")
    assert [hit.passage_id for hit in logged.reranked or ()] == ["doc:tea", "doc:bread"]
    assert logged.context == (ContextHit("doc:tea", 2.0, len(TOY_PASSAGES["tea"])),)


def test_documents_without_an_id_are_named_by_their_text(
    logger: QueryLogger, spooled: Spooled
) -> None:
    handler = LangChainHandler(logger, id_key="absent")
    chain_of(WordRetriever(), "Fifteen hours.").invoke("cats", config={"callbacks": [handler]})
    (logged,) = requests(logger, spooled)
    named = [text_id(document.page_content) for document in WordRetriever().invoke("cats")]
    assert [hit.passage_id for hit in logged.dense or ()] == named
    assert [hit.passage_id for hit in logged.context] == named


def test_an_error_of_a_retriever_is_the_requests(logger: QueryLogger, spooled: Spooled) -> None:
    handler = LangChainHandler(logger)
    with pytest.raises(ConnectionError, match="no index"):
        chain_of(WordRetriever(), "a").invoke("fail", config={"callbacks": [handler]})
    (logged,) = requests(logger, spooled)
    assert (logged.question, logged.status) == ("fail", "error")
    assert logged.error == "ConnectionError: no index"


def test_an_open_request_gets_what_the_runs_tell(logger: QueryLogger, spooled: Spooled) -> None:
    chain = chain_of(WordRetriever(), "Eighty degrees.")
    with logger.request("asked by a person", topic="tea") as request:
        chain.invoke("green tea", config={"callbacks": [LangChainHandler(logger)]})
        request.feedback("thumbs", 1)
    (logged,) = requests(logger, spooled)
    assert (logged.question, logged.topic) == ("asked by a person", "tea")
    assert logged.answer == "Eighty degrees."
    assert [hit.passage_id for hit in logged.fused] == ["tea", "bread"]


def test_tasks_threads_and_streams_do_not_mix(logger: QueryLogger, spooled: Spooled) -> None:
    config: Any = {"callbacks": [LangChainHandler(logger)]}
    names = list(TOY_PASSAGES)
    questions = [TOY_PASSAGES[name].split(".")[0] for name in names]

    async def serve(question: str, name: str) -> str:
        return await chain_of(WordRetriever(), f"about {name}").ainvoke(question, config)

    async def main() -> list[str]:
        return await asyncio.gather(*map(serve, questions, names))

    asyncio.run(main())
    chain_of(WordRetriever(), *["a batch"] * 8).batch(questions, config)
    streamed = list(chain_of(WordRetriever(), "word by word").stream(questions[0], config))
    assert len(streamed) > 1
    logged = requests(logger, spooled)
    assert len(logged) == 17
    for one in logged:
        expected = names[questions.index(one.question)]
        assert one.fused[0].passage_id == expected
        assert one.answer in (f"about {expected}", "a batch", "word by word")
    assert sorted(one.question for one in logged) == sorted(questions * 2 + questions[:1])


def test_a_stage_that_is_none_is_refused(logger: QueryLogger) -> None:
    with pytest.raises(InputError, match="'sparse' is no stage"):
        LangChainHandler(logger, stages={"WordRetriever": "sparse"})  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("module", "package"),
    [("langchain", "langchain_core"), ("llama_index", "llama_index")],
)
def test_without_the_framework_the_remedy_is_told(module: str, package: str) -> None:
    code = f"import sys; sys.modules[{package!r}] = None\nimport ragdiag.instrumentation.{module}"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert f"pip install {package.split('_')[0]}" in done.stderr.splitlines()[-1]
