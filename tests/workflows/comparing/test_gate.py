"""The gate on logged evaluations: what is paired, what is judged, what is told."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from ragdiag.errors import InputError, UnknownName
from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake, close_lakes
from ragdiag.workflows.comparing.gate import gate_versions, request_cost
from tests.answered import MONDAY, NEW, OLD, QUESTIONS, THIRD, answer, fill_corpus, log


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    """``old`` finds the gold first or second; ``new`` is as good, and was bad in an evaluation
    before; ``third`` is half as good, dearer, slower, and was asked half of the questions."""
    workspace = Workspace(tmp_path_factory.mktemp("gate") / "workspace")
    lake = fill_corpus(workspace)
    everything = range(QUESTIONS)
    log(
        lake,
        workspace,
        [
            *(answer(n, OLD, rank=1 + n % 2, cost_usd=0.01) for n in everything),
            *(answer(n, NEW, rank=0, request_id=f"bad-{n}", cost_usd=0.5) for n in everything),
            *(
                answer(n, NEW, rank=1 + n % 2, asked_at=MONDAY + timedelta(days=1, seconds=n))
                for n in everything
            ),
            *(
                answer(n, THIRD, rank=n % 2, total_ms=200.0 + n, cost_usd=0.03, right=n % 4 == 0)
                for n in everything
                if n % 2 == 0 or n < QUESTIONS // 2
            ),
        ],
    )
    yield lake
    close_lakes()


def test_the_latest_evaluations_are_judged_question_by_question(lake: Lake) -> None:
    found = gate_versions(lake, OLD, NEW, "test")
    assert (found.decision, found.n, found.unpaired) == ("pass", QUESTIONS, 0)
    quality, latency, cost = (found.criteria[name] for name in ("quality", "latency", "cost"))
    assert (quality.a, quality.b) == (0.75, 0.75)
    assert (latency.decision, latency.change.value) == ("pass", 1.0)
    assert (cost.decision, cost.reason) == (None, "no request of one version has a cost")
    document = found.to_json()
    assert list(document)[:2] == ["decision", "a"]
    assert {"quality", "latency", "cost", "needed_n", "snapshot"} <= document.keys()
    json.dumps(document, allow_nan=False)


def test_one_bad_criterion_is_enough(lake: Lake) -> None:
    assert gate_versions(lake, OLD, NEW, "test", slo_ms=30).decision == "rollback"
    found = gate_versions(lake, OLD, THIRD, "test")
    assert {one.decision for one in found.criteria.values()} == {"rollback"}
    assert (found.n, found.unpaired) == (150, 50)
    assert "150 of 200 questions" in found.to_markdown()
    assert found.to_text().endswith(
        "50 of the split's questions were not asked of both alike: "
        "ragdiag evaluate VERSION --split test"
    )


def test_quality_can_be_another_metric(lake: Lake) -> None:
    found = gate_versions(lake, OLD, THIRD, "test", metric="correct").criteria["quality"]
    assert (found.measure, found.a, found.b) == ("correct", 1.0, pytest.approx(1 / 3))
    with pytest.raises(InputError, match="'MRR'; name one of: MRR@10"):
        gate_versions(lake, OLD, NEW, "test", metric="MRR")


def test_what_a_cache_answered_has_no_cost() -> None:
    assert request_cost(answer(0, OLD, cost_usd=0.01)) == 0.01
    assert math.isnan(request_cost(answer(0, OLD, cost_usd=0.0, cache_hit=True)))


def test_a_version_without_an_evaluation_is_named(lake: Lake) -> None:
    with pytest.raises(UnknownName, match="version old has no evaluation of split 'dev'"):
        gate_versions(lake, OLD, NEW, "dev")


def test_the_summary_tells_what_it_rests_on(lake: Lake) -> None:
    found = gate_versions(lake, OLD, THIRD, "test")
    text = found.to_markdown()
    assert text.startswith("### Release gate: rollback\n")
    assert "| latency | **rollback** | p95 latency, ms | 57.0 → " in text
    assert "50 more were asked of one version only" in text
    assert f"snapshot {found.snapshot}" in text
    assert len([line for line in text.splitlines() if line.startswith("| ")]) == 4
    assert "quality  rollback" in found.to_text()


def test_names_in_the_summary_are_no_markup(lake: Lake) -> None:
    found = gate_versions(lake, OLD, NEW, "test")
    told = replace(found, a=replace(OLD, name="__a__"), split="*s*").to_markdown()
    assert r"new (B) in place of \_\_a\_\_ (A)." in told
    assert r"Split \*s\*, " in told


def test_a_ratio_without_an_upper_bound_says_so(workspace: Workspace) -> None:
    """One question costs, the others nothing: the mean cost of A may be 0 itself."""
    lake = fill_corpus(workspace)
    costs = [1.0 if n == 0 else 0.0 for n in range(40)]
    log(
        lake,
        workspace,
        [answer(n, one, cost_usd=costs[n]) for n in range(40) for one in (OLD, NEW)],
    )
    found = gate_versions(lake, OLD, NEW, "test")
    for told in (found.to_text(), found.to_markdown()):
        assert "× 1.000 (from 0.000, no upper bound), n = 40" in told
        assert "nan" not in told


def test_questions_about_one_document_are_not_independent(workspace: Workspace) -> None:
    """Of eight documents seven are found worse by ``new``, and one far better. By question the loss
    would be shown five times over; by document it is one that chance brings."""
    lake = fill_corpus(workspace, passages_each=QUESTIONS // 8)
    document = QUESTIONS // 8
    log(
        lake,
        workspace,
        [
            *(answer(n, OLD, rank=2) for n in range(QUESTIONS)),
            *(answer(n, NEW, rank=3 if n // document < 7 else 1) for n in range(QUESTIONS)),
        ],
    )
    found = gate_versions(lake, OLD, NEW, "test")
    quality = found.criteria["quality"]
    assert (found.n, found.clusters) == (200, 8)
    assert quality.decision == "inconclusive"
    assert "200 questions about 8 documents" in found.to_text()
    assert "200 questions about 8 documents asked of both" in found.to_markdown()
