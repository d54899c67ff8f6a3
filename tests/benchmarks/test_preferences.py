"""Preferences by rules on words: what is learned for a domain is learned on the others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.graders import read_preferred, score_differences
from benchmarks.preferences import choose_by_domain, correlate, more_than, weigh_by_domain
from ragdiag.grading.rules import rule_grader

CHANCE = np.random.default_rng(0)
DOMAINS = np.array(["a", "b", "c"]).repeat(20)
SAID = CHANCE.integers(-2, 3, size=(60, 2)).astype(float)
RULES = {
    "echo": SAID.mean(axis=1) + CHANCE.normal(size=60),
    "noise": CHANCE.normal(size=60),
}


@pytest.mark.parametrize("learn", [choose_by_domain, weigh_by_domain])
def test_a_domain_is_scored_without_its_own_labels(learn: object) -> None:
    mine = DOMAINS == "b"
    other = SAID.copy()
    other[mine] = -other[mine] * 7
    before, after = (learn(RULES, labels, DOMAINS) for labels in (SAID, other))  # type: ignore[operator]
    assert before[mine].tolist() == after[mine].tolist()


def test_the_rule_that_follows_people_elsewhere_is_taken() -> None:
    assert choose_by_domain(RULES, SAID, DOMAINS).tolist() == RULES["echo"].tolist()
    weighed = weigh_by_domain(RULES, SAID, DOMAINS)
    assert correlate(weighed, SAID) > correlate(RULES["noise"], SAID)


def test_a_score_is_no_better_than_itself_and_better_than_noise() -> None:
    same = more_than(RULES["echo"], RULES["echo"], SAID)
    assert (same.value, same.low, same.high, same.n) == (0.0, 0.0, 0.0, 60)
    assert more_than(RULES["echo"], RULES["noise"], SAID).low > 0


def test_new_words_are_more_than_content_words_over_all_pairs(shared_data: Path) -> None:
    pairs, people = read_preferred(shared_data / "ragchecker")
    said = np.array(people["overall"], dtype=float)
    new, floor = (
        np.array(score_differences(rule_grader(name, None), pairs))
        for name in ("new_words_f1", "content_f1")
    )
    found = more_than(new, floor, said)
    assert found.value == pytest.approx(0.069, abs=5e-4)
    assert 0 < found.low < found.value < found.high
