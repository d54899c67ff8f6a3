"""Weekly metrics against plain loops over the requests."""

from __future__ import annotations

import math
from datetime import date, timedelta
from functools import reduce
from operator import add

import pytest

from ragdiag.drift.tallies import Mean, Quantile, Share
from ragdiag.drift.week import week_report
from ragdiag.drift.weekly import (
    ALL,
    WEEKLY_METRICS,
    Change,
    changes,
    compared,
    estimates,
    moved_beside,
    moved_together,
    user_scatters,
    weekly_cells,
)
from ragdiag.metrics.ranking import score_ranking
from ragdiag.records import Estimate, Weighed
from ragdiag.stats.intervals import Z95, wilson
from ragdiag.stats.weighted import WeightedSums
from ragdiag.store.corpus import load_judgments
from ragdiag.store.lake import Lake
from ragdiag.store.queries import Filters
from ragdiag.store.results import load_requests

FIRST, LAST = date(2025, 9, 1), date(2025, 11, 17)
PRODUCTION = Filters(traffic="production")


@pytest.mark.parametrize(("metric", "name"), [("MRR@10", "MRR@10"), ("recall@10", "recall@10")])
def test_ranking_metrics_in_sql_equal_the_plain_definition(
    toy_lake: Lake, metric: str, name: str
) -> None:
    judged = load_judgments(toy_lake)
    scores: dict[date, list[float]] = {}
    for request in load_requests(toy_lake, traffic="production"):
        day = request.asked_at.date()
        monday = day - timedelta(days=day.weekday())
        score = score_ranking(request.ranking, judged[request.question_id or ""])[name]
        scores.setdefault(monday, []).append(score)
    found = dict(estimates(weekly_cells(toy_lake, PRODUCTION), metric)[ALL])
    assert found.keys() == scores.keys()
    for monday, values in scores.items():
        assert found[monday].value == pytest.approx(sum(values) / len(values))
        assert found[monday].n == len(values)


def test_segments_add_up_to_the_whole(toy_lake: Lake) -> None:
    whole = weekly_cells(toy_lake, PRODUCTION)["correct"][ALL]
    topics = weekly_cells(toy_lake, PRODUCTION, "topic")["correct"]
    for monday, cell in whole.items():
        assert reduce(add, [by_week[monday] for by_week in topics.values()]) == cell


def test_a_fall_is_worse_and_a_quiet_week_is_no_evidence(toy_lake: Lake) -> None:
    cells = weekly_cells(toy_lake, PRODUCTION)
    fallen = {c.metric: c for c in changes(cells, [LAST - timedelta(weeks=1)], [LAST])}
    assert list(fallen) == list(WEEKLY_METRICS)
    assert fallen["correct"].movement == "worse"
    assert fallen["correct"].difference.high < 0
    assert fallen["p95"].movement == "unknown"
    quiet = {c.metric: c for c in changes(cells, [FIRST], [FIRST + timedelta(weeks=1)])}
    assert quiet["correct"].movement == "no evidence"


def test_a_missing_week_is_undefined_not_zero(toy_lake: Lake) -> None:
    cells = weekly_cells(toy_lake, PRODUCTION)
    for change in changes(cells, [date(2001, 1, 1)], [LAST]):
        assert change.movement == "unknown"
        assert change.before.n == 0


def test_the_week_names_the_fault_that_grew(toy_lake: Lake) -> None:
    report = week_report(toy_lake, PRODUCTION, LAST)
    assert report.previous == LAST - timedelta(weeks=1)
    assert report.growth is not None
    assert report.growth.fault.name == "corpus_gap"
    assert report.growth.part > 0.5
    assert report.faults[0].after == wilson(12, 24)
    assert len(report.series["correct"]) == 12
    assert len({fault.name for fault in report.faults}) == len(report.faults)


def test_the_first_week_has_no_growth(toy_lake: Lake) -> None:
    report = week_report(toy_lake, PRODUCTION, FIRST)
    assert report.previous is None
    assert report.growth is None
    assert report.change("correct").movement == "unknown"


def moved(z: float, metric: str = "no_answer") -> Change:
    """A change of ``z`` standard errors, read by itself."""
    found = Estimate(z, z - Z95, z + Z95, 100)
    movement = "no evidence" if found.low <= 0 <= found.high else "worse"
    return Change(metric, Estimate(0, 0, 0, 50), Estimate(0, 0, 0, 50), found, movement)


def test_a_change_has_the_p_of_its_interval() -> None:
    assert moved(Z95).p == pytest.approx(0.05)
    assert moved(-3.0).p == pytest.approx(0.0027, abs=1e-4)
    undefined = Estimate.undefined("none")
    assert math.isnan(Change("p95", undefined, undefined, undefined, "unknown").p)


def test_right_answers_are_read_alone_and_the_others_together() -> None:
    others = [moved(2.1), moved(0.3), moved(-0.5), moved(0.1)]
    read = moved_together([moved(2.1, "correct"), *others])
    assert [one.movement for one in read] == ["worse", *["no evidence"] * 4]
    assert moved_together([moved(2.1, "correct")]) == [moved(2.1, "correct")]
    clear = moved_beside([moved(3.5), moved(3.0), moved(0.1)])
    assert [one.movement for one in clear] == ["worse", "worse", "no evidence"]


def test_users_who_ask_again_widen_what_a_week_tells(toy_lake: Lake) -> None:
    weeks = [FIRST], [FIRST + timedelta(weeks=1)]
    cells = weekly_cells(toy_lake, PRODUCTION)
    alone = changes(cells, *weeks)
    users = [user_scatters(toy_lake, PRODUCTION, some) for some in weeks]
    found = compared(cells, *weeks, users)[ALL]
    assert [one.metric for one in found] == list(WEEKLY_METRICS)
    for before, after in zip(alone, found, strict=True):
        assert after.difference.value == pytest.approx(before.difference.value, nan_ok=True)
        if not math.isnan(before.difference.low):
            assert after.difference.low <= before.difference.low
            assert after.difference.high >= before.difference.high
    nobody = Filters(traffic="canary")
    assert user_scatters(toy_lake, nobody, *weeks[:1]) == {}
    assert compared(weekly_cells(toy_lake, nobody), *weeks, [{}, {}]) == {}


def test_tallies_pool() -> None:
    one, two, three = map(Weighed.of, (1, 2, 3))
    assert Share(one, two) + Share(two, three) == Share(three, Weighed.of(5))
    pooled = Mean(WeightedSums(two, one, one)) + Mean(WeightedSums(one, one, one))
    assert pooled.estimate().value == pytest.approx(2 / 3)
    assert pooled.estimate().high <= 1.0
    values = Quantile((1.0, 3.0), None, 0.5) + Quantile((2.0,), None, 0.5)
    assert values.estimate().value == 2.0
    assert (values + Quantile((9.0,), (4.0,), 0.5)).estimate().value == 9.0
