"""Fine-tuning: what this workspace's runs measured, else a bound that is called one."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from ragdiag.diagnosis.levers import Lever, WorkRates
from ragdiag.records import Diagnosis
from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake
from ragdiag.store.training_runs import RunKind, TrainingRun, save_run
from ragdiag.training.runs import Gated, Measured, RunFacts
from ragdiag.version import RerankerSpec, Version
from ragdiag.workflows.diagnosing.lever_costs import Prices
from ragdiag.workflows.diagnosing.trained_levers import training_levers
from tests.toy_lake import versions
from tests.training_runs import DONE, change

HYBRID = versions()[2]
CORRECT = Measured("test", (change("correct", 0.40, 0.52, 300, 0.004),))
ANSWERS = replace(DONE, measured=(CORRECT,))


def failures(retrieval: int, generator: int, n: int = 100) -> list[Diagnosis]:
    names = ["retrieval"] * retrieval + ["generator"] * generator
    names += ["ok"] * (n - len(names))
    return [
        Diagnosis(f"r{at}", "in_context", name, "", "A", {})  # type: ignore[arg-type]
        for at, name in enumerate(names)
    ]


def levers(lake: Lake) -> dict[str, Lever]:
    found = training_levers(lake, HYBRID, failures(12, 7), range(100), WorkRates(), Prices())
    return {one.name: one for one in found}


def save(lake: Lake, kind: RunKind, facts: RunFacts, name: str = "r1") -> None:
    save_run(lake, TrainingRun(name, kind, "done", facts.to_json()))


def test_without_a_run_it_is_a_bound_with_the_command_that_measures(lake: Lake) -> None:
    found = levers(lake)
    assert list(found) == ["fine-tune the retriever", "fine-tune the generator"]
    retriever = found["fine-tune the retriever"]
    assert (retriever.basis, retriever.gain.value, retriever.gain.n) == ("ceiling", 0.12, 100)
    assert retriever.gain.low < 0.12 < retriever.gain.high
    assert retriever.note.startswith("a bound, if all 12 failures that gold passages mend became")
    assert retriever.action == "ragdiag tune retriever hybrid"
    assert "all 7 failures that gold passages do not mend" in found["fine-tune the generator"].note


def test_a_reranker_may_mend_what_was_found_and_ranked_too_low(lake: Lake) -> None:
    ranked = [replace(one, cause="rerank_loss") for one in failures(5, 0, n=5)]
    missed = [replace(one, cause="recall_miss") for one in failures(3, 0, n=45)]

    def told() -> Lever:
        diagnoses = [*ranked, *missed]
        found = training_levers(lake, HYBRID, diagnoses, range(50), WorkRates(), Prices())
        return next(one for one in found if one.name == "fine-tune the reranker")

    bound = told()
    assert (bound.basis, bound.gain.value, bound.gain.n) == ("ceiling", 0.1, 50)
    assert bound.note.startswith("a bound, if all 5 failures whose gold passage was found and rank")
    assert bound.action == "ragdiag tune reranker hybrid"
    save(lake, "reranker", ANSWERS)
    measured = told()
    assert (measured.basis, measured.p) == ("measured", 0.004)
    assert measured.mends == ("fusion_loss", "rerank_loss")


def test_a_bound_knows_which_questions_share_a_document(lake: Lake) -> None:
    owners = [at // 10 for at in range(100)]
    alone, joined = (
        training_levers(lake, HYBRID, failures(12, 7), by, WorkRates(), Prices())[0].gain
        for by in (range(100), owners)
    )
    assert joined.value == alone.value
    assert joined.high - joined.low > 1.5 * (alone.high - alone.low)


def test_late_interaction_is_tuned_by_a_command_of_its_own(lake: Lake) -> None:
    reranker = RerankerSpec(kind="late_interaction", model="m")
    late = Version("late", HYBRID.spec.model_copy(update={"reranker": reranker}))
    ranked = [replace(one, cause="rerank_loss") for one in failures(5, 0, n=50)]
    told = training_levers(lake, late, ranked, range(50), WorkRates(), Prices())
    found = {one.name: one for one in told}
    assert found["fine-tune the reranker"].action == "ragdiag tune late-interaction late"
    assert found["fine-tune the retriever"].action == "ragdiag tune retriever late"


@pytest.mark.parametrize("kind", ["reader", "generator"])
def test_a_run_of_answers_is_its_measured_gain(lake: Lake, kind: RunKind) -> None:
    save(lake, kind, ANSWERS)
    found = levers(lake)["fine-tune the generator"]
    assert (found.basis, found.p) == ("measured", 0.004)
    assert found.gain == ANSWERS.measured[0].changes[0].difference
    assert found.action == "ragdiag deploy canary hybrid-tuned"
    assert "gate: pass, trained in 4 min" in found.note


def test_a_retriever_measured_by_ranks_alone_stays_a_bound(lake: Lake) -> None:
    save(lake, "retriever", DONE)
    found = levers(lake)["fine-tune the retriever"]
    assert (found.basis, found.gain.value) == ("ceiling", 0.12)
    assert math.isnan(found.p)
    assert found.ranking_gain == DONE.measured[0].changes[0].difference
    assert "the run does not say on what split it was tested" in found.note


def test_a_run_whose_gate_did_not_pass_is_not_to_be_tried(lake: Lake) -> None:
    save(lake, "generator", replace(ANSWERS, gate=Gated("rollback", ("worse",))))
    found = levers(lake)["fine-tune the generator"]
    assert found.action == "see: ragdiag tune show r1"
    assert "gate: rollback" in found.note


def test_the_newest_run_of_this_version_counts(lake: Lake) -> None:
    save(lake, "generator", ANSWERS, "old")
    newer = Measured("test", (change("correct", 0.40, 0.39, 300, 0.7),))
    save(lake, "generator", replace(ANSWERS, measured=(newer,)), "new")
    save(lake, "generator", replace(ANSWERS, version="another"), "elsewhere")
    assert "run new: " in levers(lake)["fine-tune the generator"].note


def test_evaluations_of_the_tuned_version_are_its_gain(
    copied: Callable[[Workspace], Lake], toy_workspace: Workspace
) -> None:
    """``correct`` of both on the split of the run, over one corpus."""
    lake = copied(toy_workspace)
    lexical, _, hybrid = versions()
    facts = replace(
        DONE,
        candidate=replace(DONE.candidate, version_id=lexical.version_id),  # type: ignore[type-var]
        options={"learn": {"split": "train", "test": "test"}},
        version=hybrid.name,
    )
    save(lake, "retriever", facts)
    found = levers(lake)["fine-tune the retriever"]
    assert (found.basis, found.gain.n, found.slower.n) == ("measured", 60, 60)
