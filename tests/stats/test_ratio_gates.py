from __future__ import annotations

import json
import math
from collections import Counter

import numpy as np
import pytest

from ragdiag.stats.contrasts import independent_means, paired_means
from ragdiag.stats.quantile_ratios import independent_quantiles, paired_quantiles
from ragdiag.stats.ratio_gates import gate_cost, gate_latency


def latencies(seed: int, n: int, factor: float = 1.0) -> list[float]:
    drawn = np.random.default_rng(seed).lognormal(4, 0.3, n) * factor
    return [float(one) for one in drawn]


def decisions(factor: float, runs: int = 60, n: int = 300) -> Counter[str]:
    return Counter(
        gate_latency(
            independent_quantiles(latencies(run, n), latencies(run + 1_000, n, factor), 0.95)
        ).decision
        or ""
        for run in range(runs)
    )


def test_equally_fast_versions_are_rarely_rolled_back_and_slow_ones_never_pass() -> None:
    same, slow = decisions(1.0), decisions(1.5)
    assert same["rollback"] <= 4
    assert same["pass"] > 3
    assert slow["rollback"] > 50
    assert slow["pass"] == 0


def test_p95_must_also_keep_its_slo() -> None:
    a = latencies(0, 800)
    found = paired_quantiles(a, a, 0.95)
    assert gate_latency(found).decision == "pass"
    for slo, decision in ((1.5 * found.b, "pass"), (found.b, "inconclusive"), (60, "rollback")):
        assert gate_latency(found, slo).decision == decision
    near = gate_latency(found, 1.02 * found.b)
    assert near.reason.startswith("p95 may miss its SLO")
    assert near.needed_n is not None
    assert near.needed_n > 800


@pytest.mark.parametrize("n", [0, 20, 72])
def test_few_requests_say_nothing_about_p95(n: int) -> None:
    found = gate_latency(paired_quantiles([10.0] * n, [90.0] * n, 0.95), slo_ms=20)
    assert found.decision == "inconclusive"
    assert found.needed_n == (73 if n else None)


def test_a_handful_of_users_says_nothing_either() -> None:
    users = [n % 10 for n in range(200)]
    drawn = independent_quantiles(
        [10.0] * 200, [9.0] * 200, 0.95, clusters_a=users, clusters_b=users
    )
    found = gate_latency(drawn)
    assert (found.decision, found.needed_n) == ("inconclusive", 600)


def test_times_of_zero_have_no_ratio() -> None:
    found = gate_latency(paired_quantiles([0.0] * 100, [1.0] * 100, 0.95))
    assert (found.decision, found.needed_n) == ("inconclusive", None)
    document = gate_latency(paired_quantiles([1.0] * 100, [0.0] * 100, 0.95)).to_json()
    assert document["decision"] == "pass"
    json.dumps(document, allow_nan=False)


def test_where_the_p95_of_a_may_be_zero_the_ratio_has_no_interval() -> None:
    a, b = [0.0] * 76 + [1.0] * 5, [0.0] * 70 + [1.0] * 11
    found = gate_latency(paired_quantiles(a, b, 0.95))
    assert (found.decision, found.change.value, found.needed_n) == ("inconclusive", 1.0, None)
    assert math.isnan(found.change.low)
    assert found.reason == found.change.reason == "p95 of A may be 0, so the ratio has no interval"
    never_zero = gate_latency(paired_quantiles(a, [1.0] * 81, 0.95))
    assert (never_zero.decision, never_zero.needed_n) == ("inconclusive", None)
    json.dumps(never_zero.to_json(), allow_nan=False)


def test_the_ratios_interval_is_fiellers() -> None:
    generator = np.random.default_rng(3)
    a = generator.lognormal(-7, 0.4, 200)
    b = 1.05 * a * generator.lognormal(0, 0.1, 200)
    found = gate_cost(paired_means(a.tolist(), b.tolist()))
    t = 1.9719565
    v_a, v_b = a.var(ddof=1) / 200, b.var(ddof=1) / 200
    v_ab = np.cov(a, b)[0, 1] / 200
    # (mean_b − r mean_a)² = t² (v_b − 2 r v_ab + r² v_a), solved for r.
    roots = np.roots(
        [
            a.mean() ** 2 - t**2 * v_a,
            -2 * (a.mean() * b.mean() - t**2 * v_ab),
            b.mean() ** 2 - t**2 * v_b,
        ]
    )
    assert (found.change.low, found.change.high) == pytest.approx(tuple(sorted(roots)), rel=1e-5)
    assert found.change.value == pytest.approx(b.mean() / a.mean())


def test_the_bound_decides_just_as_the_contrast_does() -> None:
    for seed in range(40):
        generator = np.random.default_rng(seed)
        a, b = generator.lognormal(-7, 0.5, 40).tolist(), generator.lognormal(-7, 0.5, 60).tolist()
        means = independent_means(a, b)
        upper = gate_cost(means).bounds["ratio_upper"]
        assert (upper <= 1.1) == (means.contrast(1.1).upper(0.95) <= 0)


def test_cost_is_judged_where_both_versions_have_one() -> None:
    generator = np.random.default_rng(4)
    a = generator.lognormal(-7, 0.3, 200).tolist()
    assert gate_cost(paired_means(a, [1.3 * x for x in a])).decision == "rollback"
    assert gate_cost(paired_means(a, [0.9 * x for x in a])).decision == "pass"
    noisy = [x * (3.0 if n % 3 == 0 else 0.1) for n, x in enumerate(a)]
    unclear = gate_cost(paired_means(a, noisy))
    assert unclear.decision == "inconclusive"
    assert unclear.needed_n is not None
    assert unclear.needed_n > 200


def test_what_has_no_price_is_not_judged() -> None:
    found = gate_cost(paired_means([math.nan] * 50, [0.01] * 50))
    assert found.decision is None
    assert found.to_json()["ratio"]["reason"] == "no request of one version has a cost"


def test_free_versions() -> None:
    assert gate_cost(paired_means([0.0] * 50, [0.0] * 50)).decision == "pass"
    dearer = gate_cost(paired_means([0.0] * 50, [0.1] * 50))
    assert (dearer.decision, dearer.reason) == ("inconclusive", "A costs nothing and B does")
    cheaper = gate_cost(paired_means([0.1, 0.2] * 50, [0.0] * 100))
    assert (cheaper.decision, cheaper.change.value) == ("pass", 0.0)


def test_few_costs_decide_nothing() -> None:
    found = gate_cost(paired_means([0.01] * 10, [0.01] * 10))
    assert (found.decision, found.needed_n) == ("inconclusive", 30)


def test_one_document_has_a_ratio_of_p95_and_no_interval() -> None:
    found = gate_latency(paired_quantiles([10.0] * 80, [11.0] * 80, 0.95, clusters="d" * 80))
    assert (found.decision, found.change.value) == ("inconclusive", 1.1)
    assert math.isnan(found.change.low)
    assert math.isnan(found.change.high)
    assert found.change.reason == "below two clusters there is no interval"
    assert set(found.to_json()["bounds"].values()) == {None}
