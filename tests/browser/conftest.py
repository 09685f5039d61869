"""Debian's Chromium, headless, on the real service."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from tests.needs import missing
from tests.serving import Served, serving

LOUD = {"warning", "error"}
QUIET = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-sandbox",
]


# Of a module alone: beside Playwright's open loop no other test could run one of its own.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = shutil.which("chromium")
    if path is None:
        missing("Chromium (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("browser")) as served:
        yield served


@pytest.fixture(params=["desktop", "phone without script"])
def page(browser: Browser, served: Served, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page in a window of its own; its console must stay silent."""
    phone = request.param != "desktop"
    size = ViewportSize(width=360, height=740) if phone else ViewportSize(width=1280, height=900)
    context = browser.new_context(
        base_url=served.origin,
        viewport=size,
        java_script_enabled=not phone,
    )
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda m: said.append(m.text) if m.type in LOUD else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("requestfailed", lambda failed: said.append(f"failed: {failed.url}"))
    yield page
    context.close()
    # Chromium tells of an answer that is no success too; that is the test's own business.
    assert [text for text in said if "the server responded with a status of" not in text] == []


@pytest.fixture
def shot(page: Page, request: pytest.FixtureRequest) -> Iterator[None]:
    """A picture of where the test ended, when a folder for pictures is named."""
    yield
    folder = os.environ.get("PASSERINE_TEST_SCREENSHOTS")
    if folder:
        name = request.node.name.replace("[", "-").replace("]", "").replace(" ", "-")
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)
