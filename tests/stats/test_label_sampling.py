"""What to label: chances are known and right, small strata are not forgotten."""

from __future__ import annotations

from collections import Counter

import pytest

from ragdiag.stats.label_sampling import draw_labels

ROWS = {f"r{n:03}": "wrong" if n % 10 == 0 else "right" for n in range(200)}


def test_allocations() -> None:
    equal = Counter(drawn.stratum for drawn in draw_labels(ROWS, 30))
    plain = Counter(drawn.stratum for drawn in draw_labels(ROWS, 30, allocation="proportional"))
    assert equal == {"wrong": 15, "right": 15}
    assert plain == {"wrong": 3, "right": 27}
    assert len(draw_labels(ROWS, 2, allocation="proportional")) == 2
    assert {d.stratum for d in draw_labels(ROWS, 2, allocation="proportional")} == {
        "wrong",
        "right",
    }


def test_every_row_has_its_stated_chance() -> None:
    seen: Counter[str] = Counter()
    for seed in range(600):
        seen.update(drawn.row_id for drawn in draw_labels(ROWS, 30, seed=seed))
    stated = {drawn.stratum: drawn.propensity for drawn in draw_labels(ROWS, 30)}
    for stratum, chance in stated.items():
        counts = [seen[row] / 600 for row, kind in ROWS.items() if kind == stratum]
        assert sum(counts) / len(counts) == pytest.approx(chance)
        assert max(abs(count - chance) for count in counts) < 0.09


def test_the_draw_hangs_on_rows_and_seed_alone() -> None:
    turned = dict(reversed(ROWS.items()))
    assert draw_labels(turned, 30, seed=2) == draw_labels(ROWS, 30, seed=2)
    assert draw_labels(ROWS, 30, seed=3) != draw_labels(ROWS, 30, seed=2)
    assert len(draw_labels(ROWS, 999)) == 200
    assert draw_labels({}, 5) == []
