"""What a service tells is what the log says."""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from ragdiag import QueryLogger, carry_request, current_request
from ragdiag.privacy.pseudonyms import user_key
from ragdiag.records import ContextHit, Feedback, Hit, Request
from ragdiag.settings import Workspace

Spooled = Callable[[], list[Request | Feedback]]


@dataclass
class Found:
    id: str
    score: float
    text: str = ""


def test_everything_that_is_told_is_logged(
    logger: QueryLogger, spooled: Spooled, workspace: Workspace
) -> None:
    before = datetime.now(UTC)
    with logger.request("How long do cats sleep?", user="ada@example.org", topic="cats") as request:
        with request.stage("lexical"):
            time.sleep(0.002)
        request.hits("lexical", [("p1", 2.5), ("p2", 1)])
        request.hits("dense", [{"passage_id": "p2", "score": 0.75}, {"id": "p3", "score": 0.5}])
        request.hits("fusion", [Found("p2", 1.0), Hit("p1", 0.5)], searched_depth=100)
        with request.stage("rerank"):
            request.hits("reranked", ["p1", "p2"])
        request.context([("p1", 0.9, "Cats sleep."), Found("p2", 0.25, "They hunt.")])
        request.usage(prompt_tokens=120, completion_tokens=8, cost_usd=0.001)
        request.answer("Fifteen hours.", citations=["p1"])
        request.note(build_id="b1", question_id="q1", cache_hit=True, degraded_reason="no cache")
        request.feedback("click", passage_id="p1")
    assert logger.flush()
    logged, click = spooled()
    assert isinstance(logged, Request)
    assert before <= logged.asked_at <= datetime.now(UTC)
    assert uuid.UUID(logged.request_id).version == 7
    assert logged.latency_ms["lexical"] >= 2
    assert set(logged.latency_ms) == {"lexical", "rerank", "total"}
    assert logged.latency_ms["total"] >= sum(
        logged.latency_ms[stage] for stage in ("lexical", "rerank")
    )
    assert logged == Request(
        request_id=request.request_id,
        asked_at=logged.asked_at,
        version_id="v1",
        traffic="production",
        question="How long do cats sleep?",
        build_id="b1",
        question_id="q1",
        topic="cats",
        user_key=user_key(workspace, "ada@example.org"),
        answer="Fifteen hours.",
        citations=("p1",),
        degraded_reason="no cache",
        cache_hit=True,
        prompt_tokens=120,
        completion_tokens=8,
        cost_usd=0.001,
        latency_ms=logged.latency_ms,
        lexical=(Hit("p1", 2.5), Hit("p2", 1.0)),
        dense=(Hit("p2", 0.75), Hit("p3", 0.5)),
        fused=(Hit("p2", 1.0), Hit("p1", 0.5)),
        reranked=(Hit("p1", 1.0), Hit("p2", 0.5)),
        context=(ContextHit("p1", 0.9, 11), ContextHit("p2", 0.25, 10)),
        searched_depth=100,
        logged_depth=2,
    )
    assert isinstance(click, Feedback)
    assert (click.request_id, click.kind, click.value) == (request.request_id, "click", 1.0)


def test_a_users_name_reaches_no_file(logger: QueryLogger, workspace: Workspace) -> None:
    with logger.request("q", user="ada@example.org"):
        pass
    assert logger.close()
    files = [path for path in workspace.root.rglob("*") if path.is_file()]
    assert len(files) == 2  # a segment, and the key of the hash
    assert not any(b"ada@example" in path.read_bytes() for path in files)


def test_what_the_caller_changes_later_is_not_logged(logger: QueryLogger, spooled: Spooled) -> None:
    pairs: list[Any] = [["p1", 0.5], {"id": "p2", "score": 0.25}]
    with logger.request("q") as request:
        request.hits("dense", pairs)
        pairs[0][0], pairs[1]["id"] = "x", "y"
        pairs.clear()
    assert logger.flush()
    (logged,) = spooled()
    assert isinstance(logged, Request)
    assert logged.fused == logged.dense == (Hit("p1", 0.5), Hit("p2", 0.25))


