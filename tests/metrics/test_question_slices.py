"""Kinds of questions."""

from __future__ import annotations

from ragdiag.metrics.question_slices import AskedQuestion, mean_idf, slice_questions, terciles


def test_questions_are_cut_into_thirds_of_their_own_lengths() -> None:
    texts = ["a", "a b", "a b c", "a b c d", "a b c d e", "a b c d e f"]
    asked = [AskedQuestion(f"q{n}", text) for n, text in enumerate(texts)]
    found = slice_questions(asked, {}, 10)["length"]
    assert list(found.values()) == [
        *["short (1–2)"] * 2,
        *["medium (3–4)"] * 2,
        *["long (5–6)"] * 2,
    ]


def test_equal_values_are_never_torn_apart() -> None:
    assert set(terciles({str(n): 4.0 for n in range(9)}, ("l", "m", "h")).values()) == {"l (4)"}
    found = terciles({"a": 1.0, "b": 1.0, "c": 1.0, "d": 2.0, "e": float("nan")}, ("l", "m", "h"))
    assert found["a"] == found["b"] == found["c"] != found["d"]
    assert "e" not in found


def test_gold_passages_tell_what_can_be_answered_and_in_how_many_hops() -> None:
    asked = [
        AskedQuestion("unjudged", "why"),
        AskedQuestion("none", "why", golds=0),
        AskedQuestion("one", "why", golds=1),
        AskedQuestion("many", "why", golds=5),
    ]
    found = slice_questions(asked, {}, 10)
    assert found["answerable"] == {
        "none": "no answer in the corpus",
        "one": "answerable",
        "many": "answerable",
    }
    assert found["golds"] == {"one": "1 gold passage", "many": "3 or more"}
    assert set(found["topic"].values()) == {"no topic"}


def test_a_question_of_words_that_few_passages_hold_is_rare() -> None:
    holding = {"the": 1000, "gate": 100, "zymurgy": 1}
    asked = [
        AskedQuestion("common", "the the the"),
        AskedQuestion("between", "the gate"),
        AskedQuestion("rare", "the zymurgy"),
    ]
    found = slice_questions(asked, holding, 1000)["words"]
    assert [found[name].split(" (")[0] for name in ("common", "between", "rare")] == [
        "common words",
        "middling words",
        "rare words",
    ]
    assert mean_idf(["the"], holding, 1000) < mean_idf(["unheard"], holding, 1000)
