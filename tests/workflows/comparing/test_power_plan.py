"""How many questions, from a workspace's own evaluations."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator

import numpy as np
import pytest

from ragdiag.errors import InputError, UnknownName
from ragdiag.settings import Workspace
from ragdiag.stats.power import questions_needed, questions_to_pass
from ragdiag.store.lake import Lake, close_lakes
from ragdiag.workflows.comparing.power_plan import plan_questions
from tests.answered import NEW, OLD, QUESTIONS, THIRD, answer, fill_corpus, log


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    """``old`` finds the gold first or second, ``new`` does in the other half of one tenth."""
    workspace = Workspace(tmp_path_factory.mktemp("plan") / "workspace")
    lake = fill_corpus(workspace)
    log(
        lake,
        workspace,
        [
            *(answer(n, OLD, rank=1 + n % 2) for n in range(QUESTIONS)),
            *(answer(n, NEW, rank=1 + (n + (n < 20)) % 2) for n in range(QUESTIONS)),
        ],
    )
    yield lake
    close_lakes()


def test_a_plan_rests_on_the_paired_differences(lake: Lake) -> None:
    plan = plan_questions(lake, OLD, NEW, split="test", effect="2%")
    values = np.array([1.0, 0.5] * (QUESTIONS // 2))
    changed = np.array([values[n] if n >= 20 else 1.5 - values[n] for n in range(QUESTIONS)])
    deviation = float((changed - values).std(ddof=1))
    assert (plan.n, plan.a_mean, plan.effect) == (QUESTIONS, 0.75, pytest.approx(0.015))
    assert plan.deviation == pytest.approx(deviation)
    assert plan.needed == questions_needed(deviation, 0.015)
    gated = float((changed - 0.98 * values).std(ddof=1))
    assert plan.to_pass == questions_to_pass(gated, 0.015)
    assert "(0.015 on 0.750)" in plan.to_text()
    json.dumps(plan.to_json(), allow_nan=False)


def test_without_a_candidate_the_spread_is_the_largest_there_can_be(lake: Lake) -> None:
    alone = plan_questions(lake, OLD, effect="0.05")
    values = [1.0, 0.5] * (QUESTIONS // 2)
    assert alone.deviation == pytest.approx(math.sqrt(2) * np.std(values, ddof=1))
    assert alone.needed > plan_questions(lake, OLD, NEW, effect="0.05").needed
    assert "at most that many" in alone.to_text()


def test_where_no_spread_was_seen_nothing_is_planned(lake: Lake) -> None:
    """Every answer is right, so the versions agree on all of them."""
    for candidate, alike in ((None, "values of old"), (NEW, "differences")):
        with pytest.raises(InputError, match=f"all 200 {alike} in correct are alike: no spread"):
            plan_questions(lake, OLD, candidate, metric="correct")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"effect": "two"}, "'two' is no effect"),
        ({"effect": "0%"}, "'0%' is no effect"),
        ({"power": 1.0}, "power of 1 cannot be planned"),
        ({"metric": "MRR"}, "no metric 'MRR'"),
    ],
)
def test_what_makes_no_sense_is_refused(lake: Lake, changes: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        plan_questions(lake, OLD, **changes)
    with pytest.raises(UnknownName, match="third has no evaluation"):
        plan_questions(lake, OLD, THIRD)


def test_what_the_gate_takes_is_thirty_documents_and_not_thirty_questions(
    workspace: Workspace,
) -> None:
    """By the questions alone it was told as 172."""
    lake = fill_corpus(workspace, passages_each=10)
    log(
        lake,
        workspace,
        [
            *(answer(n, OLD, rank=1 + n % 2) for n in range(QUESTIONS)),
            *(answer(n, NEW, rank=1 + (n + (n < 1)) % 2) for n in range(QUESTIONS)),
        ],
    )
    plan = plan_questions(lake, OLD, NEW, split="test")
    assert (plan.n, plan.documents, plan.to_pass) == (200, 20, 300)
    assert "with 10.0 questions to a document, as now" in plan.to_text()
