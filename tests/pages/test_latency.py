"""Latency by stage, version and week."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ragdiag.records import Request
from ragdiag.store.ingest import ingest
from ragdiag.store.lake import open_lake
from ragdiag.store.spool import SpoolWriter
from tests.toy_lake import DEGRADED


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


def test_what_the_cache_saves_is_told_where_it_answered(
    open_page, toy_workspace, empty_lake, said
) -> None:
    assert "answer cache" not in said(open_page("latency", toy_workspace, latency_week="all"))
    at = datetime(2026, 1, 5, 9, tzinfo=UTC)
    with SpoolWriter(empty_lake) as spool:
        for n in range(1, 101):
            latency = {"total": float(n)}
            spool.write(
                Request(f"r{n}", at, "v1", "production", "q", cache_hit=n <= 40, latency_ms=latency)
            )
    ingest(open_lake(empty_lake), empty_lake)
    app = open_page("latency", empty_lake, latency_week="all")
    assert "What the answer cache saves" in said(app)
    (row,) = app.dataframe[-1].value.to_dict("records")
    assert row["Answered from the cache"].startswith("40")
    assert row["p95, all requests"].startswith("95")
    assert row["p95, answered anew"].startswith("97")


def test_degraded_requests_are_shown_by_reason(open_page, toy_workspace, said) -> None:
    app = open_page("latency", toy_workspace, latency_week="all")
    assert not app.exception
    (table,) = [frame.value for frame in app.dataframe if "Reason" in frame.value]
    assert list(table["Reason"]) == [DEGRADED]
    assert "n = 288" in table.iloc[0, 1].replace("\u00a0", " ")
    app = open_page("latency", toy_workspace, latency_traffic="evaluation")
    assert "answered with all parts of its version" in said(app)


def test_a_million_queries_have_a_price(open_page, toy_workspace, said) -> None:
    app = open_page("latency", toy_workspace, latency_week="all")
    assert "machine_usd_per_hour" in said(app)
    (table,) = [
        frame.value for frame in app.dataframe if "Tokens (95 % interval, n)" in frame.value
    ]
    assert "Together (95 % interval, n)" not in table
    hours = {row["Version"]: row.iloc[2] for _, row in table.iterrows()}
    app = open_page("latency", toy_workspace, latency_week="all", latency_machine="2")
    (table,) = [
        frame.value for frame in app.dataframe if "Machine (95 % interval, n)" in frame.value
    ]
    for _, row in table.iterrows():
        told = float(row["Machine (95 % interval, n)"].split("\u00a0")[0].replace(",", ""))
        spent = float(hours[row["Version"]].split("\u00a0")[0].replace(",", ""))
        assert told == pytest.approx(2 * spent, rel=0.02)


def test_the_price_of_the_machine_may_stand_in_the_configuration(
    open_page, empty_lake, said
) -> None:
    at = datetime(2026, 1, 5, 9, tzinfo=UTC)
    with SpoolWriter(empty_lake) as spool:
        for n in range(9):
            latency = {"total": 10.0 + n}
            spool.write(Request(f"r{n}", at, "v1", "production", "q", latency_ms=latency))
    ingest(open_lake(empty_lake), empty_lake)
    empty_lake.configuration.write_text("[costs]\nmachine_usd_per_hour = 1.5\n")
    app = open_page("latency", empty_lake, latency_week="all")
    assert app.number_input(key="latency_machine").value == 1.5
    assert "machine_usd_per_hour" not in said(app)
