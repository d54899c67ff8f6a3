"""The guide's and the README's examples, run as they stand."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from ragdiag import QueryLogger
from ragdiag.instrumentation.langchain import LangChainHandler
from ragdiag.instrumentation.lines import read_draft
from ragdiag.records import Feedback, Hit, Request
from ragdiag.settings import PROJECT, Workspace

Spooled = Callable[[], list[Request | Feedback]]
FOUND = [{"id": "p1", "score": 0.9, "text": "Cats sleep."}, {"id": "p2", "score": 0.4, "text": ""}]


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", path.read_text(), flags=re.DOTALL)


@pytest.fixture
def namespace(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, Any]]:
    """Names for an example: it logs to ``data/workspace`` of a new folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "workspace").symlink_to(workspace.root)

    async def search(question: str) -> list[dict[str, Any]]:
        return FOUND

    names: dict[str, Any] = {"search": search, "rerank": lambda question, found: found[:1]}
    yield names
    names["logger"].close()


def test_the_service_of_the_guide_logs(namespace: dict[str, Any], spooled: Spooled) -> None:
    service = blocks(PROJECT / "docs" / "logging.md", "python")[0]
    exec(service.replace("rate=0.2", "rate=1.0"), namespace)
    assert isinstance(namespace["app"], FastAPI)

    async def serve() -> None:
        async with namespace["lifespan"](namespace["app"]):
            answer = await namespace["ask"]("How long do cats sleep?", "ada")
            await namespace["thumbs"](answer["request_id"], False)

    asyncio.run(serve())
    logged, said = spooled()
    assert isinstance(logged, Request)
    assert isinstance(said, Feedback)
    assert logged.reranked == (Hit("p1", 0.9),)
    assert logged.context[0].chars == 11
    assert (logged.citations, logged.degraded_reason) == (("p1",), "small model")
    assert {"dense", "rerank", "generation", "total"} == set(logged.latency_ms)
    assert (said.request_id, said.value) == (logged.request_id, -1.0)


def test_the_first_example_logs(namespace: dict[str, Any], spooled: Spooled) -> None:
    (example,) = [text for text in blocks(PROJECT / "README.md", "python") if "QueryLogger" in text]
    exec(example, namespace)
    assert namespace["logger"].flush()
    (logged,) = spooled()
    assert isinstance(logged, Request)
    assert logged.fused == (Hit("cats.md#0", 0.82), Hit("dogs.md#3", 0.41))


def test_the_handlers_of_the_guide_can_be_made(logger: QueryLogger) -> None:
    langchain, llama_index = blocks(PROJECT / "docs" / "logging.md", "python")[1:]
    names: dict[str, Any] = {"logger": logger}
    exec(langchain.split("chain.invoke")[0], names)
    assert isinstance(names["handler"], LangChainHandler)
    exec(llama_index.replace(".attach()", ""), names)


def test_the_lines_of_the_guide_are_read() -> None:
    (lines,) = blocks(PROJECT / "docs" / "logging.md", "json")
    for line in lines.splitlines():
        read_draft(json.loads(line), "")
