"""Finds a Chromium for the tests of pages, or installs one; without any they are skipped."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def is_there() -> bool:
    """Whether the tests will find a browser: on the path, or Playwright's own."""
    if any(map(shutil.which, NAMES)):
        return True
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        return Path(playwright.chromium.executable_path).exists()


def ways() -> list[list[list[str]]]:
    """The commands that may bring one: the system's package where this is root, or Playwright's."""
    found = []
    if os.geteuid() == 0 and shutil.which("apt-get"):
        wanted = ["chromium", "fonts-dejavu-core"]
        found.append([["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", *wanted]])
    found.append([[sys.executable, "-m", "playwright", "install", "chromium"]])
    return found


def main() -> int:
    """Install a browser if need be; the exit status is 0 where there is one at the end."""
    if is_there():
        return 0
    print("installing Chromium, which the tests of pages open", file=sys.stderr)
    for commands in ways():
        done = [subprocess.run(command, stdout=2, check=False) for command in commands]
        if done[-1].returncode == 0 and is_there():
            return 0
    print(
        "no Chromium could be installed: tests of pages will be skipped.\n"
        "Do: install the package chromium, or run: .venv/bin/playwright install chromium",
        file=sys.stderr,
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
