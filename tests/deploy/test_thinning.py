"""What is left of a sampled log is a plain sample, whatever rules kept the rest."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from ragdiag.deploy.thinning import lowest_chance, thin
from ragdiag.instrumentation.sampling import Sampler, Sampling
from ragdiag.records import Request
from ragdiag.store.outcomes import Outcome

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
N = 20_000


def requests() -> list[tuple[Request, bool]]:
    """Each with whether it gets a thumbs-down: a tenth fails, a fifth is slow, a tenth disliked."""
    chance = np.random.default_rng(5)
    return [
        (
            Request(
                f"r{n}",
                MONDAY + timedelta(seconds=n),
                "v",
                "production",
                "q",
                status="error" if chance.random() < 0.1 else "ok",
                latency_ms={"total": 900.0 if chance.random() < 0.2 else 90.0},
            ),
            bool(chance.random() < 0.1),
        )
        for n in range(N)
    ]


def outcome(request: Request, *, disliked: bool = False) -> Outcome:
    total = request.latency_ms["total"]
    return Outcome(
        request.request_id,
        request.asked_at,
        *("u", "q", None),
        request.status,
        *(total, total, math.nan, None, math.nan, None),
        -1 if disliked else None,
        False,
        request.keep_probability,
    )


def shares(outcomes: list[Outcome]) -> list[float]:
    """Of failed, slow and disliked ones."""
    return [
        float(np.mean(marks))
        for marks in (
            [one.status == "error" for one in outcomes],
            [one.total_ms > 500 for one in outcomes],
            [one.thumbs == -1 for one in outcomes],
        )
    ]


def logged(rates: list[float]) -> list[Outcome]:
    """By services that keep what rules name, and each its rate of the rest; a thumbs-down comes
    when its request has been decided on."""
    samplers = [Sampler(Sampling(rate=rate, slow_ms=500)) for rate in rates]
    found = []
    for n, (request, disliked) in enumerate(requests()):
        sampler = samplers[n % len(samplers)]
        kept = sampler.choose(request, thumbs_down=False)
        if kept is None and disliked:
            kept = sampler.recall(request.request_id)
        if kept is not None:
            found.append(outcome(kept, disliked=disliked))
    return found


@pytest.mark.parametrize("rates", [[0.1], [0.4, 0.1]])
def test_what_is_left_was_drawn_by_one_chance(rates: list[float]) -> None:
    everything = logged(rates)
    assert shares(everything)[0] > 0.15, "rules keep more of what failed"
    assert lowest_chance(everything) == 0.1
    left = thin(everything, 0.1)
    assert len(left) == pytest.approx(0.1 * N, rel=0.06)
    assert shares(left) == pytest.approx([0.1, 0.2, 0.1], abs=0.02)
    assert thin(left, 0.1) == left


def test_it_does_not_matter_who_drew() -> None:
    """Another logger than ours draws by no hash of the id."""
    chance = np.random.default_rng(3)
    found = []
    for n, (request, _) in enumerate(requests()):
        rate = (0.1, 0.4)[n % 2]
        if request.status == "error":
            found.append(outcome(request))
        elif chance.random() < rate:
            found.append(outcome(replace(request, keep_probability=rate)))
    left = thin(found, 0.1)
    assert len(left) == pytest.approx(0.1 * N, rel=0.06)
    assert shares(left)[0] == pytest.approx(0.1, abs=0.02)


def test_a_smaller_chance_counts_from_its_first_request_on() -> None:
    everything = [outcome(request) for request, _ in requests()[:1_000]]
    assert thin(everything, 1.0) == everything
    later = [replace(everything[500], keep_probability=0.1), *everything[501:]]
    left = thin([*everything[:500], *later], 1.0)
    assert left[:501] == [*everything[:500], later[0]]
    assert 25 < len(left) - 501 < 75
