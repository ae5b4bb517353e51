"""A JupyterLab started by `plural-nb` in a home of its own, and a page in Chromium that looks at it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def find_chromium() -> str | None:
    """Path of a Chromium or Chrome on PATH, or None."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)


@contextmanager
def jupyterlab(home: Path) -> Iterator[str]:
    """Start `plural-nb --no-browser` as a user would, in `home`, and yield the address that it prints."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("JUPYTER", "XDG_", "HF_", "OLLAMA"))}
    environment |= {"HOME": str(home), "USERPROFILE": str(home), "PLURAL_NB_CACHE": str(home / "cache")}
    command = [sys.executable, "-m", "plural_nb.cli", "--no-browser", "--folder", str(home / "work"), "--allow-root"]
    log = (home / "jupyter.log").open("w+")
    server = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True, cwd=home, start_new_session=True
    )
    try:
        assert server.stdout is not None
        for line in server.stdout:
            if found := re.search(r"JupyterLab is at (\S+)", line):
                break
        else:
            log.seek(0)
            raise AssertionError(f"JupyterLab did not start: {log.read()[-2000:]}")
        yield found.group(1)
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(15)
        except subprocess.TimeoutExpired:
            server.kill()
        log.close()


@contextmanager
def chromium() -> Iterator[Browser]:
    """Yield a headless browser; RuntimeError when there is none on this machine."""
    from playwright.sync_api import sync_playwright

    path = find_chromium()
    if path is None:
        raise RuntimeError("no Chromium or Chrome on PATH")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        try:
            yield browser
        finally:
            browser.close()


def run_all(page: Page) -> None:
    """Choose "Run All Cells" in JupyterLab's Run menu, once the kernel stands (before that, it asks for one)."""
    page.get_by_text(re.compile(r"Python 3 \(ipykernel\) \| Idle")).wait_for()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()


def new_home() -> Path:
    """Make an empty home folder for one session."""
    return Path(tempfile.mkdtemp(prefix="plural-nb-home-"))
