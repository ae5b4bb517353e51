"""How long until the first chart, how quick a redraw, how big the kernel: one JSON object, medians, no verdict.

Run `python tests/benchmarks/first_light.py`. It starts JupyterLab in a fresh home, runs the tour in Chromium and
measures what a user would feel:

first_chart_s: from choosing "Run All Cells" to the first bars on the page, each time in a fresh kernel.
redraw_ms: from a key press on the weights box to the changed bars on the page, the answers being known.
kernel_mb: resident memory of the notebook's kernel with the panel open, without the model's worker.
import_s: `import plural_nb` in a fresh Python, its start not counted.

A figure that cannot be measured here is null, and `reasons` says why.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lab_session import chromium, jupyterlab, new_home, run_all

if TYPE_CHECKING:
    from playwright.sync_api import Page

RUNS = 5
KEYS = 30

# Resolves with the milliseconds from the next key press to the frame after the chart's marks changed.
STOPWATCH = """
() => {
  const marks = document.querySelector(".jp-OutputArea svg.marks");
  window.plural_ms = new Promise((resolve) => {
    let pressed = null;
    document.addEventListener("keydown", () => { pressed = performance.now(); }, {capture: true, once: true});
    const seen = new MutationObserver(() => {
      if (pressed === null) return;
      seen.disconnect();
      requestAnimationFrame(() => resolve(performance.now() - pressed));
    });
    seen.observe(marks.parentNode, {subtree: true, childList: true, attributes: true, characterData: true});
  });
}
"""


def main() -> None:
    """Measure and print."""
    result: dict[str, Any] = {"import_s": import_seconds(), "reasons": {}}
    try:
        result |= in_the_browser()
    except Exception as error:
        for name in ("first_chart_s", "redraw_ms", "kernel_mb"):
            result.setdefault(name, None)
            result["reasons"][name] = f"{type(error).__name__}: {error}".splitlines()[0]
    result["raw"] = result.pop("raw", {})
    print(json.dumps(result, indent=2))


def import_seconds() -> float:
    """Median seconds of `import plural_nb` over fresh processes, after one that warms the disk."""
    code = "import time; t = time.perf_counter(); import plural_nb; print(time.perf_counter() - t)"
    times = [float(subprocess.check_output([sys.executable, "-c", code], text=True)) for _ in range(RUNS + 1)]
    return statistics.median(times[1:])


def in_the_browser() -> dict[str, Any]:
    """Drive the tour and return the figures that need a page."""
    home = new_home()
    charts: list[float] = []
    memory: list[float] = []
    redraws: list[float] = []
    try:
        with jupyterlab(home) as address, chromium() as browser:
            for _ in range(RUNS):
                page = browser.new_page(viewport={"width": 1400, "height": 1000})
                page.goto(address)
                charts.append(first_chart(page))
                page.wait_for_timeout(1500)
                memory.append(kernel_megabytes())
                if not redraws:
                    redraws = redraw_times(page)
                stop_kernels(page)
                page.close()
    finally:
        shutil.rmtree(home, ignore_errors=True)
    return {
        "first_chart_s": round(statistics.median(charts), 3),
        "redraw_ms": round(statistics.median(redraws), 1),
        "kernel_mb": round(statistics.median(memory), 1),
        "raw": {"first_chart_s": charts, "redraw_ms": redraws, "kernel_mb": memory},
    }


def first_chart(page: Page) -> float:
    """Run all cells and return the seconds until bars stand on the page."""
    page.locator(".jp-Notebook .jp-Cell").first.wait_for()
    run_all(page)
    start = time.perf_counter()
    page.locator(".jp-OutputArea svg.marks path").first.wait_for(state="attached", timeout=60_000)
    return time.perf_counter() - start


def redraw_times(page: Page) -> list[float]:
    """Press Space on the weights box; the first presses, which compute, are not counted."""
    box = page.get_by_label("Use the survey's weights").first
    box.focus()
    times = []
    for _ in range(KEYS + 4):
        page.evaluate(STOPWATCH)
        page.keyboard.press("Space")
        times.append(float(page.evaluate("() => window.plural_ms")))
        page.wait_for_timeout(120)
    return times[4:]


def kernel_megabytes() -> float:
    """Resident memory of the one kernel that runs under this process."""
    import psutil

    kernels = [
        p
        for p in psutil.Process(os.getpid()).children(recursive=True)
        if "ipykernel_launcher" in " ".join(p.cmdline()) and p.status() != psutil.STATUS_ZOMBIE
    ]
    return max(p.memory_info().rss for p in kernels) / 1e6


def stop_kernels(page: Page) -> None:
    """Shut the kernels down, so that the next run starts a fresh one."""
    page.evaluate(
        """async () => {
          const token = new URLSearchParams(location.search).get("token") ?? JSON.parse(
            document.getElementById("jupyter-config-data").textContent).token;
          const headers = {Authorization: `token ${token}`};
          const sessions = await (await fetch("/api/sessions", {headers})).json();
          for (const s of sessions) {
            headers["X-XSRFToken"] = document.cookie.match("_xsrf=([^;]*)")?.[1] ?? "";
            await fetch(`/api/sessions/${s.id}`, {method: "DELETE", headers});
          }
        }"""
    )


if __name__ == "__main__":
    main()
