"""A judge that takes its verdicts back: which it is asked about again, and what is counted."""

from __future__ import annotations

import json

from ragdiag.grading.contract import Item
from ragdiag.grading.flips import drawn_again, measure_flips
from tests.faulty_server import FaultyServer
from tests.grading.conftest import CORRECT, Judged, completion

ITEMS = [Item(f"r{n}", "How many?", f"{n} of them.", golds=(str(n),)) for n in range(9)]


def test_the_same_are_drawn_each_time_and_none_that_no_judge_is_asked_about(judge: Judged) -> None:
    told = [Item("no gold", "q", "a"), Item("said nothing", "q", "", "no_answer", ("7",))]
    drawn = drawn_again(judge(), [*told, *ITEMS], 5)
    assert len(drawn) == 5
    assert drawn == drawn_again(judge(), [*reversed(ITEMS), *told], 5)
    assert drawn[:3] == drawn_again(judge(), ITEMS, 3)
    assert set(drawn_again(judge(), [*told, *ITEMS], 100)) == set(ITEMS)


def test_what_is_kept_is_neither_read_nor_changed(
    judge: Judged, faulty_server: FaultyServer
) -> None:
    faulty_server.answers(200, completion(CORRECT))
    one = judge()
    first = one.grade(ITEMS)
    faulty_server.answers(200, completion({"reason": "x", "verdict": "incorrect"}))
    assert measure_flips(one, ITEMS, first, 4).rate.value == 1
    assert one.grade(ITEMS) == first
    assert len(faulty_server.seen) == len(ITEMS) + 4


def test_no_judgement_is_no_flip(judge: Judged, faulty_server: FaultyServer) -> None:
    faulty_server.answers(200, completion(CORRECT))
    one = judge()
    first = one.grade(ITEMS)
    faulty_server.says(
        lambda prompt: "I refuse." if "\n3 of them" in prompt else json.dumps(CORRECT)
    )
    found = measure_flips(one, ITEMS, first, len(ITEMS))
    assert (found.rate.value, found.rate.n, found.undecided) == (0, 8, 1)
    faulty_server.answers(200, completion("I refuse."))
    found = measure_flips(one, ITEMS, first, 3)
    assert (found.rate.n, found.undecided) == (0, 3)
    assert found.to_json()["value"] is None
    assert found.rate.reason
