"""What the demo knows of answers without anybody's label, on answers made by hand."""

from __future__ import annotations

import pytest

from ragdiag.demo.known_truth import GRADERS, known_correct, known_grounded
from ragdiag.demo.questions import Asked
from ragdiag.grading.contract import Item
from ragdiag.grading.graders import BY_CITATIONS, LOCAL
from ragdiag.records import ContextPassage, GoldAnswer, Judgment, Question
from ragdiag.store.calibrations import KNOWN_TRUTH

ASKED = Asked(
    Question("q", "What is the default?", "t"),
    "default",
    "entry",
    "test",
    (Judgment("q", "gold", 2, "test"), Judgment("q", "near", 1, "test")),
    GoldAnswer("q", ("0.5",)),
)


@pytest.mark.parametrize(
    ("answer", "cited", "label"),
    [
        ("The default is 0.5.", "gold", 1),
        ("The default is 0.5.", "near", 0),  # of something else
        ("It is a float.", "gold", 0),
        ("", "", 0),
    ],
)
def test_right_is_what_a_gold_passage_says(answer: str, cited: str, label: int) -> None:
    item = Item("r", ASKED.question.text, answer, citations=(cited,) if cited else ())
    found = known_correct([item], {"r": ASKED})
    assert (found.source, found.labels, list(found.items)) == (KNOWN_TRUTH, {"r": label}, ["r"])


def test_grounded_is_what_stands_beside_its_own_context() -> None:
    def item(name: str, answer: str, *texts: str) -> Item:
        context = tuple(ContextPassage(f"{name}{n}", text) for n, text in enumerate(texts))
        return Item(name, "q", answer, context=context)

    items = [
        item("a", "Cats sleep.", "Cats sleep. They purr."),
        item("b", "Dogs bark.", "Dogs bark. Cats sleep."),
        item("c", "", "Tea is hot."),
    ]
    found = known_grounded(items)
    # What a says stands in b's context, too: that is not known to be false.
    assert found.labels == {"a/own": 1, "b/own": 1, "b/another": 0}
    assert found.items["b/another"].context == items[0].context
    assert found.items["b/another"].answer == "Dogs bark."


def test_every_grader_that_asks_nobody_is_held_but_those_of_citations() -> None:
    named = [name for names in GRADERS.values() for name in names]
    assert sorted(named) == sorted({*LOCAL} - {*BY_CITATIONS})
