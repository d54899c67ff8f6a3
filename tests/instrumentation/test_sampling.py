"""What is kept, with what chance, and that the chances weigh right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from ragdiag import QueryLogger, Sampling
from ragdiag.errors import InputError
from ragdiag.instrumentation.losses import read_losses
from ragdiag.instrumentation.sampling import is_drawn
from ragdiag.records import Feedback, Request

MakeLogger = Callable[..., QueryLogger]
Spooled = Callable[[], list[Request | Feedback]]
N = 4_000
RATE = 0.1


def serve(logger: QueryLogger) -> None:
    """Every 20th request fails, every 50th is slow, every 100th is disliked at once."""
    for n in range(N):
        request = logger.request(f"question {n}", request_id=f"r{n}")
        if n % 20 == 0:
            request.error("timeout")
        if n % 50 == 1:
            request.latency("generation", 1.0)
            request._started -= 3_000_000_000
        if n % 100 == 2:
            request.feedback("thumbs", -1)
        request.finish()
    assert logger.flush()


def requests(records: Sequence[Request | Feedback]) -> dict[str, Request]:
    return {one.request_id: one for one in records if isinstance(one, Request)}


def test_rules_keep_and_the_draw_decides_the_rest(
    make_logger: MakeLogger, spooled: Spooled
) -> None:
    logger = make_logger(sampling=Sampling(rate=RATE, slow_ms=2_000), capacity=N * 2)
    serve(logger)
    kept = requests(spooled())
    for n in range(N):
        always = n % 20 == 0 or n % 50 == 1 or n % 100 == 2
        assert (f"r{n}" in kept) == (always or is_drawn(f"r{n}", RATE)), n
        if f"r{n}" in kept:
            assert kept[f"r{n}"].keep_probability == (1.0 if always else RATE)
    stats = logger.stats()
    assert stats.sampled_out == N - len(kept)
    weights = {name: 1 / one.keep_probability for name, one in kept.items()}
    failed = {name for name, one in kept.items() if one.status == "error"}
    assert sum(weights[name] for name in failed) == N / 20
    # 3,640 requests were left to the draw: three standard deviations of their estimated number.
    assert abs(sum(weights.values()) - N) < 3 * (3_640 * (1 - RATE) / RATE) ** 0.5
    # The plain share of errors among what was kept is far off, the weighted one is not.
    assert len(failed) / len(kept) > 0.25
    assert sum(weights[name] for name in failed) / sum(weights.values()) == pytest.approx(
        0.05, rel=0.15
    )


def test_a_later_thumbs_down_still_keeps_its_request(
    make_logger: MakeLogger, spooled: Spooled
) -> None:
    logger = make_logger(sampling=Sampling(rate=RATE, remember=100))
    passed_over = [f"r{n}" for n in range(N) if not is_drawn(f"r{n}", RATE)][:150]
    for name in passed_over:
        logger.request("q", request_id=name).finish()
    logger.feedback(passed_over[-1], "thumbs", -1)
    logger.feedback(passed_over[-1], "thumbs", -1)  # it is in the log by now
    logger.feedback(passed_over[-2], "thumbs", 1)
    logger.feedback(passed_over[-3], "click")
    logger.feedback(passed_over[0], "thumbs", -1)  # forgotten: 100 came after it
    elsewhere = next(f"e{n}" for n in range(N) if not is_drawn(f"e{n}", RATE))
    logger.feedback(elsewhere, "thumbs", -1)  # served by another process
    assert logger.flush()
    records = spooled()
    (kept,) = requests(records).values()
    assert (kept.request_id, kept.keep_probability) == (passed_over[-1], 1.0)
    assert len([one for one in records if isinstance(one, Feedback)]) == 6
    stats = logger.stats()
    assert sum(stats.thumbs_down_too_late.values()) == 2
    assert stats.sampled_out == 149


def test_a_thumbs_down_before_the_end_keeps_its_request_and_is_not_too_late(
    make_logger: MakeLogger, spooled: Spooled
) -> None:
    logger = make_logger(sampling=Sampling(rate=RATE, remember=100))
    opened = [logger.request("q", request_id=f"r{n}") for n in range(120)]
    for request in opened:
        logger.feedback(request.request_id, "thumbs", -1)
        logger.feedback(request.request_id, "thumbs", -1)
    assert logger.flush()
    lost = sum(not is_drawn(f"r{n}", RATE) for n in range(120))
    assert sum(logger.stats().thumbs_down_too_late.values()) == 2 * lost
    for request in opened:
        request.finish()
    assert logger.close()
    kept = requests(spooled())
    for n in range(120):  # of 120 thumbs-downs the last 100 are remembered
        chance = 1.0 if n >= 20 else RATE
        assert (f"r{n}" in kept) == (n >= 20 or is_drawn(f"r{n}", RATE))
        assert f"r{n}" not in kept or kept[f"r{n}"].keep_probability == chance
    forgotten = 2 * sum(not is_drawn(f"r{n}", RATE) for n in range(20))
    assert sum(logger.stats().thumbs_down_too_late.values()) == forgotten
    (saved,) = read_losses(logger._workspace)
    assert sum(saved.counts.get("thumbs_down_too_late", {}).values()) == forgotten


def test_a_later_thumbs_down_on_a_request_that_a_rule_kept_is_not_too_late(
    make_logger: MakeLogger, spooled: Spooled
) -> None:
    logger = make_logger(sampling=Sampling(rate=RATE, remember=20))
    for n in range(300):
        request = logger.request("q", request_id=f"r{n}")
        request.error("timeout")
        request.finish()
    for n in range(300):
        logger.feedback(f"r{n}", "thumbs", -1)
    assert logger.flush()
    assert len(requests(spooled())) == 300
    too_late = sum(logger.stats().thumbs_down_too_late.values())
    # The latest 200 are remembered; of the others those that were not drawn are not known.
    assert too_late == sum(not is_drawn(f"r{n}", RATE) for n in range(100))


def test_a_later_thumbs_down_makes_a_drawn_request_certain_while_it_could_be_recalled(
    make_logger: MakeLogger, spooled: Spooled
) -> None:
    logger = make_logger(sampling=Sampling(rate=RATE, remember=3))
    drawn = [f"r{n}" for n in range(N) if is_drawn(f"r{n}", RATE)]
    others = [f"r{n}" for n in range(N) if not is_drawn(f"r{n}", RATE)]
    for name in (drawn[0], others[0], drawn[1], *others[1:3]):
        logger.request("q", request_id=name).finish()
    for name in (drawn[0], drawn[1], others[0], drawn[2]):
        logger.feedback(name, "thumbs", -1)
    logger.feedback(drawn[1], "thumbs", 1)
    assert logger.flush()
    records = spooled()
    said = [
        (one.request_id, one.value, one.certain) for one in records if isinstance(one, Feedback)
    ]
    assert said == [
        (drawn[0], -1, False),  # three were passed over after it
        (drawn[1], -1, True),
        (others[0], -1, False),  # kept, with chance 1
        (drawn[2], -1, False),  # served elsewhere
        (drawn[1], 1, False),
    ]
    assert {one.request_id: one.keep_probability for one in requests(records).values()} == {
        drawn[0]: RATE,
        drawn[1]: RATE,
        others[0]: 1.0,
    }


@pytest.mark.parametrize("rules", [{}, {"keep_thumbs_down": False}, {"remember": 20}])
def test_late_thumbs_down_weigh_right(
    make_logger: MakeLogger, spooled: Spooled, rules: dict[str, Any]
) -> None:
    """Half of all requests are disliked, some of them when no logger remembers them."""
    logger = make_logger(sampling=Sampling(rate=0.5, **rules), capacity=N * 3)
    for n in range(N):
        logger.request("q", request_id=f"r{n}").finish()
        for late in (2, 300):
            if n >= late and (n - late) % 4 == late % 4:
                logger.feedback(f"r{n - late}", "thumbs", -1)
    assert logger.flush()
    records = spooled()
    kept = requests(records)
    disliked = [one for one in records if isinstance(one, Feedback) and one.request_id in kept]
    weights = [1 if one.certain else 1 / kept[one.request_id].keep_probability for one in disliked]
    told = len([one for one in records if isinstance(one, Feedback)])
    # At most all of them were left to the draw: four standard deviations.
    assert abs(sum(weights) - told) < 4 * told**0.5
    assert any(one.certain for one in disliked) == rules.get("keep_thumbs_down", True)


def test_every_process_draws_alike_and_evenly() -> None:
    for rate in (0.01, 0.3, 0.9):
        drawn = sum(is_drawn(f"request {n}", rate) for n in range(20_000))
        assert abs(drawn - 20_000 * rate) < 4 * (20_000 * rate * (1 - rate)) ** 0.5
    wide = {n for n in range(2_000) if is_drawn(str(n), 0.4)}
    assert {n for n in range(2_000) if is_drawn(str(n), 0.2)} < wide


def test_without_sampling_everything_is_kept(logger: QueryLogger, spooled: Spooled) -> None:
    for n in range(20):
        logger.request("q", request_id=f"r{n}").finish()
    assert logger.flush()
    assert {one.keep_probability for one in requests(spooled()).values()} == {1.0}
    assert logger.stats().sampled_out == 0


@pytest.mark.parametrize(
    "settings", [{"rate": 1.5}, {"rate": float("nan")}, {"slow_ms": -1.0}, {"remember": -1}]
)
def test_settings_that_mean_nothing_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(InputError):
        Sampling(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "settings",
    [{"version_id": " "}, {"capacity": 0}, {"log_depth": 0}, {"writer": "../x"}],
)
def test_a_logger_that_could_not_log_is_refused(
    make_logger: MakeLogger, settings: dict[str, object]
) -> None:
    with pytest.raises(InputError):
        make_logger(**settings)
