"""Questions, gold answers and judgments, from entries made for the test."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from ragdiag.demo.corpus import Entry, entry_passages
from ragdiag.demo.docstrings import Docstring, Field
from ragdiag.demo.questions import KIND_SHARES, Asked, Kind, make_questions
from ragdiag.metrics.answers import normalise_answer
from ragdiag.records import Passage
from ragdiag.retrieval.text import load_tokenizer

Only = Callable[[Kind], None]


def entry(name: str, summary: str = "Compute a nice thing.", **parts: object) -> Entry:
    return Entry(name, name.split(".")[0], Docstring(summary, **parts))  # type: ignore[arg-type]


def make(entries: Sequence[Entry]) -> tuple[list[Asked], dict[str, list[Passage]]]:
    passages = {one.name: entry_passages(one, load_tokenizer()) for one in entries}
    return make_questions(entries, passages), passages


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch) -> Only:
    """Give one kind of question every turn."""

    def give(kind: Kind) -> None:
        shares = {name: float(name == kind) for name in KIND_SHARES}
        monkeypatch.setattr("ragdiag.demo.questions.KIND_SHARES", shares)

    return give


LONG = tuple(f"Sentence number {n} tells about the thing in many plain words." for n in range(14))


def test_a_summary_question_accepts_the_name_and_what_describes_it(only: Only) -> None:
    only("summary")
    asked, passages = make([entry("toys.thing", description=LONG)])

    (one,) = asked
    assert "compute a nice thing" in one.question.text
    assert one.gold.answers == ("toys.thing", *LONG)
    assert {j.passage_id: j.grade for j in one.judgments} == {
        p.passage_id: 2 for p in passages["toys.thing"]
    }
    assert len(passages["toys.thing"]) > 1


def test_the_rest_of_the_entry_is_judged_one_grade_lower(only: Only) -> None:
    only("summary")
    many = tuple(Field(f"p{n}", "int", (f"Number {n} of them.",)) for n in range(20))
    (one,), passages = make([entry("toys.thing", description=LONG[:3], parameters=many)])

    grades = {j.passage_id: j.grade for j in one.judgments}
    assert grades["toys.thing#0"] == 2
    assert grades[passages["toys.thing"][-1].passage_id] == 1


def test_a_parameter_question_has_the_passage_that_describes_it(only: Only) -> None:
    only("parameter")
    fields = (
        Field("x", "int", ("One letter is too short to ask for.",)),
        Field("axis", "int", ("Along which the things are stacked.", "More.")),
    )
    (one,), _ = make([entry("toys.thing", parameters=fields)])

    assert "axis" in one.question.text
    assert "toys.thing" in one.question.text
    assert one.gold.answers == ("Along which the things are stacked.",)
    assert [(j.passage_id, j.grade) for j in one.judgments] == [("toys.thing#0", 2)]


def test_a_sentence_of_two_entries_is_nobodys_gold_answer(only: Only) -> None:
    only("parameter")
    shared = Field("axis", "int", ("Along which the things are stacked.",))
    own = Field("depth", "int", ("How many layers there are.",))
    asked, _ = make(
        [
            entry("toys.one", "Compute the first.", parameters=(shared, own)),
            entry("toys.two", "Compute the second.", parameters=(shared,)),
        ]
    )

    assert {one.entry: one.kind for one in asked} == {
        "toys.one": "parameter",
        "toys.two": "summary",
    }
    assert asked[0].gold.answers == ("How many layers there are.",)


def test_a_default_question_has_the_words_that_give_it(only: Only) -> None:
    only("default")
    fields = (
        Field("size", "int, optional", ("How large. Default is None.",)),
        Field("rate", "float", ("How fast it learns.", "Default: 1e-8.")),
    )
    (one,), _ = make([entry("toys.thing", parameters=fields)])

    assert one.kind == "default"
    assert one.gold.answers == ("Default: 1e-8",)


def test_a_return_question_has_the_first_sentence(only: Only) -> None:
    only("returns")
    value = Field("", "float", ("The average of all the values.", "Never negative."))
    (one,), _ = make([entry("toys.thing", returns=(value,))])

    assert one.kind == "returns"
    assert one.gold.answers == ("The average of all the values.",)


def test_see_also_gives_graded_judgments(only: Only) -> None:
    only("see_also")
    asked, _ = make(
        [
            entry("toys.mean", "Compute the mean.", see_also=("median", "toys.mode", "unknown")),
            entry("toys.median", "Compute the median.", description=LONG),
            entry("toys.mode", "Compute the mode.", description=LONG[:1]),
            entry("other.median", "Compute it elsewhere.", description=LONG[1:2]),
        ]
    )

    one = asked[0]
    assert one.gold.answers == ("median, toys.mode, unknown",)
    assert {j.passage_id: j.grade for j in one.judgments} == {
        "toys.median#0": 1,
        "toys.mode#0": 1,
        "toys.mean#0": 2,
    }


def test_a_question_that_two_entries_would_answer_is_not_asked(only: Only) -> None:
    only("summary")
    names = [f"toys.f{n}" for n in range(30)]
    asked, _ = make([entry(name, description=(f"{name} does it well.",)) for name in names])

    assert len({one.question.text.lower() for one in asked}) == len(asked) < 3


def test_an_entry_that_allows_no_question_has_none() -> None:
    asked, _ = make([entry("toys.f", "This one is not asked about.", description=LONG)])

    assert asked == []


def test_every_gold_answer_stands_in_a_passage_of_the_best_grade() -> None:
    fields = (Field("axis", "int", ("Along which the things are stacked.",)),)
    entries = [
        entry(f"toys.{word}", f"Compute the {word}.", description=(f"It tells {word} to all.",),
              parameters=fields, see_also=("a", "b"))
        for word in ("mean", "mode", "range", "sum", "count", "spread", "skew", "level")
    ]  # fmt: skip
    asked, passages = make(entries)

    assert len(asked) == len(entries)
    for one in asked:
        texts = {p.passage_id: f" {normalise_answer(p.text)} " for p in passages[one.entry]}
        best = [texts[j.passage_id] for j in one.judgments if j.grade == 2]
        for answer in one.gold.answers:
            assert any(f" {normalise_answer(answer)} " in text for text in best)


def test_questions_do_not_depend_on_the_order_of_the_entries() -> None:
    entries = [entry(f"toys.f{n}", f"Compute number {n} now.", description=LONG) for n in range(9)]

    forward, _ = make(entries)
    backward, _ = make(entries[::-1])

    assert sorted(forward, key=lambda one: one.entry) == sorted(backward, key=lambda one: one.entry)
