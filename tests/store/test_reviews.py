"""Labels and reviewable answers read back, against a plain reading of what was written."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from ragdiag.privacy.hiding import hide_text
from ragdiag.records import Grade, Request
from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake
from ragdiag.store.queries import Filters
from ragdiag.store.results import save_findings
from ragdiag.store.reviews import Answered, Asked, load_answered, load_asked, load_reviews
from tests.answered import OLD, answer, log

KINDS = ("production", "evaluation")


def drawn(chance: random.Random, n: int) -> Request:
    request = answer(n, OLD, traffic=chance.choice(KINDS))
    return replace(
        request,
        topic=chance.choice(["", "a", "b"]),
        status=chance.choice(["ok", "ok", "no_answer"]),
        answer=chance.choice(["", "yes", "no"]),
        asked_at=datetime(2026, 1, chance.randint(1, 28), tzinfo=UTC),
    )


@pytest.mark.parametrize("seed", range(3))
def test_as_a_plain_reading_finds_them(lake: Lake, workspace: Workspace, seed: int) -> None:
    chance = random.Random(seed)
    requests = [drawn(chance, n) for n in range(25)]
    log(lake, workspace, requests)
    for filters in (Filters(), Filters(traffic="production"), Filters(topic="a")):
        wanted = [
            Answered(one.request_id, one.topic)
            for one in requests
            if one.status == "ok"
            and one.answer
            and filters.traffic in (None, one.traffic)
            and filters.topic in (None, one.topic)
        ]
        assert load_answered(lake, filters) == sorted(wanted, key=lambda one: one.request_id)
        told = {one.request_id for one in wanted}
        assert load_asked(lake, filters) == [
            Asked(one.request_id, one.topic, one.request_id in told)
            for one in sorted(requests, key=lambda one: one.request_id)
            if filters.traffic in (None, one.traffic) and filters.topic in (None, one.topic)
        ]

    ids = [one.request_id for one in requests]
    stands: dict[str, dict[str, Grade]] = {}
    for _ in range(8):
        grades = []
        for request_id in sorted(chance.sample(ids, 4)):
            name, y = chance.choice(["ada", "bo"]), chance.choice([0, 1, None])
            status = "ok" if y is not None else chance.choice(["undefined", "withdrawn"])
            given = Grade(request_id, f"reviewer:{name}", y, y, status)
            grades += [given, replace(given, grader="human")]
            own = stands.setdefault(name, {})
            own.pop(request_id, None)
            if status != "withdrawn":
                own[request_id] = given
        save_findings(lake, grades=grades)
    plain = {name: list(said.items()) for name, said in sorted(stands.items()) if said}
    assert {name: list(said.items()) for name, said in load_reviews(lake).items()} == plain
    some = set(ids[::2])
    assert {
        name: list(said.items()) for name, said in load_reviews(lake, sorted(some)).items()
    } == {
        name: kept
        for name, said in plain.items()
        if (kept := [(request, grade) for request, grade in said if request in some])
    }


def test_a_text_that_is_not_stored_cannot_be_reviewed(lake: Lake, workspace: Workspace) -> None:
    hidden = replace(answer(0, OLD), answer=hide_text(workspace, "yes"))
    log(lake, workspace, [hidden, answer(1, OLD)])
    assert [one.request_id for one in load_answered(lake, Filters())] == ["old-00001"]
    assert [one.answered for one in load_asked(lake, Filters())] == [True, True]
