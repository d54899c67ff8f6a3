"""A dashboard process over the small demo, and a real browser to look at it with.

``RAGDIAG_BROWSER_WORKSPACE`` names a workspace to look at instead of building the small demo;
``RAGDIAG_SCREENSHOTS`` names the folder that keeps the screenshots.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ragdiag.settings import PROJECT, WORKSPACE_VARIABLE
from tests.built_demo import BuiltDemo

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@pytest.fixture(scope="session")
def demo_workspace_path(request: pytest.FixtureRequest) -> Path:
    named = os.environ.get("RAGDIAG_BROWSER_WORKSPACE")
    if named:
        return Path(named)
    demo: BuiltDemo = request.getfixturevalue("small_demo")
    return demo.workspace.root


@pytest.fixture(scope="session")
def dashboard(demo_workspace_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of ``streamlit run app.py`` on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "streamlit", "run", "app.py"]
    command += ["--server.port", str(port), "--server.address", "127.0.0.1"]
    with (tmp_path_factory.mktemp("server") / "log").open("w") as log:
        server = subprocess.Popen(
            command,
            cwd=PROJECT,
            env={**os.environ, WORKSPACE_VARIABLE: str(demo_workspace_path)},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait_until_healthy(address, server)
            yield address
        finally:
            server.terminate()
            server.wait(timeout=20)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """For these tests alone: while it is open an event loop runs in this thread, and no other test
    could start one."""
    if not CHROMIUM.is_file():
        pytest.skip(f"no browser at {CHROMIUM}; install the package chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def screenshots() -> Path | None:
    """Where screenshots are kept; None where nobody wants any."""
    named = os.environ.get("RAGDIAG_SCREENSHOTS")
    if not named:
        return None
    folder = Path(named)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _wait_until_healthy(address: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health", timeout=2):
                return
        except (urllib.error.URLError, TimeoutError):
            time.sleep(0.2)
    raise RuntimeError("the dashboard did not start")
