"""No workspace: the two ways to get one, and the job that makes it."""

from __future__ import annotations

import os
from datetime import UTC, datetime

import pytest

from ragdiag.jobs import JobProgress, write_progress
from ragdiag.settings import Workspace
from ragdiag.store.lake import close_lakes, open_lake
from ragdiag.ui import jobs
from ragdiag.ui.welcome import FIRST_SPEC
from ragdiag.version import parse_spec


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What the page started, instead of starting it."""
    seen: list[object] = []
    monkeypatch.setattr(jobs, "start_demo", lambda: seen.append("demo"))
    monkeypatch.setattr(jobs, "start_import", lambda path: seen.append(path))
    monkeypatch.setattr(jobs, "demo_workspace", jobs.command_workspace)
    monkeypatch.setattr(jobs, "_is_ours", lambda pid: True)
    return seen


def progress(workspace: Workspace, state: str, error: str | None = None) -> None:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    told = JobProgress(state, 0.42, "indexing v3", os.getpid(), now, error)  # type: ignore[arg-type]
    write_progress(workspace.jobs / "demo.json", told)


def press(app, label: str):
    return next(button for button in app.button if button.label == label).click().run()


def test_build_the_demo_starts_it(open_page, workspace, started) -> None:
    app = press(open_page("overview", workspace), "Build the demo")
    assert not app.exception
    assert started == ["demo"]


def test_an_import_takes_a_path_that_is_there(open_page, workspace, started, tmp_path) -> None:
    (tmp_path / "corpus").mkdir()
    app = open_page("overview", workspace)
    app.text_input[0].set_value(str(tmp_path / "corpus"))
    press(app, "Import")
    assert started == [tmp_path / "corpus"]


def test_logs_are_imported_by_a_command(open_page, workspace, empty_lake, said) -> None:
    text = said(open_page("overview", empty_lake))
    assert "python -m ragdiag import logs PATH" in text


def test_the_first_page_names_the_command_for_logs(open_page, workspace, said) -> None:
    text = said(open_page("overview", workspace))
    assert "python -m ragdiag import logs PATH --dry-run" in text
    assert "Langfuse" in text


@pytest.mark.parametrize("given", ["", "/no/such/place", "**bold**"])
def test_an_import_of_nothing_says_so(open_page, workspace, started, given, said) -> None:
    app = open_page("overview", workspace)
    app.text_input[0].set_value(given)
    app = press(app, "Import")
    assert started == []
    assert "is not there" in said(app)


def test_a_running_build_is_shown_on_every_page(open_page, workspace, started, said) -> None:
    progress(workspace, "running")
    app = open_page("triage", workspace)
    assert not app.exception
    text = said(app)
    assert "Building the demo" in text
    assert "42% done" in text
    assert not app.button


def test_a_failed_build_says_why_and_can_be_tried_again(
    open_page, workspace, started, said
) -> None:
    progress(workspace, "failed", "no space left; free some")
    app = open_page("overview", workspace)
    assert "no space left; free some" in said(app)
    press(app, "Try again")
    assert started == ["demo"]


def test_a_build_that_was_stopped_is_told_as_such(open_page, workspace, started, said) -> None:
    progress(workspace, "cancelled", "stopped by the user")
    app = open_page("overview", workspace)
    assert "stopped by the user" in said(app)
    assert not [one for one in app.error if "stopped" in one.value]
    press(app, "Try again")
    assert started == ["demo"]


def test_a_failure_can_be_dismissed(open_page, workspace, started, said) -> None:
    progress(workspace, "failed", "no space left; free some")
    app = press(open_page("overview", workspace), "Dismiss")
    assert "no space left" not in said(app)


def test_a_workspace_of_a_later_ragdiag_is_told_in_one_line(open_page, empty_lake, said) -> None:
    lake = open_lake(empty_lake)
    lake.write(lambda cursor: cursor.execute("insert into migrations values (999, 'later', now())"))
    close_lakes()
    app = open_page("overview", empty_lake)
    assert not app.exception
    assert "upgrade ragdiag" in said(app)


def test_the_first_steps_can_be_run_as_they_stand(open_page, empty_lake, said) -> None:
    told = said(open_page("overview", empty_lake))
    assert "import gold questions.jsonl" in told
    assert told.index("import corpus") < told.index("import gold") < told.index("version add v1")
    spec = FIRST_SPEC.replace(r"\n", "\n")
    assert parse_spec(spec, source="v1.toml").generator.kind == "extractive"
