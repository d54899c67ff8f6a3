"""States of a deployment and the routing of keys, without a lake."""

from __future__ import annotations

import math
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragdiag.deploy import release
from ragdiag.deploy.release import Side, route
from ragdiag.errors import InputError
from ragdiag.records import Deployment, DeploymentEvent, DeploymentKind
from ragdiag.settings import PROJECT

SERVING = Deployment("v1")
TRYING = Deployment("v1", canary="v2", share=0.05)


@given(st.text(), st.floats(0.01, 0.99))
def test_a_key_stays_on_its_side_while_the_share_grows(key: str, share: float) -> None:
    before = route(Deployment("v1", canary="v2", share=share), key)
    assert before == route(Deployment("v1", canary="v2", share=share), key)
    after = route(Deployment("v1", canary="v2", share=min(1.0, 1.2 * share)), key)
    assert (before, after) in {("v1", "v1"), ("v1", "v2"), ("v2", "v2")}


@given(st.text())
def test_blanks_around_a_key_change_no_side(key: str) -> None:
    deployment = Deployment("v1", canary="v2", share=0.5)
    assert route(deployment, f" {key}\t") == route(deployment, key)


@pytest.mark.parametrize("share", [0.01, 0.05, 0.5])
def test_the_share_of_keys_is_the_one_asked_for(share: float) -> None:
    n = 40_000
    deployment = Deployment("v1", canary="v2", share=share)
    met = sum(route(deployment, f"user-{number}") == "v2" for number in range(n))
    assert abs(met / n - share) < 4 * math.sqrt(share * (1 - share) / n)


def test_every_canary_meets_other_users() -> None:
    users = [f"user-{number}" for number in range(2_000)]
    met = [
        {user for user in users if route(Deployment("v1", canary=name, share=0.1), user) == name}
        for name in ("v2", "v3")
    ]
    assert len(met[0] & met[1]) < min(len(one) for one in met) / 2


def test_without_a_canary_everybody_meets_production() -> None:
    assert route(Deployment("v1", shadow="v2"), "ada") == "v1"


def test_routing_needs_no_lake() -> None:
    code = "import sys, ragdiag.deploy.release; sys.exit('duckdb' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=True)


def test_a_version_becomes_production_and_can_go_back() -> None:
    state = release.set_production(None, "v1")
    state = release.start_canary(state, "v2", 0.05)
    assert state == TRYING
    assert release.start_canary(state, "v2", 0.2).share == 0.2
    state = release.promote(release.start_shadow(state, "v3"))
    assert state == Deployment("v2", previous="v1")
    state = release.promote(release.start_shadow(state, "v3"))
    assert state == Deployment("v3", previous="v2")
    assert release.roll_back(state, "production") == Deployment("v2")


def test_a_side_is_ended_alone() -> None:
    both = release.start_shadow(TRYING, "v3")
    assert release.roll_back(both, "canary") == Deployment("v1", shadow="v3")
    assert release.roll_back(both, "shadow") == TRYING
    assert release.candidate(both) == "canary"


@pytest.mark.parametrize("side", ["canary", "shadow"])
def test_what_is_not_there_cannot_be_rolled_back(side: Side) -> None:
    with pytest.raises(InputError, match=r"deploy status"):
        release.roll_back(SERVING, side)


def test_production_goes_back_once_and_then_names_another_way() -> None:
    back = release.roll_back(Deployment("v2", previous="v1"), "production")
    with pytest.raises(InputError, match=r"no version before it.*deploy canary VERSION"):
        release.roll_back(back, "production")


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, 5.0, math.nan])
def test_a_share_is_between_0_and_1(share: float) -> None:
    with pytest.raises(InputError, match="share"):
        release.start_canary(SERVING, "v2", share)


def test_impossible_changes_name_the_way_out() -> None:
    for attempt, told in (
        (lambda: release.set_production(SERVING, "v2"), "deploy canary"),
        (lambda: release.start_canary(None, "v2", 0.1), "deploy set"),
        (lambda: release.start_canary(TRYING, "v3", 0.1), "rollback canary"),
        (lambda: release.start_canary(SERVING, "v1", 0.1), "production itself"),
        (lambda: release.start_shadow(SERVING, "v1"), "production itself"),
        (lambda: release.promote(SERVING), "neither a canary nor a shadow"),
    ):
        with pytest.raises(InputError, match=told):
            attempt()


def test_what_runs_was_begun_by_one_event() -> None:
    states: list[tuple[DeploymentKind, Deployment, dict[str, object]]] = [
        ("set", SERVING, {}),
        ("canary", Deployment("v1", canary="v2", share=0.01), {}),
        ("canary", TRYING, {}),
        ("hold", TRYING, {}),
        ("promote", Deployment("v2", previous="v1"), {"release_plan": {}}),
        ("shadow", Deployment("v2", previous="v1", shadow="v3"), {}),
        ("rollback", Deployment("v2", previous="v1"), {}),
        ("rollback", Deployment("v1"), {}),
    ]
    at = datetime(2026, 1, 5, tzinfo=UTC)
    events = [
        DeploymentEvent(number, at, kind, state, "ada", evidence)
        for number, (kind, state, evidence) in enumerate(states, start=1)
    ]

    def began(so_far: int) -> dict[Side, int]:
        sides: tuple[Side, ...] = ("canary", "shadow", "production")
        found = {side: release.started_by(events[:so_far], side) for side in sides}
        return {side: event.number for side, event in found.items() if event is not None}

    assert [began(n) for n in range(9)] == [
        {},
        {},
        {"canary": 2},
        {"canary": 3},
        {"canary": 3},
        {"production": 5},
        {"shadow": 6, "production": 5},
        {"production": 5},
        {},
    ]