def test_an_exception_is_an_error_and_goes_on_unchanged(
    logger: QueryLogger, spooled: Spooled
) -> None:
    fault = ValueError("no index")

    def serve() -> None:
        with logger.request("q") as request, request.stage("dense"):
            time.sleep(0.001)
            raise fault

    with pytest.raises(ValueError, match="no index") as raised:
        serve()
    assert raised.value is fault
    assert fault.__context__ is fault.__cause__ is None
    assert logger.flush()
    (logged,) = spooled()
    assert isinstance(logged, Request)
    assert (logged.status, logged.error) == ("error", "ValueError: no index")
    assert logged.latency_ms["dense"] >= 1


def test_an_error_that_was_handled_can_be_told(logger: QueryLogger, spooled: Spooled) -> None:
    with logger.request("q") as request:
        request.error(TimeoutError())
    with logger.request("q") as request:
        request.answer("", status="no_answer")
    assert logger.flush()
    told = [(one.status, one.error) for one in spooled() if isinstance(one, Request)]
    assert told == [("error", "TimeoutError"), ("no_answer", None)]


def test_a_stage_measured_twice_counts_the_sum(logger: QueryLogger, spooled: Spooled) -> None:
    with logger.request("q") as request:
        request.latency("dense", 1.5)
        request.latency("dense", 2.25)
    assert logger.flush()
    (logged,) = spooled()
    assert isinstance(logged, Request)
    assert logged.latency_ms["dense"] == 3.75


def test_nested_code_tasks_and_threads_know_their_request(
    logger: QueryLogger, spooled: Spooled
) -> None:
    def search(shard: str) -> None:
        current_request().note(topic=shard)

    async def serve(number: int) -> tuple[str, str]:
        async with logger.request(f"question {number}") as request:
            async with request.stage("dense"):
                await asyncio.sleep(0.001 * (number % 3))
            await asyncio.gather(asyncio.create_task(asyncio.to_thread(search, f"topic {number}")))
            assert current_request() is request
        return request.request_id, f"topic {number}"

    async def main() -> list[tuple[str, str]]:
        return await asyncio.gather(*(serve(number) for number in range(50)))

    expected = dict(asyncio.run(main()))
    with logger.request("outer") as outer, ThreadPoolExecutor(2) as pool:
        list(pool.map(carry_request(search), ["pool"] * 4))
        with logger.request("inner") as inner:
            plain = threading.Thread(target=carry_request(search), args=["thread"])
            plain.start()
            plain.join()
        assert current_request() is outer
        lost = threading.Thread(target=search, args=["nowhere"])
        lost.start()
        lost.join()
    expected |= {outer.request_id: "pool", inner.request_id: "thread"}
    assert logger.flush()
    found = {one.request_id: one.topic for one in spooled() if isinstance(one, Request)}
    assert found == expected


def test_outside_of_a_request_the_same_code_runs() -> None:
    request = current_request()
    with request, request.stage("dense"):
        request.hits("dense", [("p1", 1.0)])
        request.answer("so")
        request.feedback("thumbs", -1)
    assert request.request_id == ""
    assert current_request() is not request


def test_feedback_comes_when_it_comes(logger: QueryLogger, spooled: Spooled) -> None:
    request = logger.request("q")
    request.answer("a")
    request.finish()
    request.finish()
    request.feedback("task_success", 0)
    logger.feedback(request.request_id, "thumbs", -1, feedback_id="sent-twice")
    logger.feedback(request.request_id, "thumbs", -1, feedback_id="sent-twice")
    assert logger.flush()
    logged, task, first, second = spooled()
    assert isinstance(logged, Request)
    assert isinstance(task, Feedback)
    assert (task.kind, task.value) == ("task_success", 0.0)
    assert isinstance(first, Feedback)
    assert isinstance(second, Feedback)
    assert first.feedback_id == second.feedback_id == "sent-twice"


