"""The log of deployments in a real lake."""

from __future__ import annotations

import math
import threading

import pytest

from ragdiag.errors import InputError
from ragdiag.records import Deployment, DeploymentKind
from ragdiag.store.deployments import append_deployment, current_deployment, load_deployments
from ragdiag.store.lake import Lake


def add(lake: Lake, kind: DeploymentKind, state: Deployment, after: int | None = None) -> int:
    return append_deployment(
        lake, kind, lambda _: state, actor="ada", evidence={"bound": math.nan}, after=after
    ).number


def test_rows_are_added_and_the_last_one_holds(lake: Lake) -> None:
    assert current_deployment(lake) is None
    states = [Deployment("v1"), Deployment("v1", None, "v2", 0.05, "v3")]
    assert [add(lake, "set", states[0]), add(lake, "canary", states[1])] == [1, 2]
    assert current_deployment(lake) == states[1]
    events = load_deployments(lake)
    assert [event.deployment for event in events] == states
    assert [event.kind for event in events] == ["set", "canary"]
    assert events[0].evidence == {"bound": None}
    assert events[0].happened_at.tzinfo is not None
    assert events[0].happened_at <= events[1].happened_at


def test_a_change_sees_what_holds_and_may_refuse(lake: Lake) -> None:
    add(lake, "set", Deployment("v1"))
    seen: list[Deployment | None] = []

    def refuse(state: Deployment | None) -> Deployment:
        seen.append(state)
        raise InputError("no", remedy="yes")

    with pytest.raises(InputError, match="no; yes"):
        append_deployment(lake, "canary", refuse, actor="ada", evidence={})
    assert seen == [Deployment("v1")]
    assert len(load_deployments(lake)) == 1


def test_a_decision_on_an_older_state_is_refused(lake: Lake) -> None:
    add(lake, "set", Deployment("v1"), after=0)
    add(lake, "canary", Deployment("v1", canary="v2", share=0.1), after=1)
    with pytest.raises(InputError, match="changed in the meantime"):
        add(lake, "promote", Deployment("v2"), after=1)


def test_changes_at_once_come_one_after_the_other(lake: Lake) -> None:
    def change(name: str) -> None:
        for n in range(3):
            add(lake, "set", Deployment(f"{name}{n}"))

    threads = [threading.Thread(target=change, args=[name]) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [event.number for event in load_deployments(lake)] == list(range(1, 10))
