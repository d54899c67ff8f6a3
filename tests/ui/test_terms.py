"""What the pages call verdicts and causes."""

from __future__ import annotations

from ragdiag.records import Cause, Verdict
from ragdiag.ui import palette, terms


def test_every_verdict_and_cause_has_words_and_a_colour() -> None:
    verdicts, causes = set(Verdict.__args__), set(Cause.__args__)
    assert verdicts <= terms.VERDICTS.keys()
    assert causes <= terms.CAUSES.keys()
    assert (verdicts - {"ok", "lucky"}) | causes <= palette.FAULT_COLOURS.keys()
    for verdict in verdicts - {"ok", "lucky"}:
        assert terms.owner(verdict) != terms.owner("not_diagnosed")


def test_what_waits_for_a_diagnosis_is_spoken_of_plainly() -> None:
    assert terms.spoken("not_diagnosed") == "not diagnosed"
    assert terms.spoken("fusion_loss") == "fusion_loss"
