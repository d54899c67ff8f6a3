"""Where an answer stands, what is refused, and where to decline is right."""

from __future__ import annotations

import pytest

from ragdiag.errors import TrainingError
from ragdiag.metrics.answers import normalise_answer
from ragdiag.records import Answer, ContextPassage
from ragdiag.training.answers.located import (
    AnswerExample,
    cited_reply,
    find_places,
    locate_answer,
    score_answer,
    usable_examples,
    with_declines,
)

TEXT = 'The mill, built in 1889 (or so), stands by "the River Seine"; 18 men ran it.'


def example(name: str, *answers: str, texts: tuple[str, ...] = (TEXT, "Nothing.")) -> AnswerExample:
    passages = tuple(ContextPassage(f"{name}{n}", text) for n, text in enumerate(texts))
    return AnswerExample(name, "Where?", answers, passages)


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ("1889", "1889"),
        ("river seine", "River Seine"),
        ("the river Seine!", "River Seine"),
        ("built in 1889", "built in 1889"),
        ("18", "18"),
        ("188", None),
        ("the", None),
        ("", None),
        ("men ran it all", None),
    ],
)
def test_an_answer_is_found_whatever_its_case_and_punctuation(
    answer: str, found: str | None
) -> None:
    place = locate_answer(answer, TEXT)
    assert (None if place is None else TEXT[slice(*place)]) == found
    if place is not None:
        assert normalise_answer(TEXT[slice(*place)]) == normalise_answer(answer)


@pytest.mark.parametrize(
    ("answer", "text", "found"),
    [
        ("東京", "それは「東京」にある。", "東京"),
        ("Paris", "It is “Paris”, I say.", "Paris"),
        ("-5", "It was (−5 °C).", "−5"),
        ("-.5", "a correlation of (-.5)", "-.5"),
        ("5", "It was -5, then 5.", "5"),
        ("1.5", "15, v1.5 and 1.5.", "1.5"),
        ("CO2", "of CO₂;", "CO₂"),
        ("カタカナ", "x ｶﾀｶﾅ y", "ｶﾀｶﾅ"),
    ],
)
def test_an_answer_of_any_script_and_sign_is_found(answer: str, text: str, found: str) -> None:
    place = locate_answer(answer, text)
    assert place is not None
    assert text[slice(*place)] == found


def test_gold_passages_alone_are_searched_where_they_are_known() -> None:
    one = example("q", "1889", texts=("In 1889.", "Also 1889."))
    assert [place.passage for place in find_places(one)] == [0, 1]
    known = AnswerExample("q", "When?", ("1889",), one.context, gold=frozenset({"q1"}))
    assert [place.passage for place in find_places(known)] == [1]
    assert cited_reply(known) == "1889 [2]"


def test_what_cannot_be_learned_from_is_refused_with_its_reason() -> None:
    good = [example(f"q{n}", "1889") for n in range(10)]
    bad = [
        example("absent", "1890"),
        example("bare", "1889", texts=()),
        AnswerExample("mute", " ", ("1889",), good[0].context),
    ]
    kept, refused = usable_examples([*good, *bad], "training")
    assert kept == good
    assert [(one.question_id, one.reason) for one in refused] == [
        ("absent", "its answer stands in no gold passage"),
        ("bare", "it has no passage"),
        ("mute", "the question is empty"),
    ]
    with pytest.raises(TrainingError, match="9 of 12 training examples can be used, and 10 are"):
        usable_examples([*good[1:], *bad], "training")


def test_a_twin_without_the_answer_is_one_to_decline() -> None:
    own = example("own", "1889")
    borrowed = example("borrowed", "1889", texts=(TEXT,))
    silent = example("silent")
    found = with_declines([own, borrowed, silent])
    assert [one.question_id for one in found] == [
        "own",
        "own-declined",
        "borrowed",
        "borrowed-declined",
        "silent",
    ]
    assert [p.text for p in found[1].context] == ["Nothing."]
    assert [p.passage_id for p in found[3].context] == ["silent1"]
    assert cited_reply(found[3]) == "NO_ANSWER"


def test_a_share_of_the_questions_is_to_be_declined() -> None:
    known = [example(f"q{n}", "1889") for n in range(8)]
    gold = AnswerExample("gold", "When?", ("1890",), known[0].context, gold=frozenset({"q01"}))
    some = with_declines(known, 0.25, seed=3)
    assert len(some) == 10
    assert some == with_declines(known, 0.25, seed=3)
    assert with_declines(known, 0.0) == known
    declined = with_declines([gold])[1]
    assert [p.passage_id for p in declined.context] == ["q00"], "what is gold tells, in any words"


def test_to_decline_is_right_only_where_there_is_no_answer() -> None:
    declined, said = Answer("", status="no_answer"), Answer("in 1889")
    assert score_answer(said, example("q", "1889")) == (0.0, pytest.approx(2 / 3))
    assert score_answer(declined, example("q", "1889")) == (0.0, 0.0)
    assert score_answer(declined, example("q")) == (1.0, 1.0)
    assert score_answer(said, example("q")) == (0.0, 0.0)
    assert score_answer(Answer("", status="error"), example("q")) == (0.0, 0.0)
