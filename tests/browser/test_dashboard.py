"""Every page in a real browser, light and dark; from a triage row to its request."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.slow

log = logging.getLogger("ragdiag.browser")

TITLES = (
    "Overview",
    "Triage",
    "Request",
    "Review",
    "Versions",
    "Latency",
    "Drift",
    "Indexes",
    "Training",
    "Playground",
)
WIDTH, HEIGHT, TALLEST = 1400, 900, 4000
STILL = '[data-testid="stApp"][data-test-script-state="notRunning"]'
CONTENT = '[data-testid="stMainBlockContainer"]'
SETTLED_MS = 2500  # charts and sparklines are drawn after the script has ended


@pytest.fixture(params=["light", "dark"])
def page(request: pytest.FixtureRequest, browser: Browser, dashboard: str) -> Iterator[Page]:
    """A tab that fails the test if a page asks anything of the network outside."""
    context = browser.new_context(
        color_scheme=request.param, viewport={"width": WIDTH, "height": HEIGHT}
    )
    outside: list[str] = []
    context.on(
        "request",
        lambda sent: (
            None if sent.url.startswith((dashboard, "data:", "blob:")) else outside.append(sent.url)
        ),
    )
    tab = context.new_page()
    yield tab
    context.close()
    assert outside == []


@pytest.fixture
def scheme(page: Page) -> str:
    dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    return "dark" if dark else "light"


def wait_for(page: Page, title: str) -> None:
    page.get_by_role("heading", name=title, exact=True, level=1).wait_for(timeout=60_000)
    page.wait_for_selector(STILL, timeout=60_000)
    assert page.locator('[data-testid="stException"]').count() == 0


def photograph(page: Page, folder: Path | None, name: str) -> None:
    """The whole page: the window is made as tall as its content, since only that scrolls. Where no
    photograph is wanted, only wait for what it may load late."""
    if folder is None:
        page.wait_for_load_state("networkidle")
        return
    page.wait_for_timeout(SETTLED_MS)
    tall = page.locator(CONTENT).evaluate("element => element.scrollHeight")
    page.set_viewport_size({"width": WIDTH, "height": min(int(tall) + 40, TALLEST)})
    page.wait_for_timeout(SETTLED_MS // 2)
    page.screenshot(path=str(folder / name))
    page.set_viewport_size({"width": WIDTH, "height": HEIGHT})


def open_first_failure(page: Page) -> str:
    """Click the first row of the failures, triage's last table; the id of the request behind it."""
    table = page.locator('[data-testid="stDataFrame"]').last
    table.scroll_into_view_if_needed()
    page.wait_for_timeout(500)
    table.click(position={"x": 300, "y": 52})  # the header is 35 px tall, the row begins below
    page.wait_for_url(re.compile(r"/request\?request_id="), timeout=30_000)
    wait_for(page, "Request")
    return page.url.partition("request_id=")[2]


def test_every_page_opens_from_the_sidebar(
    page: Page, scheme: str, dashboard: str, screenshots: Path | None
) -> None:
    page.goto(dashboard)
    wait_for(page, "Overview")
    for visit in ("first", "warm"):
        for title in (*TITLES[1:], TITLES[0]):
            started = time.perf_counter()
            page.get_by_test_id("stSidebarNav").get_by_text(title, exact=True).click()
            wait_for(page, title)
            took = time.perf_counter() - started
            log.info("%s, %s, %s visit: content after %.2f s", title, scheme, visit, took)
            if title != "Request" and visit == "first":
                photograph(page, screenshots, f"{title.lower()}-{scheme}.png")


def test_a_triage_row_leads_to_its_request(
    page: Page, scheme: str, dashboard: str, screenshots: Path | None
) -> None:
    page.goto(f"{dashboard}/triage")
    wait_for(page, "Triage")
    request_id = open_first_failure(page)
    assert request_id
    page.get_by_text("Where the gold passage went").wait_for()
    photograph(page, screenshots, f"request-{scheme}.png")
    page.reload()
    wait_for(page, "Request")
    page.get_by_text("Where the gold passage went").wait_for()


def test_filters_and_links_live_in_the_address(page: Page, dashboard: str) -> None:
    page.goto(dashboard)
    wait_for(page, "Overview")
    page.get_by_text("Open this week's failed requests in Triage").click()
    wait_for(page, "Triage")
    assert "week=" in page.url
    page.goto(f"{dashboard}/triage?verdict=retrieval")
    wait_for(page, "Triage")
    verdict = page.get_by_test_id("stSelectbox").filter(has_text="Verdict").locator("input")
    assert verdict.input_value() == "retrieval"


def test_an_unknown_request_leaves_a_way_on(page: Page, dashboard: str) -> None:
    page.goto(f"{dashboard}/request?request_id=<img src=x onerror=alert(1)>")
    wait_for(page, "Request")
    page.get_by_text("There is no request").wait_for()
    page.get_by_text("Choose one in Triage").click()
    wait_for(page, "Triage")
