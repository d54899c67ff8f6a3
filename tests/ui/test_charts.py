"""Charts carry their intervals, their units and safe names."""

from __future__ import annotations

import math
from datetime import date

from ragdiag.records import Estimate
from ragdiag.ui import bands, charts, palette

SHARE = Estimate(0.5, 0.4, 0.65, 100)


def test_bars_have_asymmetric_whiskers_in_percent() -> None:
    figure = charts.share_bars([charts.Bar("retrieval", SHARE, palette.BLUE, "50")], "share")
    bar = figure.data[0]
    assert list(bar.x) == [50.0]
    assert [round(v, 6) for v in (*bar.error_x.array, *bar.error_x.arrayminus)] == [15.0, 10.0]


def test_a_step_starts_where_the_one_above_ends() -> None:
    steps = [charts.Bar(name, SHARE, palette.BLUE, "50") for name in ("order", "lost")]
    figure = charts.waterfall(steps, [charts.Bar("rest", SHARE, palette.GREY, "50")], "share")
    assert [bar.base for bar in figure.data] == [(0,), (50.0,), (0,)]


def test_names_cannot_carry_html_into_a_chart() -> None:
    figure = charts.share_bars([charts.Bar("<a href='x'>", SHARE, palette.BLUE, "<b>")], "share")
    assert figure.data[0].y == ("&lt;a href=&#x27;x&#x27;&gt;",)
    line = bands.Line("<i>t</i>", [(date(2025, 9, 1), SHARE)], palette.BLUE)
    drawn = bands.bands([line, line], "share", "share")
    assert all("<i>" not in (trace.name or "") for trace in drawn.data)


def test_a_band_is_drawn_only_where_there_are_intervals() -> None:
    weeks = [date(2025, 9, 1), date(2025, 9, 8), date(2025, 9, 15)]
    none = Estimate(0.5, math.nan, math.nan, 5, "too few")
    full = bands.bands([bands.Line("a", [(w, SHARE) for w in weeks], palette.BLUE)], "share", "y")
    bare = bands.bands([bands.Line("a", [(w, none) for w in weeks], palette.BLUE)], "share", "y")
    assert len(full.data) == 2
    assert list(full.data[0].y) == [65.0, 65.0, 65.0, 40.0, 40.0, 40.0]
    assert len(bare.data) == 1


def test_a_target_on_a_logarithmic_axis_stands_at_its_value() -> None:
    figure = charts.points(
        ["total"], [("p95", [Estimate(180, 170, 190, 500)], palette.BLUE)], "ms", "ms",
        target=(200.0, "target"), log=True,
    )  # fmt: skip
    assert figure.layout.shapes[0].x0 == 200.0
    assert round(figure.layout.annotations[0].x, 3) == 2.301


def test_a_series_keeps_its_colour_when_others_are_hidden() -> None:
    names = ["lexical", "dense", "hybrid"]
    assert palette.colour_of("hybrid", names) == palette.SERIES[2]
    assert palette.colour_of("unknown", names) == palette.GREY
