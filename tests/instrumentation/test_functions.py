from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest

from ragdiag import QueryLogger, current_request
from ragdiag.errors import InputError
from ragdiag.records import Feedback, Request

Spooled = Callable[[], list[Request | Feedback]]


def test_a_decorated_function_is_a_request_a_call(logger: QueryLogger, spooled: Spooled) -> None:
    @logger.logged(user="who")
    def answer(question: str, who: str = "nobody") -> str:
        current_request().hits("dense", [("p1", 1.0)])
        return question.upper()

    @logger.logged(question="text")
    async def answer_async(k: int, *, text: str) -> dict[str, int]:
        await asyncio.sleep(0)
        current_request().answer(f"{text}!")
        return {"k": k}

    class Service:
        @logger.logged()
        def ask(self, question: str) -> str:
            raise LookupError(question)

    assert answer("one") == "ONE"
    assert asyncio.run(answer_async(3, text="two")) == {"k": 3}
    with pytest.raises(LookupError, match="three"):
        Service().ask("three")
    with pytest.raises(TypeError):
        answer()  # type: ignore[call-arg]
    assert logger.flush()
    told = [(one.question, one.answer, one.status) for one in spooled() if isinstance(one, Request)]
    assert told == [("one", "ONE", "ok"), ("two", "two!", "ok"), ("three", "", "error")]
    assert logger.stats().refused == {"question is a NoneType, not text": 1}


def test_what_cannot_be_decorated_is_refused_at_once(logger: QueryLogger) -> None:
    def stream(question: str) -> Iterator[str]:
        yield question

    with pytest.raises(InputError, match="is a generator"):
        logger.logged()(stream)
    with pytest.raises(InputError, match="has no parameter 'query'"):
        logger.logged(question="query")(test_what_cannot_be_decorated_is_refused_at_once)
