"""What was prescribed, as a table."""

from __future__ import annotations

from ragdiag.diagnosis.levers import Lever, rank_levers
from ragdiag.records import Estimate
from ragdiag.ui.prescription import dashes_note, lever_table


def test_levers_are_told_with_their_intervals_and_what_is_unknown_is_a_dash() -> None:
    gain, slower = Estimate(0.1, 0.05, 0.15, 80), Estimate(12.0, 9.0, 15.0, 80)
    ranked = rank_levers(
        [
            Lever("train", (), "ceiling", gain, 240.0, "ragdiag tune retriever", note="a note"),
            Lever("k = 10", (), "measured", gain, 15.0, "k = 10", gain, p=0.001, slower=slower),
        ]
    )
    table = lever_table([one.to_json() for one in ranked])
    assert table["Lever"] == ["k = 10", "train"]
    assert table["Helps"] == ["yes", "not shown"]
    assert table["Right answers gained"][0].replace("\u00a0", " ") == "+10.0 points (+5.0 to +15.0)"
    assert table["MRR@10"] == ["+0.100 (+0.050 to +0.150)", "–"]
    assert table["A request"][0].replace("\u00a0", " ") == "+12.0 ms (+9.00 to +15.0)"
    assert table["A request"][1] == table["A million"][1] == "–"
    assert table["Work"] == ["0.2 h", "4.0 h"]


def test_why_cells_are_dashes_is_told_beneath_where_it_is_not_cut() -> None:
    known, none = Estimate(0.1, 0.05, 0.15, 80), Estimate.undefined("not tried: 3,663 are too many")
    fields = {"slower": known, "dearer": known}
    rows = [
        Lever(name, (), "ceiling", gain, 240.0, "do it", known, **fields).to_json()
        for name, gain in (("a", known), ("b", none), ("c", none))
    ]
    assert dashes_note(rows) == " Dashes: b, c: not tried: 3,663 are too many."
    assert dashes_note(rows[:1]) == ""
    many = [{**rows[1], "name": str(n)} for n in range(7)]
    assert dashes_note(many).startswith(" Dashes: 7 levers: not tried")
