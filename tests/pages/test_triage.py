"""Triage lists failed requests by who mends them."""

from __future__ import annotations

import json
from pathlib import Path

from ragdiag.diagnosis.levers import Lever
from ragdiag.diagnosis.trust import TIERS, Told, trust
from ragdiag.importers.logs.import_logs import import_logs
from ragdiag.records import Estimate
from ragdiag.store.lake import open_lake
from ragdiag.store.prescriptions import save_prescription
from ragdiag.store.validations import save_validation
from ragdiag.workflows.diagnosing.prescribe import Prescription
from ragdiag.workflows.diagnosing.validate import Validation
from tests.toy_lake import HOSTILE, versions


def trusted(told: list[Told]) -> dict:
    return {tier: trust(told, tier) for tier in TIERS}


def chosen(app, key: str) -> str:
    return next(box.value for box in app.selectbox if box.key == key)


def test_failures_are_counted_and_paged(open_page, toy_workspace, said) -> None:
    app = open_page("triage", toy_workspace)
    assert "86 failed requests" in said(app)
    assert "of 288 graded answers" in said(app)
    assert len(app.dataframe[-1].value) == 25
    last = open_page("triage", toy_workspace, page="4")
    assert len(last.dataframe[-1].value) == 86 - 75


def test_filters_come_from_the_address(open_page, toy_workspace, said) -> None:
    app = open_page("triage", toy_workspace, verdict="corpus", week="2025-11-17")
    assert chosen(app, "verdict") == "corpus"
    assert "12 failed requests" in said(app)
    assert set(app.dataframe[-1].value["Who mends it"]) == {"corpus owner"}


def test_a_version_and_a_topic_called_all_can_be_chosen_and_capture_nothing(
    open_page, empty_lake, tmp_path, said
) -> None:
    """Of 12 requests 6 are of a version called so, and 4 of such a topic."""
    rows = [
        {
            "id": f"r{n}",
            "time": f"2026-10-05T12:{n:02d}:00Z",
            "version": "all" if n % 2 else "bot",
            "topic": "all" if n % 3 == 0 else "cats",
            "question": f"What is number {n}?",
            "answer": "Nobody knows.",
            "gold_answer": f"{n + 700}",
        }
        for n in range(12)
    ]
    path = Path(tmp_path, "log.jsonl")
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    import_logs(open_lake(empty_lake), empty_lake, path)
    for query, failed in (
        ({}, 12),
        ({"version": "all", "topic": "all"}, 12),
        ({"version": "“all”"}, 6),
        ({"topic": "“all”"}, 4),
    ):
        app = open_page("triage", empty_lake, **query)
        assert f"{failed} failed requests" in said(app)
    options = {box.key: box.options for box in app.selectbox}
    assert sorted(options["version"]) == ["all", "bot", "“all”"]
    assert options["topic"] == ["all", "“all”", "cats"]


def test_headroom_is_told_and_drawn(open_page, toy_workspace, said) -> None:
    text = said(open_page("triage", toy_workspace))
    assert "Perfect retrieval would fix" in text
    assert "a perfect order of what was found alone" in text


def test_gold_is_followed_through_the_stages(open_page, toy_workspace, said) -> None:
    app = open_page("triage", toy_workspace, version="hybrid")
    assert "Most gold is lost on the way into: " in said(app)
    tables = [table.value for table in app.dataframe]
    (stages,) = [table for table in tables if "Gold passages kept" in table.columns]
    assert stages["Stage"].iloc[0] == "Lexical candidates"
    assert stages["Stage"].iloc[-1] == "Prompt context"
    assert all("n\u00a0=\u00a0" in told for told in stages["Gold passages kept"])


def test_each_fault_has_its_levers(open_page, toy_workspace, copied, workspace, said) -> None:
    text = said(open_page("triage", toy_workspace, version="hybrid"))
    assert "Nothing has been prescribed yet" in text
    version, gain = versions()[2], Estimate(0.1, 0.05, 0.15, 80)
    deeper = Lever("deeper", ("recall_miss",), "measured", gain, 15.0, "depth = 200", p=0.001)
    label = Lever("mend 2 labels", ("label_suspect",), "ceiling", gain, 10.0, "open Triage")
    faults = {"recall_miss": 7, "label_suspect": 2, "undetermined": 1}
    told = Prescription(version, "test", 80, 40, (deeper, label), (), faults)
    save_prescription(copied(toy_workspace), version.version_id, "test", told.to_json())

    def shown(**chosen: str) -> list[tuple[str, str, str]]:
        app = open_page("triage", workspace, **chosen)
        assert not app.exception
        tables = [one.value for one in app.dataframe if "What to do" in one.value.columns]
        columns = ("Fault", "Lever", "What to do")
        return [row for one in tables for row in zip(*(one[name] for name in columns), strict=True)]

    first = ("recall_miss", "deeper", "depth = 200")
    of_any_cause = [
        ("label_suspect", "mend 2 labels", "open Triage"),
        ("undetermined", "–", "no replay decides it: a reviewer does"),
    ]
    assert shown() == [first, *of_any_cause]
    assert shown(cause="recall_miss") == [first, *of_any_cause]
    assert shown(cause="packing") == of_any_cause
    assert shown(verdict="retrieval") == [first]
    assert shown(verdict="corpus") == []


