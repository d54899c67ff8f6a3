"""The weekly report as a stakeholder reads it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import date

import pytest

from ragdiag.errors import UnknownName
from ragdiag.importers.logs.import_logs import import_logs
from ragdiag.records import DEFAULT_GRADER, Grade
from ragdiag.reports.weekly import weekly_report
from ragdiag.settings import Workspace
from ragdiag.store.lake import Lake, open_lake
from ragdiag.store.results import save_findings
from ragdiag.store.upkeep.past import PastLake
from tests.toy_lake import LAST_WEEK


def test_the_worst_comes_first_with_its_reason_and_every_measure_has_n(toy_lake: Lake) -> None:
    found = weekly_report(toy_lake, "production")
    told = found.to_markdown().replace("\N{NO-BREAK SPACE}", " ")
    assert (found.outcome, found.found.week) == ("worse", date.fromisoformat(LAST_WEEK))
    lines = told.splitlines()
    assert lines[0] == "# Week of 17–23 Nov 2025: worse"
    assert "24 requests from 2025-11-17 to 2025-11-23" in told
    first = next(line for line in lines if line.startswith("- "))
    assert first.startswith("- Correct answers fell from 70.8 % to 37.5 %")
    assert "most of the new failures are corpus_gap" in first
    measures = [line for line in lines if line.startswith("| ") and line.endswith("|")]
    assert sum("n = " in line for line in measures) >= 8
    assert f"--week {LAST_WEEK} --snapshot {toy_lake.snapshot()}`" in told


def test_a_week_is_named_by_any_of_its_days_and_an_unknown_one_is_told(toy_lake: Lake) -> None:
    quiet = weekly_report(toy_lake, "production", date(2025, 9, 18))
    assert quiet.found.week == date(2025, 9, 15)
    assert "Nothing changed beyond chance" in quiet.to_markdown()
    first = weekly_report(toy_lake, "production", date(2025, 9, 1))
    assert "there is no earlier week" in first.to_markdown()
    with pytest.raises(UnknownName, match=r"week of 2024-01-01 has no .*the newest of the 12"):
        weekly_report(toy_lake, "production", date(2024, 1, 3))
    with pytest.raises(UnknownName, match=r"no request is shadow traffic.*production"):
        weekly_report(toy_lake, "shadow")


def test_names_from_the_log_are_no_markup(toy_lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ragdiag.reports.weekly.LEAST", 1)
    found = weekly_report(toy_lake, "production")
    told = found.to_markdown()
    assert "topic &lt;b>limits&lt;/b>" in told
    assert "<b>" not in told
    module = replace(found, segments=[(r"topic __init__ a\|b", found.segments[0][1])])
    assert r"| topic \_\_init\_\_ a\\\|b |" in module.to_markdown()


def imported(workspace: Workspace, *logged: tuple[str, bool, bool]) -> Lake:
    """A request each for (its day, whether its answer is right, whether it is graded)."""
    rows = [
        {
            "id": f"r{n}",
            "time": f"{day}T12:00:00Z",
            "version": "bot",
            "question": f"What is the number of item {n}?",
            "answer": f"{n + 700} units" if right else "nothing",
            **({"ground_truth": f"{n + 700}"} if graded else {}),
        }
        for n, (day, right, graded) in enumerate(logged)
    ]
    path = workspace.root.with_suffix(".jsonl")
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    lake = open_lake(workspace, create=True)
    import_logs(lake, workspace, path)
    return lake


def test_what_is_not_graded_is_told_below_the_sentences(workspace: Workspace) -> None:
    graded = [("2026-10-05", n % 2 == 0, True) for n in range(40)]
    graded += [("2026-10-12", True, n < 12) for n in range(100)]
    found = weekly_report(imported(workspace, *graded), "production")
    told = found.to_markdown().replace("\N{NO-BREAK SPACE}", " ")
    below = told.partition("- Correct answers rose from 50.0 % to 100.0 %")[2].splitlines()[2]
    assert below.startswith("88 requests are not graded: of all, 12.0 % are correct")
    assert below.endswith("100.0 % if right.")
    document = found.to_json()
    assert (document["ungraded"], document["correct_bounds"]) == (88, [0.12, 1.0])


def test_where_nothing_is_graded_no_answer_is_said_not_to_have_failed(workspace: Workspace) -> None:
    lake = imported(workspace, ("2026-10-05", False, False), ("2026-10-12", False, False))
    told = weekly_report(lake, "production").to_markdown()
    assert "No answer of these two weeks has been graded" in told
    assert "No graded answer failed" not in told


def test_from_its_snapshot_a_report_comes_out_the_same_again(
    copied: Callable[[Workspace], Lake], toy_workspace: Workspace
) -> None:
    lake = copied(toy_workspace)
    before = weekly_report(lake, "production")
    rows = lake.rows("select request_id from requests")
    save_findings(lake, grades=[Grade(row["request_id"], DEFAULT_GRADER, 1) for row in rows])
    assert weekly_report(lake, "production").to_json()["metrics"] != before.to_json()["metrics"]
    with PastLake(lake, before.snapshot) as past:
        again = weekly_report(past, "production")
    assert again.to_json() == before.to_json()
    assert again.to_markdown() == before.to_markdown()


def test_a_report_loads_no_screen() -> None:
    asked = "import sys, ragdiag.reports.weekly; print('streamlit' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
