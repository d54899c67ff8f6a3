"""The cache against a plain model, over random lives of a service; and what it does not keep."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragdiag.caching.answers import AnswerCache, Scope, repeat_answer
from ragdiag.caching.wording import normalise
from ragdiag.privacy.pseudonyms import mark_user, user_key
from ragdiag.records import Hit, Request
from ragdiag.settings import Workspace
from ragdiag.store.upkeep.forgotten import (
    ForgottenUsers,
    keep_tombstones,
    request_tombstone,
    user_tombstone,
)
from ragdiag.version import CacheSpec

AT = datetime(2026, 1, 5, tzinfo=UTC)
ANGLES = {"cats sleep": 0, "the cats sleep": 8, "Cats sleep?": 3, "cats do not sleep": 4, "tea": 90}
"""Questions and the direction of their vectors, in degrees: near ones in words are near here."""


def vector(question: str) -> Any:
    angle = np.deg2rad(ANGLES[question])
    return np.array([np.cos(angle), np.sin(angle)], dtype=np.float32)


def asked(question: str, scope: Scope, **facts: Any) -> Request:
    told = {"answer": f"{scope} on {question}", "build_id": scope.build_id, **facts}
    return Request("r", AT, scope.version_id, "production", question, **told)


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class PlainModel:
    """A list, the one used last at its end; every rule spelt out."""

    spec: CacheSpec
    clock: Clock
    kept: list[tuple[Scope, str, Request, float]] = field(default_factory=list)

    def find(self, scope: Scope, question: str) -> Request | None:
        alive = [one for one in self.kept if one[0] == scope and one[3] > self.clock()]
        same = [one for one in alive if one[1] == normalise(question)]
        if not same and self.spec.kind == "semantic":
            cosines = {id(one): float(vector(one[2].question) @ vector(question)) for one in alive}
            near = [one for one in alive if cosines[id(one)] >= self.spec.similarity]
            near = [one for one in near if ("not" in one[1]) == ("not" in question)]
            same = sorted(near, key=lambda one: -cosines[id(one)])
        if not same:
            return None
        self.kept.remove(same[0])
        self.kept.append(same[0])
        return same[0][2]

    def keep(self, scope: Scope, request: Request) -> None:
        name = normalise(request.question)
        self.kept = [one for one in self.kept if one[:2] != (scope, name)]
        self.kept.append((scope, name, request, self.clock() + self.spec.ttl_s))
        del self.kept[: -self.spec.size]


ASK = st.tuples(
    st.just("ask"),
    st.sampled_from(sorted(ANGLES)),
    st.sampled_from([None, "a", "b"]),
    st.frozensets(st.sampled_from(["nurse", "doctor"])),
)
PUBLISH = st.tuples(st.just("publish"), st.integers(0, 2))
STEPS = st.one_of(ASK, ASK, ASK, PUBLISH, st.tuples(st.just("wait"), st.floats(0, 9)))


@given(
    steps=st.lists(STEPS, max_size=60),
    kind=st.sampled_from(["exact", "semantic"]),
    size=st.integers(1, 8),
)
def test_no_life_of_a_service_shows_an_answer_of_another_scope(
    steps: list[Any], kind: Any, size: int
) -> None:
    clock = Clock()
    spec = CacheSpec(kind=kind, ttl_s=10, size=size, similarity=0.98)
    cache, model, build = AnswerCache(spec, clock), PlainModel(spec, clock), 0
    for step in steps:
        if step[0] == "publish":
            build = step[1]  # also back to one that served before
        elif step[0] == "wait":
            clock.now += step[1]
        else:
            question, scope = step[1], Scope("v1", f"b{build}", step[2], step[3])
            at = vector(question) if kind == "semantic" else None
            found = cache.find(scope, question, at)
            assert found == model.find(scope, question)
            if found is None:
                cache.keep(scope, asked(question, scope), at)
                model.keep(scope, asked(question, scope))
            else:
                assert found.answer.startswith(f"{scope} on ")
        assert len(cache) <= size


SCOPE = Scope("v1", "b1")


@pytest.mark.parametrize("facts", [{"status": "error"}, {"degraded_reason": "dense: late"}])
def test_a_failed_or_degraded_answer_is_not_kept(facts: dict[str, Any]) -> None:
    cache = AnswerCache(CacheSpec())
    assert not cache.keep(SCOPE, asked("tea", SCOPE, **facts))
    assert cache.find(SCOPE, "tea") is None


def test_the_nearest_question_answers_and_smaller_differences_count_where_strict() -> None:
    for strict, found in ((True, None), (False, "cats sleep")):
        cache = AnswerCache(CacheSpec(kind="semantic", similarity=0.95, strict=strict))
        for question in ("cats sleep", "tea"):
            cache.keep(SCOPE, asked(question, SCOPE), vector(question))
        near = cache.find(SCOPE, "dogs sleep", vector("the cats sleep"))
        assert (near and near.question) == found
        assert cache.find(SCOPE, "cats do not sleep", vector("cats do not sleep")) is None
        assert cache.find(SCOPE, "the cats sleep") is None  # no vector, no neighbour


def test_a_repeated_answer_is_a_request_of_its_own() -> None:
    kept = asked(
        "tea",
        SCOPE,
        user_key="ada",
        fused=(Hit("p1", 1.0),),
        citations=("p1",),
        prompt_tokens=900,
        cost_usd=0.1,
        latency_ms={"total": 800.0},
    )
    again = repeat_answer(
        kept,
        question="Tea?",
        question_id=None,
        request_id="r2",
        asked_at=AT,
        traffic="canary",
        topic="drinks",
        latency_ms={"total": 0.2},
    )
    assert (again.request_id, again.question, again.traffic) == ("r2", "Tea?", "canary")
    assert (again.answer, again.citations, again.fused) == (kept.answer, ("p1",), kept.fused)
    assert (again.cache_hit, again.user_key, again.topic) == (True, None, "drinks")
    assert (again.prompt_tokens, again.completion_tokens, again.cost_usd) == (0, None, 0.0)
    assert again.latency_ms == {"total": 0.2}


def test_threads_share_one() -> None:
    cache = AnswerCache(CacheSpec(kind="semantic", size=3))

    def live(number: int) -> None:
        for question in list(ANGLES) * 20:
            scope = Scope("v1", f"b{number % 2}", str(number % 3))
            found = cache.find(scope, question, vector(question))
            assert found is None or found.answer.startswith(f"{scope} on ")
            cache.keep(scope, asked(question, scope), vector(question))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(live, range(16)))
    assert len(cache) == 3


def forget(workspace: Workspace, user: str) -> None:
    """As the command does: the tombstones come before anything else."""
    keep_tombstones(workspace, {user_tombstone(workspace, user_key(workspace, user))})


def test_nothing_is_served_that_was_kept_before_somebody_was_forgotten(
    workspace: Workspace,
) -> None:
    forgotten = ForgottenUsers(workspace)
    caches = [
        AnswerCache(CacheSpec(kind=kind, similarity=0.9), forgotten=forgotten)
        for kind in ("exact", "semantic")
    ]
    for cache in caches:
        assert cache.keep(SCOPE, asked("tea", SCOPE), vector("tea"), "ann")
        assert cache.find(SCOPE, "tea") is not None
    forget(workspace, "ann")
    for cache in caches:
        assert cache.find(SCOPE, "tea", vector("tea")) is None
        assert len(cache) == 0
        assert cache.keep(SCOPE, asked("tea", SCOPE), vector("tea"), "bob")
        assert cache.find(SCOPE, "tea") is not None
    keep_tombstones(workspace, {request_tombstone(workspace, "r9")})
    for cache in caches:
        cache.follow_forgetting()
        assert len(cache) == 0


def test_an_answer_under_way_while_its_user_is_forgotten_is_not_kept(workspace: Workspace) -> None:
    cache = AnswerCache(CacheSpec(), forgotten=ForgottenUsers(workspace))
    assert cache.find(SCOPE, "tea") is None  # so it is being answered
    forget(workspace, "ann")
    for user in ("ann", mark_user(workspace, "ann")):
        assert not cache.keep(SCOPE, asked("tea", SCOPE), user=user)
    assert cache.find(SCOPE, "tea") is None
    for user in ("bob", None):
        assert cache.keep(SCOPE, asked("tea", SCOPE), user=user)


def test_where_nobody_can_read_who_was_forgotten_nothing_is_kept(workspace: Workspace) -> None:
    cache = AnswerCache(CacheSpec(), forgotten=ForgottenUsers(workspace))
    assert cache.keep(SCOPE, asked("tea", SCOPE), user="bob")
    (workspace.root / "secrets").mkdir(parents=True)
    (workspace.root / "secrets" / "forgotten").mkdir()
    assert cache.find(SCOPE, "tea") is None
    assert not cache.keep(SCOPE, asked("tea", SCOPE), user="bob")


def test_a_workspace_without_forgotten_users_makes_no_key_of_pseudonyms(
    workspace: Workspace,
) -> None:
    cache = AnswerCache(CacheSpec(), forgotten=ForgottenUsers(workspace))
    assert cache.keep(SCOPE, asked("tea", SCOPE), user="bob")
    assert not (workspace.root / "secrets").exists()
