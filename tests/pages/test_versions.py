"""Two versions, paired."""

from __future__ import annotations


def test_two_versions_are_compared_with_intervals_and_p(open_page, toy_workspace) -> None:
    app = open_page("versions", toy_workspace, a="lexical", b="hybrid")
    assert not app.exception
    table = app.dataframe[0].value
    assert list(table["Measure"]) == ["MRR@10", "recall@10", "nDCG@10", "correct", "token_f1"]
    assert set(table["n"]) == {"60"}
    assert all(" to " in cell for cell in table["B − A (95 % interval)"])


def test_wins_and_losses_link_to_both_stories(open_page, toy_workspace, said) -> None:
    app = open_page("versions", toy_workspace, a="lexical", b="hybrid", measure="correct")
    assert "of 60 questions" in said(app)
    questions = app.dataframe[1].value
    assert set(questions["B − A"]) <= {-1.0, 1.0}
    assert all(url.startswith("/request?request_id=e-hybrid-") for url in questions["Story B"])


def test_a_version_against_itself_is_refused_in_words(open_page, toy_workspace, said) -> None:
    app = open_page("versions", toy_workspace, a="dense", b="dense")
    assert not app.exception
    assert "the same version" in said(app)
