"""Strata that labels were drawn by, found again where only the labels are there."""

from __future__ import annotations

import numpy as np
import pytest

from ragdiag.stats.label_sampling import draw_labels
from ragdiag.stats.mixed_labels import corrected_rate
from ragdiag.workflows.grading.label_strata import Row, choose_strata

TOPICS, ROWS, LABELS, ROUNDS = 10, 1_000, 100, 60


def logged(chance: np.random.Generator, drawn_by_topic: bool, seed: int) -> tuple[list[Row], float]:
    """Ten topics of unequal sizes, the larger the easier; as many labels of each stratum."""
    topics = chance.choice(TOPICS, ROWS, p=np.arange(1, TOPICS + 1) / 55)
    truth = chance.random(ROWS) < 0.3 + 0.06 * topics
    graded = np.where(truth, chance.random(ROWS) < 0.85, chance.random(ROWS) < 0.07)
    strata = {
        str(n): f"{graded[n]} {topics[n]}" if drawn_by_topic else str(graded[n])
        for n in range(ROWS)
    }
    told = {one.row_id for one in draw_labels(strata, LABELS, seed=seed)}
    rows = [
        Row(
            "right" if graded[n] else "wrong",
            1.0,
            int(truth[n]) if str(n) in told else None,
            {"topic": str(topics[n])},
        )
        for n in range(ROWS)
    ]
    return rows, float(truth.mean())


@pytest.mark.parametrize("drawn_by_topic", [True, False])
def test_the_rate_holds_the_truth_by_whatever_the_labels_were_drawn(drawn_by_topic: bool) -> None:
    chance = np.random.default_rng(3)
    held = refused = 0
    errors = []
    for seed in range(ROUNDS):
        rows, truth = logged(chance, drawn_by_topic, seed)
        chosen = choose_strata(rows, ["topic"])
        assert chosen.reason is None
        found = corrected_rate(chosen.cells)
        held += found.low <= truth <= found.high
        errors.append(found.value - truth)
        refused += choose_strata(rows, ["topic"], fixed=()).reason is not None
    assert held / ROUNDS >= 0.9
    assert abs(np.mean(errors)) < 0.015
    assert refused == (ROUNDS if drawn_by_topic else 0)


def row(label: int | None, said: str = "right", weight: float = 1.0, **facts: str) -> Row:
    return Row(said, weight, label, facts)


def test_the_finest_strata_with_labels_are_taken() -> None:
    rows = [
        row(label, topic=topic, default=default)
        for topic in "ab"
        for default in ("right", "wrong")
        for label in (1, None)
    ]
    assert choose_strata(rows, ["topic", "default"]).by == ("topic", "default")
    rows.append(row(None, topic="c", default="right"))
    assert choose_strata(rows, ["topic", "default"]).by == ("default",)
    rows.append(row(None, topic="a", default="undecided"))
    assert choose_strata(rows, ["topic", "default"]).by == ()
    assert choose_strata(rows, ["topic", "default"], fixed=("topic",)).by == ("topic",)
    assert choose_strata([row(1, topic="a")], ["topic"]).by == ()  # one topic is no stratum


def test_weights_and_grades_are_cells_and_the_grades_groups() -> None:
    rows = [row(1, topic="a"), row(0, topic="a", weight=4.0), row(0, "wrong", topic="a")]
    cells = choose_strata(rows, ["topic"]).cells
    assert [(c.group, c.weight, c.rows, c.labelled, c.right) for c in cells] == [
        ("right", 1.0, 1, 1, 1),
        ("right", 4.0, 1, 1, 0),
        ("wrong", 1.0, 1, 1, 0),
    ]


def test_labels_that_favour_topics_give_no_rate_where_others_have_none() -> None:
    rows = [row(1, topic="a") for _ in range(30)] + [row(None, topic="b") for _ in range(30)]
    chosen = choose_strata(rows, ["topic"])
    assert chosen.by == ()
    assert chosen.reason == "labels are not spread at random by topic, and some have none"
    few = [row(1 if n < 5 else None, topic="a" if n < 30 else "b") for n in range(33)]
    assert choose_strata(few, ["topic"]).reason is None  # chance leaves out a small topic
    assert choose_strata([row(None, topic=one) for one in "ab"], ["topic"]).reason is None
