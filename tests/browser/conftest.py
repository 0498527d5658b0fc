"""Pages in a real browser: what they log, what they ask the network for, and who can read them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Playwright, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
DESKTOP, PHONE = (1280, 800), (390, 844)
# GLIAL_SCREENSHOTS=docs/images writes the pictures of the documents anew.
SCREENSHOTS = os.environ.get("GLIAL_SCREENSHOTS")
# What axe-core is to find nothing against: WCAG 2.1 AA and its best practices.
RULES = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"],
    "resultTypes": ["violations"],  # what passes is not described, which takes half of the time
}


def executable(playwright: Playwright) -> str | None:
    """Where a Chromium is; None where there is none."""
    for name in NAMES:
        found = shutil.which(name)
        if found:
            return found
    own = playwright.chromium.executable_path
    return own if Path(own).exists() else None


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless Chromium, of the system or Playwright's own."""
    with sync_playwright() as playwright:
        path = executable(playwright)
        if path is None:
            pytest.skip("no Chromium on this machine: install it, or run tools/install_browser.py")
        started = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield started
        started.close()


@dataclass
class Opened:
    """A page, and everything that it said and asked for.

    Attributes:
        page: Playwright's page.
        errors: What was logged as an error or warning, or thrown.
        requests: Every address that was asked for but the page's own.
    """

    page: Page
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def check_accessible(self) -> None:
        """Nothing for axe-core to find."""
        found = Axe().run(self.page, options=RULES).response["violations"]
        told = [
            f"{one['id']} ({one['impact']}): {node['html'][:200]} {node['failureSummary'][:300]}"
            for one in found
            for node in one["nodes"]
        ]
        assert told == []

    def check_fits(self) -> None:
        """No part is wider than the window."""
        sizes = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
        wide, window = self.page.evaluate(sizes)
        assert wide <= window

    def shot(self, name: str, *, whole: bool = False) -> None:
        """Write a picture for the documents, where these are asked for."""
        if SCREENSHOTS:
            path = Path(SCREENSHOTS) / f"{name}.png"
            self.page.screenshot(path=path, full_page=whole, animations="disabled")


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Opened]]:
    """Opens an address: ``open_page(url, size=PHONE, dark=True, **context options)``."""
    contexts = []

    def opened(
        url: str, *, size: tuple[int, int] = DESKTOP, dark: bool = False, **options: Any
    ) -> Opened:
        context = browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
            **options,
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        found = Opened(page)
        bad = ("error", "warning")
        page.on("console", lambda said: said.type in bad and found.errors.append(said.text))
        page.on("pageerror", lambda error: found.errors.append(str(error)))
        page.on("request", lambda asked: asked.url != url and found.requests.append(asked.url))
        page.goto(url)
        return found

    yield opened
    for context in contexts:
        context.close()
