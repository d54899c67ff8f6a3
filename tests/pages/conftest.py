"""The dashboard on a toy lake, and a way to open any page of it as a test."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
import streamlit as st
from streamlit.components.v2 import manifest_scanner
from streamlit.runtime.pages_manager import PagesManager
from streamlit.testing.v1 import AppTest, app_test

from ragdiag.settings import PROJECT, WORKSPACE_VARIABLE, Workspace
from ragdiag.store.lake import close_lakes
from ragdiag.ui.answerer import answerer
from ragdiag.ui.ingesting import keep_ingesting
from tests.stocked import add as add
from tests.stocked import corpus as corpus
from tests.stocked import stocked_workspace as stocked_workspace
from tests.stocked import version as version

Open = Callable[..., AppTest]


class RoutedPages(PagesManager):
    """Pages that belong to ``st.navigation``, as in a server whose app.py has run once.

    Without it AppTest takes the folder ``pages`` for Streamlit's old kind of app.
    """

    def __init__(self, *args: object, **kwargs: object) -> None:
        PagesManager.uses_pages_directory = False
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]


@pytest.fixture(scope="session", autouse=True)
def _packages_are_searched_once() -> Iterator[None]:
    """Every AppTest that runs searches what is installed for components, as a server does when it
    starts: a fifth of the time of a page's tests."""
    search = manifest_scanner.scan_component_manifests
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(manifest_scanner, "scan_component_manifests", cache(search))
        yield


@pytest.fixture
def empty_lake(workspace: Workspace, empty_workspace: Workspace) -> Iterator[Workspace]:
    """A workspace that exists and holds nothing."""
    shutil.copytree(empty_workspace.root, workspace.root)
    yield workspace
    close_lakes()


@pytest.fixture
def open_cold(monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """As ``open_page``, on a server whose first request is this one: the page's file runs alone."""

    def opened(page: str, workspace: Workspace, /, **query: str) -> AppTest:
        monkeypatch.setenv(WORKSPACE_VARIABLE, str(workspace.root))
        app = AppTest.from_file(str(Path(PROJECT, "app.py")), default_timeout=60)
        app.query_params.update(query)
        app.switch_page(f"pages/{page}.py")
        return app.run()

    yield opened
    st.cache_data.clear()
    keep_ingesting.clear()
    answerer.clear()


@pytest.fixture
def open_page(monkeypatch: pytest.MonkeyPatch, open_cold: Open) -> Open:
    """``open_page("triage", workspace, verdict="corpus")`` runs the app on that page."""
    monkeypatch.setattr(app_test, "PagesManager", RoutedPages)
    return open_cold


@pytest.fixture
def said() -> Callable[[AppTest], str]:
    """Everything a page says, as one text without Markdown's escapes and without HTML tags."""

    def text(app: AppTest) -> str:
        kinds = (app.title, app.caption, app.subheader, app.markdown, app.code)
        boxes = (app.error, app.warning, app.info, app.success)
        parts = [str(element.value) for kind in (*kinds, *boxes) for element in kind]
        parts += [element.proto.title for kind in boxes for element in kind]
        parts += [element.proto.body for element in app.get("html")]
        return "\n".join(parts).replace("\\", "").replace("\u00a0", " ")

    return text
