"""Two versions, paired."""

from __future__ import annotations


def test_two_versions_are_compared_with_intervals_and_p(open_page, toy_workspace) -> None:
    app = open_page("versions", toy_workspace, a="lexical", b="hybrid")
    assert not app.exception
    table = app.dataframe[0].value
    tested = ["MRR@10", "recall@10", "nDCG@10", "correct", "token_f1"]
    assert list(table["Measure"]) == [*tested, "precision@5"]
    assert set(table["n"]) == {"60"}
    assert all(" to " in cell for cell in table["B − A (95 % interval)"])
    assert [cell == "–" for cell in table["p"]] == [False] * 5 + [True]


def test_wins_and_losses_link_to_both_stories(open_page, toy_workspace, said) -> None:
    app = open_page("versions", toy_workspace, a="lexical", b="hybrid", measure="correct")
    assert "of 60 questions" in said(app)
    questions = next(frame.value for frame in app.dataframe if "Story B" in frame.value)
    assert set(questions["B − A"]) <= {-1.0, 1.0}
    assert all(url.startswith("/request?request_id=e-hybrid-") for url in questions["Story B"])


def test_a_version_against_itself_is_refused_in_words(open_page, toy_workspace, said) -> None:
    app = open_page("versions", toy_workspace, a="dense", b="dense")
    assert not app.exception
    assert "the same version" in said(app)


def test_slices_are_drawn_with_n_and_the_family_they_are_corrected_in(
    open_page, toy_workspace, said
) -> None:
    app = open_page("versions", toy_workspace, a="lexical", b="hybrid", measure="correct")
    assert not app.exception
    slices = next(frame.value for frame in app.dataframe if "Slice" in frame.value)
    billing = slices[slices["Slice"] == "billing"].iloc[0]
    assert (billing["n"], billing["B − A (95 % interval)"][:5]) == ("20", "+80.0")
    assert billing["p (Holm)"].endswith("*")
    assert "Holm corrects over 30 tests: 5 measures on all questions and 5 slices" in said(app)


def test_what_both_cost_is_compared(open_page, toy_workspace) -> None:
    app = open_page("versions", toy_workspace, a="lexical", b="hybrid", versions_machine="0.5")
    costs = next(frame.value for frame in app.dataframe if "A million queries" in frame.value)
    assert list(costs["A million queries"]) == ["Tokens", "Machine, hours", "Machine", "Together"]
    assert " to " in costs["Change B − A"].iloc[3]
