"""Accepted answers that cannot both be right, and many that can."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragdiag.metrics.contradictions import find_contradiction


@pytest.mark.parametrize(
    ("answers", "found"),
    [
        (["yes", "No."], True),
        (["True", "false"], True),
        (["1889", "1890"], True),
        (["in 1889", "1889", "1890"], True),
        (["12 hours", "15"], False),  # the unit of one is not known
        (["12 hours a day", "15 hours a day"], True),
        (["3.0", "3.04"], False),  # it rounds to the other
        (["10 to 20", "15"], False),
        (["five", "5"], False),
        (["2 cats", "3 dogs"], False),
        (["2 of 3", "3 of 4"], False),
        (["No more than five people at a time", "yes"], False),
        (["none", "yes"], False),
        (["Paris", "London"], False),
        (["60 minutes", "2 hours"], False),  # other units are not compared
        (["two dozen", "24"], False),
        (["300 K", "27"], False),
        (["5 pm", "17"], False),
        (["5pm", "17"], False),
        (["$5", "£4"], False),
        (["$5", "$4"], True),
        (["£5", "4 £"], True),
        (["Python 3.8", "Python 3.9"], False),  # names
        (["over 5", "over 6"], False),  # both may be right
        (["<5", "3"], False),
        (["twenty-five cats", "26 cats"], True),
        (["1.2km", "1.3 km"], True),
        (["5", "6", "7"], False),  # a list of answers
        (["5", "five", "6"], True),
        (["5", "6", "7", "yes", "no"], True),
        (["only"], False),
        ([], False),
    ],
)
def test_only_what_is_sure_is_a_contradiction(answers: list[str], found: bool) -> None:
    assert (find_contradiction(answers) is not None) is found


@given(st.lists(st.sampled_from(["yes", "no", "12", "13 km", "twelve", "Paris", ""]), max_size=4))
def test_it_does_not_depend_on_the_order_and_needs_two(answers: list[str]) -> None:
    told = find_contradiction(answers)
    assert (find_contradiction(answers[::-1]) is None) == (told is None)
    assert find_contradiction(answers[:1] * 3) is None
