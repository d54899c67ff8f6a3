"""Levers ranked by what they bring for their work, and told in one sentence."""

from __future__ import annotations

import json
import math

import numpy as np

from ragdiag.diagnosis.levers import Lever, count_faults, counted_gain, first_step, rank_levers
from ragdiag.diagnosis.tried_settings import settings_to_try
from ragdiag.records import Diagnosis, Estimate
from ragdiag.stats.intervals import wilson
from ragdiag.version import CandidateSpec, ExtractiveSpec, LexicalSpec, RerankerSpec, Spec


def lever(name: str, basis: str = "measured", **changes: object) -> Lever:
    fields = {"gain": Estimate(0.1, 0.05, 0.15, 80), "work_minutes": 30.0, "action": "do it"}
    return Lever(name, (), basis, **{**fields, **changes})  # type: ignore[arg-type]


def test_answers_that_nobody_could_grade_are_no_failures() -> None:
    def diagnosis(cause: str, verdict: str, y: int | None) -> Diagnosis:
        return Diagnosis("r", cause, verdict, "", "D", {"y": y})  # type: ignore[arg-type]

    found = [
        diagnosis("recall_miss", "retrieval", 0),
        diagnosis("recall_miss", "generator", 0),
        diagnosis("in_context", "undetermined", 0),
        diagnosis("in_context", "undetermined", None),
        diagnosis("in_context", "ok", 1),
    ]
    assert count_faults(found) == {"generator": 1, "recall_miss": 1, "undetermined": 1}


def test_without_gold_passages_what_holds_the_gold_answer_names_the_fault() -> None:
    def diagnosis(verdict: str, **signs: str) -> Diagnosis:
        return Diagnosis("r", "gold_unknown", verdict, "", "C", {"y": 0, "signs": signs})  # type: ignore[arg-type]

    found = [diagnosis("retrieval", answer_at="recall_miss"), diagnosis("packing")]
    assert count_faults(found) == {"packing": 1, "recall_miss": 1}


def test_the_best_return_comes_first_and_is_the_sentence() -> None:
    ranked = rank_levers(
        [
            lever("slow work", "counted", work_minutes=300.0),
            lever("most", "ceiling", gain=Estimate(0.5, 0.4, 0.6, 80)),
            lever("quick", p=0.001, slower=Estimate(12.0, 9.0, 15.0, 80)),
            lever("by chance", p=0.2),
        ]
    )
    assert [one.name for one in ranked] == ["quick", "slow work", "most", "by chance"]
    assert first_step(ranked) == (
        "Next: quick: +10.0 points (+4.3 to +15.7) right answers, measured on 80 questions, "
        "+12 ms a request, about 30 minutes of work. It is the best of 2 tried: expect less of it."
    )
    json.dumps([one.to_json() for one in ranked], allow_nan=False)


def test_many_settings_tried_do_not_make_one_help() -> None:
    ranked = rank_levers([lever(f"setting {n}", p=0.03) for n in range(5)])
    assert not any(one.helps for one in ranked)
    assert first_step(ranked).startswith("No lever is shown to help on 80 questions")


def test_the_gain_that_is_told_first_is_read_as_the_best_of_those_tried() -> None:
    """Eight settings that change nothing: the best one's own interval holds 0 in .975⁸ = 82 %."""
    chance, held = np.random.default_rng(0), 0
    for _ in range(200):
        gains = chance.normal(0, 0.05, 8)
        levers = [lever(f"{x}", gain=_around(x, 0.05), p=0.5) for x in gains]
        best = max(rank_levers(levers), key=lambda one: one.gain.value).gain
        held += best.low <= 0 <= best.high
    assert held >= 190
    ranked = rank_levers([lever("a", p=0.001), lever("b", p=0.2), lever("c", p=math.nan)])
    assert ranked[0].gain.low < 0.05 - 0.005
    assert first_step(ranked).endswith("It is the best of 2 tried: expect less of it.")


def test_few_documents_make_an_interval_wider_and_one_lever_alone_keeps_its_own() -> None:
    others = [lever(f"other {n}", p=0.5) for n in range(5)]
    few, many = (rank_levers([lever("k", p=0.5, documents=count), *others]) for count in (5, None))
    width = [next(x.gain.high for x in one if x.name == "k") for one in (few, many)]
    assert width[0] > width[1]
    assert rank_levers([lever("k", p=0.5)])[0].gain == lever("k").gain
    untouched = rank_levers([lever("write", "counted"), *others])
    assert next(x for x in untouched if x.name == "write").gain == lever("write").gain


def _around(value: float, error: float) -> Estimate:
    return Estimate(value, value - 1.9901 * error, value + 1.9901 * error, 80)


def test_a_ceiling_is_never_told_as_a_gain() -> None:
    ranked = rank_levers([lever("train", "ceiling")])
    assert not ranked[0].helps
    assert "at most +10.0 points" in first_step(ranked)
    assert first_step([]).startswith("Nothing to do")


def test_a_gain_is_not_counted_where_nothing_was_right() -> None:
    assert math.isnan(counted_gain(wilson(3, 10), Estimate.undefined("no rows")).value)


def test_settings_go_beyond_what_the_version_has() -> None:
    spec = Spec(
        lexical=LexicalSpec(),
        candidates=CandidateSpec(depth=400),
        reranker=RerankerSpec(model="toy", depth=50),
        generator=ExtractiveSpec(),
    )
    tried = {one.name: one.spec for one in settings_to_try(spec)}
    assert list(tried) == [
        "candidates 400 → 800",
        "passages in the prompt 5 → 10",
        "passages in the prompt 5 → 20",
        "passages in the prompt 5 → 2",
        "tokens in the prompt 1,500 → 3,000",
        "no reranker",
        "reranked hits 50 → 100",
    ]
    assert tried["candidates 400 → 800"].candidates.depth == 800
    assert tried["no reranker"].reranker is None
    assert {one.index_key for one in tried.values()} == {spec.index_key}
