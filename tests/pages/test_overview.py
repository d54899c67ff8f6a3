"""The overview tells the worst thing first, with its interval."""

from __future__ import annotations

from ragdiag.diagnosis.levers import Lever
from ragdiag.records import Estimate
from ragdiag.store.prescriptions import save_prescription
from ragdiag.workflows.diagnosing.checklist import Check
from ragdiag.workflows.diagnosing.prescribe import Prescription
from tests.toy_lake import LAST_WEEK, versions


def test_the_worst_thing_comes_first_with_its_reason(open_page, toy_workspace, said) -> None:
    app = open_page("overview", toy_workspace)
    text = said(app)
    assert "Correct answers fell from 70.8 % to 37.5 %" in text
    assert "most of the new failures are corpus_gap" in text
    assert app.error[0].value.replace("\\", "").startswith("Correct answers fell")


def test_a_quiet_week_says_that_nothing_changed(open_page, toy_workspace, said) -> None:
    app = open_page("overview", toy_workspace, overview_week="2025-09-15")
    assert not app.error
    assert "Nothing changed beyond chance" in said(app)


def test_the_first_week_has_nothing_to_compare_with(open_page, toy_workspace, said) -> None:
    app = open_page("overview", toy_workspace, overview_week="2025-09-01")
    assert not app.exception
    assert "no earlier week" in said(app)


def test_every_measure_is_shown_with_n(open_page, toy_workspace) -> None:
    app = open_page("overview", toy_workspace)
    assert {metric.label for metric in app.metric} == {
        "Correct answers",
        "Declined to answer",
        "MRR@10",
        "p95 latency",
        "Click rate",
        "Task success",
        "Thumbs up",
    }
    table = app.dataframe[0].value
    assert len(table) == 8
    assert "n\u00a0=\u00a024" in table.iloc[0, 1]


def test_the_newest_week_is_the_first_choice(open_page, toy_workspace) -> None:
    week = next(
        box for box in open_page("overview", toy_workspace).selectbox if box.key == "overview_week"
    )
    assert week.value == LAST_WEEK


def test_what_to_do_next_is_told_before_its_table(
    open_page, toy_workspace, copied, workspace, said
) -> None:
    assert "Nothing has been prescribed yet" in said(open_page("overview", toy_workspace))
    version = versions()[2]
    lever = Lever("k = 10", (), "counted", Estimate(0.1, 0.05, 0.15, 80), 15.0, "do it")
    told = Prescription(version, "test", 80, 40, (lever,), (Check("cost", "It is free.", {}),))
    save_prescription(copied(toy_workspace), version.version_id, "test", told.to_json())
    app = open_page("overview", workspace)
    assert not app.exception
    assert "hybrid: Next: k = 10: +10.0 points" in said(app)
    assert "cost: It is free." in said(app).replace("**", "")
    assert "1. k = 10: do it" in said(app)
    assert list(app.dataframe[0].value["Lever"]) == ["k = 10"]
