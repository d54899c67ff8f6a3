"""The facts of a run: there and back, undefined numbers too; what is not whole is named."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from ragdiag.errors import TrainingError
from ragdiag.records import Estimate
from ragdiag.store.lake import Lake
from ragdiag.store.training_runs import TrainingRun, find_run, save_run
from ragdiag.training.runs import Change, Measured, RunFacts, facts_of
from tests.training_runs import BEGUN, DONE


@pytest.mark.parametrize("facts", [BEGUN, DONE])
def test_facts_come_back_from_the_registry_as_they_were(lake: Lake, facts: RunFacts) -> None:
    save_run(lake, TrainingRun("r1", "retriever", "done", facts.to_json()))
    assert facts_of(find_run(lake, "r1")) == facts


def test_what_is_undefined_is_null_with_its_reason() -> None:
    none = Estimate.undefined("one question is too few", n=1)
    facts = replace(BEGUN, measured=(Measured("temporal", (Change("MRR@10", none, none, none),)),))
    document = json.loads(json.dumps(facts.to_json(), allow_nan=False))
    assert document["measured"][0]["changes"][0]["after"] == {
        "value": None,
        "low": None,
        "high": None,
        "n": 1,
        "reason": "one question is too few",
    }
    (back,) = RunFacts.from_json(document, "r1").measured
    assert back.changes[0].after.reason == "one question is too few"


@pytest.mark.parametrize(
    ("moved", "p", "why"),
    [(0.0, 1.0, "all the same"), (0.25, 0.5, "all moved alike")],
)
def test_without_spread_no_least_difference_is_named(moved: float, p: float, why: str) -> None:
    """Runs of before it was undefined have 0 there."""
    one, none = Estimate(0.5, 0.4, 0.6, 9), Estimate(moved, math.nan, math.nan, 9, "no spread")
    written = RunFacts.to_json(
        replace(BEGUN, measured=(Measured("test", (Change("MRR@10", one, one, none, p, 0.0),)),))
    )
    (held,) = written["measured"][0]["changes"]
    assert (held["detectable"], held["detectable_reason"]) == (None, why)
    old = {key: value for key, value in held.items() if key != "detectable_reason"}
    measured = [{"name": "test", "changes": [{**old, "detectable": 0.0}]}]
    (back,) = RunFacts.from_json({**written, "measured": measured}, "r1").measured
    assert (back.changes[0].detectable, back.changes[0].detectable_reason) == (None, why)


def test_too_few_are_named_and_runs_from_before_it_was_told_claim_no_reason() -> None:
    one, known = Estimate(0.5, 0.4, 0.6, 9), Estimate(0.1, 0.0, 0.2, 9)
    alone = Change("MRR@10", one, one, Estimate(0.1, math.nan, math.nan, 1, "one cluster"))
    assert alone.detectable_reason == "too few"
    for p in (0.04, None):
        assert Change("MRR@10", one, one, known, p).detectable_reason is None


@pytest.mark.parametrize(
    ("held", "read"), [(None, ()), (DONE.to_json()["overfit"][0], DONE.overfit)]
)
def test_one_overfit_of_before_there_could_be_several_is_read(held: object, read: object) -> None:
    assert RunFacts.from_json({**DONE.to_json(), "overfit": held}, "r1").overfit == read


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("base", {"name": "x"}, "base.sha256"),
        ("gate", {"decision": "ship it"}, "gate.decision"),
        ("measured", [{"name": "test", "changes": [{"metric": "m"}]}], "measured.0.changes.0"),
        ("measured", [{"name": "test", "changes": []}], "measured.0.changes"),
        ("surprise", 1, "surprise"),
    ],
)
def test_what_is_no_fact_is_named(key: str, value: object, named: str) -> None:
    with pytest.raises(TrainingError, match=f"of training run r1 cannot be read \\({named}"):
        RunFacts.from_json({**BEGUN.to_json(), key: value}, "r1")
