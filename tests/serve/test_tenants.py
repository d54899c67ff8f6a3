"""A tenant's passages over HTTP: for itself alone, also where the answer comes from the cache."""

from __future__ import annotations

import pytest

from ragdiag.records import Request

from .conftest import House

PLAN = "What does the merger plan name?"


def found(house: House, **asked: str) -> set[str]:
    reply = house.post("/search", {"question": PLAN, **asked})
    assert reply.status == 200, reply.body
    return {hit["passage_id"] for hits in reply.body["stages"].values() for hit in hits}


def test_who_names_no_tenant_finds_none_of_theirs(house: House) -> None:
    assert not found(house) & {"acme", "zeta"}
    assert not found(house, tenant="nobody") & {"acme", "zeta"}
    reply = house.ask(PLAN).body
    assert not {"acme", "zeta"} & {one["passage_id"] for one in reply["context"]}
    assert "merger" not in reply["answer"]


@pytest.mark.parametrize(("tenant", "other"), [("acme", "zeta"), ("zeta", "acme")])
def test_a_tenant_finds_its_own_and_not_anothers(house: House, tenant: str, other: str) -> None:
    names = found(house, tenant=tenant)
    assert tenant in names
    assert other not in names


def test_an_answer_is_kept_for_its_tenant_alone(house: House) -> None:
    question = "How many shops or factories does the merger plan name?"
    first = house.ask(question, tenant="acme").body
    assert "forty shops" in first["answer"]
    assert house.ask(question, tenant="acme").body["cache_hit"]
    theirs = house.ask(question, tenant="zeta").body
    assert not theirs["cache_hit"]
    assert "ninety factories" in theirs["answer"]
    stranger = house.ask(question).body
    assert not stranger["cache_hit"]
    assert "merger" not in stranger["answer"]
    logged = [house.spooled(one["request_id"])[0] for one in (first, theirs, stranger)]
    assert all(isinstance(one, Request) for one in logged)
    assert [one.tenant for one in logged] == ["acme", "zeta", None]  # type: ignore[union-attr]
