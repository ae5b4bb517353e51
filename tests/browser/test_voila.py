"""The slider over α in Voilà, where the package's extra `voila` is installed."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(importlib.util.find_spec("voila") is None, reason="the extra `voila` is not installed")
CODE = """import plural_nb as pnb
pnb.AlphaSweep(pnb.Utilities.of({"Bold": [9.0, 9.0, 1.0], "Mild": [4.0, 4.0, 4.0]}))"""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """Address of Voilà with a notebook of one cell."""
    cell = {"cell_type": "code", "id": "c01", "metadata": {}, "source": CODE, "execution_count": None, "outputs": []}
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    notebook = {"cells": [cell], "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}
    file = tmp_path / "sweep.ipynb"
    file.write_text(json.dumps(notebook), encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("JUPYTER")}
    environment |= {"HOME": str(tmp_path), "PLURAL_NB_CACHE": str(tmp_path / "cache")}
    command = [sys.executable, "-m", "voila", str(file), "--no-browser", f"--port={port}", "--Voila.ip=127.0.0.1"]
    with (tmp_path / "voila.log").open("w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        address = f"http://127.0.0.1:{port}/"
        try:
            for _ in range(150):
                try:
                    urllib.request.urlopen(f"{address}voila/api/", timeout=2).close()
                except urllib.error.HTTPError:
                    break
                except OSError:
                    assert server.poll() is None, (tmp_path / "voila.log").read_text()
                    time.sleep(0.2)
                else:
                    break
            yield address
        finally:
            server.terminate()
            try:
                server.wait(15)
            except subprocess.TimeoutExpired:
                server.kill()


def test_the_slider_moves_and_the_kernel_hears_of_it(served: str, page: Any) -> None:
    page.goto(served, timeout=90_000)
    page.locator(".pnb-sweep").wait_for(timeout=90_000)
    slider = page.get_by_role("slider")
    slider.focus()
    assert page.locator(".pnb-headline").text_content() == "Bold wins."
    page.keyboard.press("End")
    assert page.locator(".pnb-headline").text_content() == "Mild wins."
    page.get_by_role("button", name="Show code").click()
    page.get_by_text('pnb.sweep(scaled, [float("inf")]').wait_for()