@pytest.mark.parametrize(
    "tell",
    [
        lambda request: request.hits("dense", None),
        lambda request: request.hits("dense", [object()]),
        lambda request: request.hits("dense", [("p1", float("nan"))]),
        lambda request: request.hits("dense", [("p1", 1.0, "text", 4)]),
        lambda request: request.hits("dense", [(None, 1.0)]),
        lambda request: request.hits("hybrid", [("p1", 1.0)]),
        lambda request: request.hits("dense", [(f"p{n}", 1.0) for n in range(10_001)]),
        lambda request: request.hits("dense", (1 / 0 for _ in range(3))),
        lambda request: request.context([("p1", 1.0)]),
        lambda request: request.context([{"id": "p1", "score": 1.0}]),
        lambda request: request.answer(["not text"]),
        lambda request: request.answer("x" * 100_001),
        lambda request: request.answer("a", status="fine"),
        lambda request: request.answer("a", citations=3),
        lambda request: request.usage(prompt_tokens=1.5),
        lambda request: request.usage(prompt_tokens=-1),
        lambda request: request.usage(cost_usd=float("inf")),
        lambda request: request.note(question=""),
        lambda request: request.note(traffic="test"),
        lambda request: request.latency("dense", "slow"),
        lambda request: request.latency("dense", -1.0),
        lambda request: request.usage(tokens=3),
    ],
)
def test_nothing_raises_and_what_is_no_record_is_counted(
    logger: QueryLogger, spooled: Spooled, tell: Callable[[Any], None]
) -> None:
    with logger.request("bad") as request:
        tell(request)
    with logger.request("good"):
        pass
    assert logger.flush()
    (logged,) = spooled()
    assert isinstance(logged, Request)
    assert logged.question == "good"
    stats = logger.stats()
    assert (sum(stats.refused.values()), stats.logged) == (1, 1)


def test_what_has_no_place_is_left_out_and_counted(logger: QueryLogger, spooled: Spooled) -> None:
    with logger.request("q\ud800") as request, request.stage("cache look-up"):
        request.answer("naïve \udfff")
    request.answer("too late")
    assert logger.flush()
    (logged,) = spooled()
    assert isinstance(logged, Request)
    assert (logged.question, logged.answer) == ("q?", "naïve ?")
    assert logger.stats().left_out == {
        "latency of a stage that is none": 1,
        "answer: the request had ended": 1,
    }


def test_lists_are_cut_and_an_absent_fusion_passes_on(
    make_logger: Callable[..., QueryLogger], spooled: Spooled
) -> None:
    logger = make_logger(log_depth=3)
    with logger.request("q") as request:
        request.hits("lexical", [(f"l{n}", 9.0 - n) for n in range(5)])
        request.hits("dense", [("l0", 1.0), ("d1", 0.5)])
    assert logger.flush()
    (logged,) = spooled()
    assert isinstance(logged, Request)
    assert [hit.passage_id for hit in logged.lexical or ()] == ["l0", "l1", "l2"]
    assert logged.fused == (Hit("l0", 9.0), Hit("l1", 8.0), Hit("l2", 7.0))
    assert (logged.searched_depth, logged.logged_depth) == (5, 3)


def test_a_complete_request_is_logged_as_it_is_with_the_user_hashed(
    logger: QueryLogger, spooled: Spooled, workspace: Workspace
) -> None:
    hits = tuple(Hit(f"p{rank}", 1 / rank) for rank in range(1, 21))
    request = Request(
        "r1",
        datetime(2026, 1, 5, 9, 30, 0, 123_456, tzinfo=UTC),
        "v2",
        "canary",
        "How long do cats sleep?",
        build_id="b2",
        answer="Fifteen hours.",
        citations=("p1",),
        degraded_reason="dense: late",
        cache_hit=True,
        prompt_tokens=120,
        cost_usd=0.001,
        latency_ms={"lexical": 2.5, "total": 40.0},
        lexical=hits,
        fused=hits,
        context=(ContextHit("p1", 1.0, 11),),
        searched_depth=100,
    )
    # a list that ends before the log's depth was not cut: diagnosis rests on that
    short = replace(request, request_id="r2", lexical=hits[:1], fused=hits[:1], logged_depth=10)
    logger.log(request, user="ada@example.org")
    logger.log(short)
    assert logger.flush()
    logged, whole = spooled()
    assert whole == short
    assert logged == replace(
        request,
        lexical=hits[:10],
        fused=hits[:10],
        logged_depth=10,
        user_key=user_key(workspace, "ada@example.org"),
    )
