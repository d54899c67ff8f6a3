"""What every page must do: open, warm and cold, with data and without, and import no model."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from ragdiag.settings import PROJECT, Workspace
from ragdiag.store.upkeep.compact import compact_store
from ragdiag.store.upkeep.datafiles import list_files

PAGES = {
    "overview": "Overview",
    "triage": "Triage",
    "request": "Request",
    "review": "Review",
    "versions": "Versions",
    "latency": "Latency",
    "drift": "Drift",
    "indexes": "Indexes",
    "training": "Training",
    "playground": "Playground",
}
HEAVY = ("torch", "transformers", "faiss", "sentence_transformers", "peft", "scipy.stats")


@pytest.mark.parametrize("page", PAGES)
def test_a_page_opens_with_one_title_and_what_it_decides(open_page, toy_workspace, page) -> None:
    app = open_page(page, toy_workspace)
    assert not app.exception
    assert [title.value for title in app.title] == [PAGES[page]]
    assert app.caption[0].value.startswith("Decide ")


@pytest.mark.parametrize("page", PAGES)
def test_a_cold_deep_link_opens_the_page_inside_the_frame(open_cold, toy_workspace, page) -> None:
    app = open_cold(page, toy_workspace)
    assert not app.exception
    assert [title.value for title in app.title] == [PAGES[page]]
    again = app.run()
    assert not again.exception
    assert [title.value for title in again.title] == [PAGES[page]]


@pytest.mark.parametrize("page", ["overview", "triage", "latency"])
@pytest.mark.parametrize("table", ["daily", "requests"])
def test_a_page_names_the_damaged_file_and_the_remedy(
    open_page, copied, toy_workspace, said, page, table
) -> None:
    lake = copied(toy_workspace)
    compact_store(lake, keep_days=0)
    files = [file for file in lake.read(list_files) if file.is_current and file.table == table]
    for file in files:
        Path(file.path).unlink()
    app = open_page(page, lake.workspace)
    assert not app.exception
    assert [box.proto.title for box in app.error][-1] == "Cannot be shown"
    assert any(Path(file.path).name in said(app) for file in files)
    assert "ragdiag store check --set-aside" in said(app)
    assert [title.value for title in app.title] == [PAGES[page]]


@pytest.mark.parametrize("page", PAGES)
def test_without_a_workspace_every_page_is_the_welcome(open_page, workspace, page) -> None:
    app = open_page(page, workspace)
    assert not app.exception
    assert [button.label for button in app.button] == ["Build the demo", "Import"]


@pytest.mark.parametrize("page", PAGES)
def test_a_workspace_without_requests_tells_the_next_commands(
    open_page, empty_lake: Workspace, page, said
) -> None:
    app = open_page(page, empty_lake)
    assert not app.exception
    assert "import corpus PATH" in said(app)
    assert "evaluate v1 --split test" in said(app)


def test_no_two_pages_share_a_key(open_page, toy_workspace) -> None:
    """Streamlit 1.67 drops a bound query parameter on the way to a page with the same key."""
    keys: list[str] = []
    for page in PAGES:
        app = open_page(page, toy_workspace, a="lexical", b="hybrid")
        keys += [widget.key for widget in (*app.selectbox, *app.number_input)]
    assert {"week", "overview_week", "latency_week", "slo", "reference", "split"} <= set(keys)
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize(
    ("page", "key", "usual"),
    [
        ("latency", "slo", 200),
        ("drift", "recent", 1),
        ("drift", "reference", 4),
        ("triage", "page", 1),
    ],
)
def test_a_number_of_the_address_that_cannot_be_is_not_read(
    open_page, toy_workspace, page, key, usual
) -> None:
    for given in ("1e999", "-inf", "nan", "1e30", "-3", "x"):
        app = open_page(page, toy_workspace, **{key: given})
        assert not app.exception
        assert app.number_input(key=key).value == usual
    app = open_page(page, toy_workspace, **{key: "inf"})
    app.number_input(key=key).set_value(2).run()
    assert not app.exception
    assert app.number_input(key=key).value == 2
    assert open_page(page, toy_workspace, **{key: "2"}).number_input(key=key).value == 2


def test_a_page_file_is_short_and_begins_with_the_frame() -> None:
    for page in PAGES:
        text = Path(PROJECT, "pages", f"{page}.py").read_text(encoding="utf-8")
        assert len(text.split("\n")) <= 121, page
        _, *code = (
            n for n in ast.parse(text).body if not isinstance(n, ast.Import | ast.ImportFrom)
        )
        assert any("frame.begin(" in ast.unparse(node) for node in code[:4]), page


def test_the_sidebar_names_workspace_and_data_version(open_page, toy_workspace, said) -> None:
    text = said(open_page("overview", toy_workspace))
    assert "468 requests" in text
    assert "data version" in text
    assert "dates are simulated" not in text


def test_the_demo_says_that_its_dates_are_simulated(open_page, toy_workspace, said) -> None:
    marker = toy_workspace.demo_marker
    marker.write_text('{"size": "small"}')
    try:
        assert "dates are simulated" in said(open_page("overview", toy_workspace))
    finally:
        marker.unlink()


def test_no_page_imports_a_model_library(toy_workspace: Workspace) -> None:
    """In a fresh process, every page is drawn with data, and none of the heavy modules is there."""
    code = f"""
import sys
from streamlit.testing.v1 import AppTest
for page in {list(PAGES)!r}:
    app = AppTest.from_file("app.py", default_timeout=60)
    app.query_params.update({{"request_id": "p-11-00"}})
    app.switch_page(f"pages/{{page}}.py")
    app.run()
    assert not app.exception, app.exception
    assert app.title[0].value
print([name for name in {HEAVY!r} if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=PROJECT,
        env={"RAGDIAG_WORKSPACE": str(toy_workspace.root), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip().split("\n")[-1] == "[]"
