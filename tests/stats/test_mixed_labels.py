"""Corrected rates: what the judge alone gets wrong, they cover."""

from __future__ import annotations

import numpy as np
import pytest

from ragdiag.records import Weighed
from ragdiag.stats.intervals import score_interval, wilson
from ragdiag.stats.mixed_labels import Cell, Confusion, corrected_rate, rogan_gladen_rate

ROUNDS, ROWS, LABELS = 100, 1_000, 60


def simulate(chance: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth and grade of a biased judge (sensitivity .85, specificity .93) over two topics, of
    which the small one is mostly wrong."""
    topic = (chance.random(ROWS) < 0.2).astype(int)
    truth = (chance.random(ROWS) < np.where(topic == 1, 0.3, 0.85)).astype(int)
    graded = (chance.random(ROWS) < np.where(truth == 1, 0.85, 0.07)).astype(int)
    return topic, truth, graded


def test_few_labels_cover_the_truth_where_the_judge_alone_does_not() -> None:
    chance = np.random.default_rng(3)
    corrected = alone = 0
    for _ in range(ROUNDS):
        topic, truth, graded = simulate(chance)
        labelled = np.zeros(ROWS, dtype=bool)
        for stratum in (0, 1):
            members = np.flatnonzero(topic == stratum)
            labelled[chance.choice(members, LABELS // 2, replace=False)] = True
        cells = [
            Cell(int(cell.sum()), int((cell & labelled).sum()), int(truth[cell & labelled].sum()))
            for stratum in (0, 1)
            for f in (0, 1)
            for cell in [(topic == stratum) & (graded == f)]
        ]
        found, rate = corrected_rate(cells), float(truth.mean())
        corrected += found.low <= rate <= found.high
        judged = wilson(int(graded.sum()), ROWS)
        alone += judged.low <= rate <= judged.high
    assert 0.9 <= corrected / ROUNDS <= 0.99
    assert alone / ROUNDS < 0.3


def test_old_labels_cover_the_rate_of_a_new_window() -> None:
    chance = np.random.default_rng(4)
    covered = 0
    for seed in range(ROUNDS):
        past = Confusion(int(chance.binomial(80, 0.85)), 80, int(chance.binomial(80, 0.93)), 80)
        graded = int(chance.binomial(ROWS, 0.4 * 0.85 + 0.6 * 0.07))
        found = rogan_gladen_rate(Weighed.of(graded), Weighed.of(ROWS), past, seed)
        covered += found.low <= 0.4 <= found.high
    assert 0.9 <= covered / ROUNDS <= 0.99


def test_a_sampled_log_covers_the_rate_of_all_requests() -> None:
    """Wrong answers are logged for certain and right ones by chance; the judge is wrong of both."""
    chance = np.random.default_rng(5)
    by_labels = by_the_past = 0
    for seed in range(ROUNDS):
        _, truth, graded = simulate(chance)
        certain = (truth == 0) & (chance.random(ROWS) < 0.8)
        logged = certain | (chance.random(ROWS) < 0.25)
        cells = []
        for is_certain, f in ((True, 0), (True, 1), (False, 0), (False, 1)):
            members = np.flatnonzero(logged & (certain == is_certain) & (graded == f))
            told = truth[chance.permutation(members)[:20]]
            weight = 1.0 if is_certain else 4.0
            cells.append(Cell(len(members), len(told), int(told.sum()), weight))
        found = corrected_rate(cells)
        by_labels += found.low <= truth.mean() <= found.high
        weights = np.where(certain, 1.0, 4.0)
        right, known = (Weighed.counted(list(weights[m])) for m in (logged & (graded == 1), logged))
        past = Confusion(int(chance.binomial(80, 0.85)), 80, int(chance.binomial(80, 0.93)), 80)
        old = rogan_gladen_rate(right, known, past, seed)
        by_the_past += old.low <= truth.mean() <= old.high
    assert by_labels / ROUNDS >= 0.9
    assert by_the_past / ROUNDS >= 0.9


def test_a_cell_without_a_label_leaves_the_rate_unknown() -> None:
    found = corrected_rate([Cell(990, 0, 0), Cell(60, 25, 0), Cell(1, 0, 0)])
    assert np.isnan([found.value, found.low, found.high]).all()
    assert (found.n, found.reason) == (25, "no label in 2 of 3 strata (991 answers)")
    assert corrected_rate([Cell(0, 0, 0), Cell(60, 25, 0)]).reason is None


def test_settled_rows_count_for_certain_and_are_no_labels() -> None:
    answered = [Cell(300, 30, 27), Cell(100, 20, 2)]
    alone, found = corrected_rate(answered), corrected_rate([*answered, Cell.known(400, 0, 1.0)])
    assert found.n == alone.n == 50
    assert [found.value, found.low, found.high] == pytest.approx(
        [alone.value / 2, alone.low / 2, alone.high / 2], abs=0.005
    )
    assert corrected_rate([Cell(90, 10, 9), Cell.known(400, 0, 1.0)]).reason == (
        "a rate needs 20 labels"
    )
    assert corrected_rate([Cell(90, 0, 0), Cell.known(400, 0, 1.0)]).reason == "no human label"
    certain = corrected_rate([Cell.known(9, 0, 1.0), Cell(1, 1, 1)])
    assert (certain.value, certain.low, certain.high) == pytest.approx((0.1,) * 3)
    assert corrected_rate([Cell.known(9, 0, 4.0)]).high == 0
    past = Confusion(68, 80, 74, 80)
    right, graded, settled = (Weighed.of(n) for n in (300, 500, 500))
    old = rogan_gladen_rate(right, graded, past)
    half = rogan_gladen_rate(right, graded, past, settled=settled)
    assert (half.n, half.value, half.low) == pytest.approx((1000, old.value / 2, old.low / 2))


def test_a_sampled_log_with_settled_rows_covers_the_rate_of_all_requests() -> None:
    """A third is declined and 1 of 8 of them is logged; of the answers 1 of 4 is."""
    chance = np.random.default_rng(6)
    by_labels = by_the_past = 0
    for seed in range(ROUNDS):
        _, truth, graded = simulate(chance)
        declined = chance.random(ROWS) < 1 / 3
        truth[declined] = graded[declined] = 0
        logged = chance.random(ROWS) < np.where(declined, 1 / 8, 1 / 4)
        settled = int((logged & declined).sum())
        cells = [Cell.known(settled, 0, 8.0)]
        for f in (0, 1):
            members = np.flatnonzero(logged & ~declined & (graded == f))
            told = truth[chance.permutation(members)[:30]]
            cells.append(Cell(len(members), len(told), int(told.sum()), 4.0))
        found = corrected_rate(cells)
        by_labels += found.low <= truth.mean() <= found.high
        right, known, none = (
            Weighed.counted([weight] * int(rows.sum()))
            for rows, weight in (
                (logged & ~declined & (graded == 1), 4.0),
                (logged & ~declined, 4.0),
                (logged & declined, 8.0),
            )
        )
        past = Confusion(int(chance.binomial(80, 0.85)), 80, int(chance.binomial(80, 0.93)), 80)
        old = rogan_gladen_rate(right, known, past, seed, settled=none)
        by_the_past += old.low <= truth.mean() <= old.high
    assert by_labels / ROUNDS >= 0.9
    assert by_the_past / ROUNDS >= 0.9


def test_one_label_tells_no_rate() -> None:
    found = corrected_rate([Cell(990, 0, 0), Cell(10, 1, 0)])
    assert np.isnan([found.value, found.low, found.high]).all()
    assert (found.n, found.reason) == (1, "a rate needs 20 labels")


def test_all_labelled_leaves_nothing_open() -> None:
    cells = [Cell(10, 10, 9), Cell(5, 5, 1)]
    found = corrected_rate(cells)
    assert (found.value, found.low, found.high) == pytest.approx((10 / 15,) * 3)


def test_the_value_is_the_stratified_mean_and_lone_cells_have_their_own_score_intervals() -> None:
    cells = [Cell(800, 40, 36), Cell(200, 50, 5)]
    found = corrected_rate(cells)
    below = above = value = 0.0
    for cell, share in zip(cells, (0.8, 0.2), strict=True):
        rate = cell.right / cell.labelled
        low, high = score_interval(rate, cell.labelled / (1 - cell.labelled / cell.rows))
        value += share * rate
        below += (share * (rate - low)) ** 2
        above += (share * (high - rate)) ** 2
    assert (found.value, found.low, found.high) == pytest.approx(
        (value, value - below**0.5, value + above**0.5)
    )


def test_cells_of_a_group_have_one_interval_by_their_variances() -> None:
    """Two topics of one grade: Σ s²·v·(1/n − 1/N), or with the group's own variance if more."""
    for cells in ([(600, 4, 4), (400, 16, 8)], [(600, 10, 5), (400, 10, 5)]):
        found = corrected_rate([Cell(*one, group="right") for one in cells])
        rate = sum(rows / 1000 * right / n for rows, n, right in cells)
        own, pooled = 0.0, 0.0
        for rows, n, right in cells:
            factor = (rows / 1000) ** 2 * (1 / n - 1 / rows)
            q = (right + rate) / (n + 1)
            own += factor * q * (1 - q) / (1 - n / (n + 1) ** 2)
            pooled += factor * rate * (1 - rate)
        n = rate * (1 - rate) / max(own, pooled)
        assert (found.value, found.low, found.high) == pytest.approx(
            (rate, *score_interval(rate, n))
        )


def test_many_topics_pull_the_rate_nowhere() -> None:
    """19 of 20 are right in each of ten topics; a Beta(½, ½) for each cell says 93 %."""
    cells = [Cell(100, 20, 19, group="right") for _ in range(10)]
    found = corrected_rate(cells)
    assert found.value == pytest.approx(0.95)
    one = corrected_rate([Cell(1000, 200, 190)])
    assert found.low == pytest.approx(one.low, abs=0.002)
    assert corrected_rate([Cell(90, 20, 20), Cell(10, 1, 0)]).high <= 0.99  # one is known wrong


def test_what_cannot_be_said_has_its_reason() -> None:
    assert corrected_rate([]).reason == "no rows"
    assert corrected_rate([Cell(10, 0, 0)]).reason == "no human label"
    one, two = Weighed.of(1), Weighed.of(2)
    assert rogan_gladen_rate(one, two, Confusion(0, 0, 1, 1)).reason == "one label only"
    few = corrected_rate([Cell(100, 10, 9), Cell(100, 9, 0)])
    assert np.isnan(few.value)
    assert few.reason == "a rate needs 20 labels"
    assert corrected_rate([Cell(10, 10, 9)]).low == pytest.approx(0.9)  # every row has one
    assert corrected_rate([Cell(10, 10, 9, weight=2)]).reason == few.reason  # every logged one
    with pytest.raises(ValueError, match="3 right of 2 labelled"):
        Cell(10, 2, 3)
