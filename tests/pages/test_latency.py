"""Latency by stage, version and week."""

from __future__ import annotations


def test_every_stage_has_three_quantiles(open_page, toy_workspace) -> None:
    app = open_page("latency", toy_workspace, latency_week="all")
    table = app.dataframe[0].value
    assert set(table["Version"]) == {"lexical", "hybrid"}
    assert len(table) == 4 + 6
    assert table.columns[2].startswith("p50")


def test_the_target_decides_the_sentence(open_page, toy_workspace, said) -> None:
    assert "over the 50 ms target" in said(
        open_page("latency", toy_workspace, latency_week="all", slo="50")
    ).replace("**", "")
    assert "within the 900 ms target" in said(
        open_page("latency", toy_workspace, latency_week="all", slo="900")
    ).replace("**", "")


def test_a_week_too_small_for_an_interval_says_so(open_page, toy_workspace, said) -> None:
    text = said(open_page("latency", toy_workspace))
    assert "no interval" in text
    assert "too few requests" in text
