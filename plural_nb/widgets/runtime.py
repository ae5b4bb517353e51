"""The hidden widget that brings Vega to the page, once for all charts."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import threading
from functools import cache
from pathlib import Path

import anywidget
import traitlets

from plural_nb import resources
from plural_nb.charts.export import vega_lite_version
from plural_nb.silicon.cache import cache_folder

# Bundling costs a second and 85 MB of memory that are not given back, so a child process does it, once per machine.
_BUNDLE = """
import sys, vl_convert
sys.stdout.buffer.write(vl_convert.javascript_bundle("export {{ vegaEmbed }};", vl_version={version!r}).encode())
"""


class Runtime(anywidget.AnyWidget):
    """Carries Vega's bundle to the page; it has nothing to show. Get the kernel's own with `runtime()`."""

    _esm = resources.front("runtime") / "index.js"
    version = traitlets.Unicode(help="which bundle this is").tag(sync=True)
    bundle = traitlets.Unicode(help="an ES module that exports vegaEmbed; empty until it is made").tag(sync=True)


_lock = threading.Lock()
_current: list[Runtime] = []


def runtime() -> Runtime:
    """Return the kernel's runtime widget; a new one where the last was closed."""
    with _lock:
        if _current and _current[0].comm is not None:
            return _current[0]
        made = Runtime(version=bundle_version(), bundle=_kept() or "")
        _current[:] = [made]
    if not made.bundle:
        threading.Thread(target=_fill, args=(made,), name="plural_nb vega bundle", daemon=True).start()
    return made


def send_again() -> Runtime:
    """Send the bundle to pages that have missed it, and return the runtime that carries it."""
    found = runtime()
    if found.bundle:
        found.send_state(["version", "bundle"])
    return found


@cache
def bundle_version() -> str:
    """Name of the bundle: the versions of vl-convert and of Vega-Lite in it."""
    from importlib.metadata import version

    return f"vl-convert {version('vl-convert-python')} vega-lite {vega_lite_version()}"


def javascript_bundle() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as one ES module; made once per machine, then read from the cache."""
    kept = _kept()
    if kept is not None:
        return kept
    code = _BUNDLE.format(version=vega_lite_version())
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout.decode("utf-8")
    _keep(made)
    return made


def _fill(widget: Runtime) -> None:
    widget.bundle = javascript_bundle()


def _file() -> Path:
    return cache_folder() / f"{bundle_version().replace(' ', '-')}.js"


def _kept() -> str | None:
    try:
        text = _file().read_text(encoding="utf-8")
    except OSError:
        return None
    return text if text.endswith("as vegaEmbed};") else None


def _keep(text: str) -> None:
    # Several kernels may write at once; each writes a file of its own and puts it in place whole.
    with contextlib.suppress(OSError):
        _file().parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=_file().parent, suffix=".js")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).replace(_file())
