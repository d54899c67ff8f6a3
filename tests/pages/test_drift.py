"""Weekly metrics against the reference weeks."""

from __future__ import annotations

import pytest


def test_what_moved_is_told_first(open_page, toy_workspace, said) -> None:
    app = open_page("drift", toy_workspace)
    assert "Correct answers fell" in app.error[0].value
    assert app.dataframe[0].value["Reading"].iloc[0] == "worse"


@pytest.mark.parametrize("split", ["topic", "version"])
def test_segments_have_their_own_rows(open_page, toy_workspace, split) -> None:
    app = open_page("drift", toy_workspace, split_by=split, recent="3", reference="6")
    assert not app.exception
    segments = set(app.dataframe[0].value["Segment"])
    assert segments == ({"billing", "setup", "<b>limits</b>"} if split == "topic" else {"hybrid"})


def test_a_version_of_one_window_alone_is_left_out_in_words(open_page, toy_workspace, said) -> None:
    app = open_page("drift", toy_workspace, split_by="version", recent="3", reference="6")
    table = app.dataframe[0].value
    assert not table["Newest"].str.contains("no requests").any()
    assert not table["Reference"].str.contains("no requests").any()
    assert "left out: fewer than 10 observations" in said(app)
    apart = open_page("drift", toy_workspace, split_by="version")
    assert not apart.dataframe
    assert "Nothing can be compared" in said(apart)


def test_the_windows_come_from_the_address(open_page, toy_workspace, said) -> None:
    app = open_page("drift", toy_workspace, recent="2", reference="3")
    assert "2 weeks" in said(app)
    assert "3 weeks, 1–7 Sep 2025 to 15–21 Sep 2025" in said(app)