def test_what_splits_a_cause_is_shown_with_its_lever_and_can_be_filtered(
    open_page, toy_workspace
) -> None:
    app = open_page("triage", toy_workspace, cause2="vocabulary")
    rows = app.dataframe[-1].value
    assert set(rows["Closer"]) == {"vocabulary"}
    assert set(rows["What would help"]) == {"fine-tune the embedder, or expand the question"}


def test_an_unknown_filter_value_is_ignored_and_said(open_page, toy_workspace, said) -> None:
    app = open_page("triage", toy_workspace, verdict="nonsense", week="1999-01-04", version="*x*")
    assert not app.exception
    text = said(app)
    assert "86 failed requests" in text
    for told in ("verdict “nonsense”", "week “1999-01-04”", "version “*x*”"):
        assert f"There is no {told} here; all are shown." in text
    app = open_page("triage", toy_workspace, week=f"{'y' * 90}\0")
    assert not app.exception
    assert f"There is no week “{'y' * 60}…” here" in said(app)


def test_sorting_happens_over_all_pages(open_page, toy_workspace) -> None:
    app = open_page("triage", toy_workspace, sort="slowest first")
    slowest = list(app.dataframe[-1].value["Total"])
    assert slowest == sorted(slowest, reverse=True)


def test_what_is_not_diagnosed_names_the_command(open_page, toy_workspace, said) -> None:
    text = said(open_page("triage", toy_workspace))
    assert "7 failed requests not diagnosed yet" in text
    assert 'python -m ragdiag diagnose "hybrid"' in text
    assert "not diagnosed yet" not in said(open_page("triage", toy_workspace, version="lexical"))


def test_filters_that_match_nothing_say_so(open_page, toy_workspace, said) -> None:
    app = open_page("triage", toy_workspace, version="lexical", verdict="corpus")
    assert not app.exception
    assert "No failed request meets these filters" in said(app)


def test_hostile_text_stays_in_its_cell(open_page, toy_workspace, said) -> None:
    app = open_page("triage", toy_workspace, verdict="corpus")
    assert HOSTILE in list(app.dataframe[-1].value["Question"])
    assert "<script>" not in said(app)


def test_failures_are_told_by_kind_of_question(open_page, toy_workspace, said) -> None:
    app = open_page("triage", toy_workspace, by="rare words", traffic="evaluation")
    assert not app.exception
    assert "Of requests that name a question of the workspace." in said(app)


def test_verdicts_are_shown_with_their_tiers_and_their_worth(
    open_page, copied, workspace, toy_workspace, said
) -> None:
    assert "never held against failures of known cause" in said(open_page("triage", toy_workspace))
    lake = copied(toy_workspace)
    told = [Told("context_cut", "packing", tier, "packing") for tier in TIERS]
    found = Validation(
        version="hybrid",
        split="test",
        successes=9,
        left_out={"no gold passage supports the gold answer": 2},
        n=5,
        seed=0,
        tried={"context_cut": 5},
        failed={"context_cut": 1},
        tiers=trusted(told),
        record="record",
        generator="extractive",
    )
    save_validation(lake, "with another generator", "test", found.to_json() | {"generator": "big"})
    save_validation(lake, versions()[2].version_id, "test", found.to_json())
    app = open_page("triage", workspace)
    assert not app.exception
    text = said(app)
    assert "of tier A (replayed with the gold passages)" in text
    assert "right in 100 % (5–100, n=1) of known faults" in text
    assert "context_cut: 1 of 5 tried questions became wrong" in text
    assert "left out 2: no gold passage supports the gold answer" in text
    tables = [table.value for table in app.dataframe]
    assert any("packing" in table.columns and "Fault" in table.columns for table in tables)
    (by_generator,) = [table for table in tables if "Generator" in table.columns]
    assert by_generator["Generator"].tolist() == ["extractive", "big"]


def test_traffic_without_a_grade_leads_to_traffic_that_has_some(
    open_page, empty_lake, tmp_path, said
) -> None:
    asked = {"id": "r0", "time": "2026-10-05T12:00:00Z", "version": "bot", "question": "Why?"}
    known = {"system": "bot", "question": "What is it?", "answer": "It is.", "gold_answer": "Tea"}
    for name, row in (("log", {**asked, "answer": "So."}), ("results", known)):
        path = Path(tmp_path, f"{name}.jsonl")
        path.write_text(json.dumps(row) + "\n")
        import_logs(open_lake(empty_lake), empty_lake, path)
    for page, prefix in (("triage", ""), ("overview", "overview_")):
        app = open_page(page, empty_lake)
        assert chosen(app, f"{prefix}traffic") == "production"
        (button,) = (one for one in app.button if "evaluation traffic" in one.label)
        assert button.label == "1 graded answer of evaluation traffic →"
        button.click().run()
        assert chosen(app, f"{prefix}traffic") == "evaluation"
        assert not any("evaluation traffic" in one.label for one in app.button)
