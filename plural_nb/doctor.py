"""Examine this machine: can plural_nb run here, and if not, what would mend it."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
import subprocess
import sys
import webbrowser
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import platformdirs

from plural_nb.errors import PluralError

Status = Literal["ok", "warn", "fail"]

# What one probe may take before it is called hung; a cold disk and a slow laptop stay far below it.
_PATIENCE_S = 120
_LARGE_STORE = 1_000_000_000  # bytes


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the examination: what was looked at, how it stands, what was found, and what to do about it.

    status: "ok", "warn" (works, but less well), or "fail" (something a user needs does not work).
    remedy: empty when there is nothing to do.
    """

    what: str
    status: Status
    found: str
    remedy: str = ""

    def as_dict(self) -> dict[str, str]:
        """Return the finding as plain text fields, for JSON."""
        return asdict(self)


def examine() -> Iterator[Finding]:
    """Yield one finding after another, each as soon as it is known; a check that breaks is itself a failing finding."""
    for what, check in _CHECKS.items():
        try:
            yield check()
        except Exception as error:
            yield Finding(
                what, "fail", f"the check itself broke: {type(error).__name__}: {error}", "Please report this line."
            )


def _python() -> Finding:
    # Older Pythons cannot install the package at all, so there is nothing to judge here.
    return Finding("Python", "ok", f"{platform.python_version()} at {sys.executable}")


def _packages() -> Finding:
    from packaging.requirements import Requirement

    missing: list[str] = []
    wrong: list[str] = []
    fine: list[str] = []
    for line in importlib.metadata.requires("plural-nb") or []:
        requirement = Requirement(line)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            version = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            missing.append(requirement.name)
            continue
        good = requirement.specifier.contains(version, prereleases=True)
        (fine if good else wrong).append(f"{requirement.name} {version}")
    if missing or wrong:
        found = "; ".join(
            ([f"missing: {', '.join(missing)}"] if missing else []) + ([f"unfit: {', '.join(wrong)}"] if wrong else [])
        )
        return Finding("Packages", "fail", found, "Run `pip install -e .` again in this environment.")
    return Finding("Packages", "ok", ", ".join(fine))


def _llama() -> Finding:
    # In a child process: a broken build of llama.cpp dies with a signal that no `except` sees.
    code = (
        "import json, llama_cpp\n"
        "print(json.dumps([llama_cpp.__version__, llama_cpp.llama_print_system_info().decode()]))"
    )
    done = _child([sys.executable, "-P", "-c", code])
    if done.returncode:
        return Finding(
            "llama.cpp",
            "fail",
            f"cannot be loaded (exit status {done.returncode}): {_last_line(done.stderr)}",
            "Build it again: pip install --force-reinstall --no-binary llama-cpp-python llama-cpp-python",
        )
    version, system = json.loads(done.stdout.strip().splitlines()[-1])
    features = re.findall(r"(\w+) = 1", system)
    return Finding(
        "llama.cpp", "ok", f"llama-cpp-python {version}; processor features: {', '.join(features) or 'none'}"
    )


def _probe() -> Finding:
    from plural_nb.silicon.model import open_model
    from plural_nb.survey.question import ask_for

    with open_model("plural-demo-base") as model:
        answers = model.ask(ask_for("Do you like tea?", ["Yes", "No"]), examples=0)
        settings = model.settings
    mass = float(answers.replies[0].captured_mass)
    repacked = (
        "weights repacked for this processor" if settings.extra_buffers else "safe settings: weights as in the file"
    )
    found = f"a demo model answered one question (captured mass {mass:.2f}; {settings.threads} thread(s), {repacked})"
    return Finding("One-token probe", "ok", found)


def _models() -> Finding:
    from plural_nb.silicon.finding import find_models

    found = find_models()
    usable = [m for m in found if not m.problem]
    broken = [m.name for m in found if m.problem]
    text = f"{len(usable)} usable" + (f", {len(broken)} not: {', '.join(broken[:5])}" if broken else "")
    if not usable:
        return Finding("Models", "fail", text, "Install plural_nb again; its demo models are missing.")
    return Finding("Models", "warn" if broken else "ok", text, "`plural-nb models` says why." if broken else "")


def _widgets() -> Finding:
    """The front ends that *this* JupyterLab, the one in this environment, will serve."""
    from jupyter_core.paths import jupyter_path
    from jupyterlab.commands import AppOptions, get_app_info
    from jupyterlab_server.config import get_federated_extensions, get_page_config

    path = jupyter_path("labextensions")
    there = get_federated_extensions(path)
    needed = ("@jupyter-widgets/jupyterlab-manager", "anywidget")
    missing = [name for name in needed if name not in there]
    if missing:
        return Finding(
            "Widget front end",
            "fail",
            f"JupyterLab of {sys.prefix} does not see {', '.join(missing)}",
            f"Install into the environment that runs JupyterLab: {sys.executable} -m pip install --force-reinstall "
            "jupyterlab_widgets anywidget",
        )
    disabled = get_page_config(path).get("disabledExtensions", {})
    off = [name for name in needed if name in disabled and (not isinstance(disabled, dict) or disabled[name])]
    info = get_app_info(AppOptions())
    errors = [name for name in needed if info.get("compat_errors", {}).get(name)]
    if off or errors:
        return Finding(
            "Widget front end",
            "fail",
            "; ".join([f"{name} is disabled" for name in off] + [f"{name} does not fit" for name in errors]),
            f"jupyter labextension enable {' '.join(off)}" if off else "Bring jupyterlab and ipywidgets up to date.",
        )
    return Finding("Widget front end", "ok", ", ".join(f"{name} {there[name]['version']}" for name in needed))


def _kernel() -> Finding:
    """Notebooks run in the environment of their kernel, which need not be the one that `plural-nb` is in."""
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    remedy = f"Run `{sys.executable} -m ipykernel install --sys-prefix`."
    try:
        command = KernelSpecManager().get_kernel_spec("python3").argv[0]
    except NoSuchKernel:
        return Finding("Notebook kernel", "fail", "JupyterLab finds no Python kernel", remedy)
    own = {"python", "python3", sys.executable, str(Path(sys.executable).resolve())}
    if command not in own and Path(command).parent != Path(sys.executable).parent:
        return Finding("Notebook kernel", "warn", f"notebooks run in {command}, not in {sys.executable}", remedy)
    return Finding("Notebook kernel", "ok", f"notebooks run in {command}")


def _vega() -> Finding:
    import vl_convert as vlc

    spec = {"data": {"values": [{"x": 1}]}, "mark": "bar", "encoding": {"x": {"field": "x", "type": "quantitative"}}}
    svg = vlc.vegalite_to_svg(spec)
    if "<svg" not in svg:
        return Finding("Charts offline", "fail", "vl-convert drew nothing", "pip install -U vl-convert-python")
    return Finding(
        "Charts offline", "ok", f"vl-convert {importlib.metadata.version('vl-convert-python')} draws without internet"
    )


def _browser() -> Finding:
    try:
        name = webbrowser.get().name
    except webbrowser.Error:
        return Finding(
            "Browser",
            "warn",
            "none found from here",
            "Start with `plural-nb --no-browser` and open the address it prints in a browser of your choice.",
        )
    return Finding("Browser", "ok", str(name))


def _folders() -> Finding:
    home = Path.home()
    cache = Path(os.environ.get("PLURAL_NB_CACHE") or platformdirs.user_cache_dir("plural_nb", appauthor=False))
    for folder in (home, cache):
        nearest = next(p for p in (folder, *folder.parents) if p.exists())
        if not os.access(nearest, os.W_OK):
            return Finding(
                "Folders",
                "warn",
                f"{folder} cannot be written to",
                "Name a working folder with `plural-nb --folder`, and a cache folder with PLURAL_NB_CACHE.",
            )
    return Finding("Folders", "ok", f"home {home}, cache {cache}")


def _store() -> Finding:
    from plural_nb.silicon.store import Store

    store = Store()
    if not store.path.exists():
        return Finding("Store of answers", "ok", f"none yet; it will be {store.path}")
    replies, size = len(store), store.size_bytes
    store.close()
    found = f"{replies:,} replies in {size / 1e6:.1f} MB at {store.path}"
    if store.note:
        return Finding("Store of answers", "warn", f"{found}: {store.note}", "Asking works; set PLURAL_NB_CACHE.")
    remedy = "`plural-nb store --prune --older-than 90` says what would go." if size > _LARGE_STORE else ""
    return Finding("Store of answers", "ok", found, remedy)


_CHECKS: dict[str, Callable[[], Finding]] = {
    "Python": _python,
    "Packages": _packages,
    "llama.cpp": _llama,
    "One-token probe": lambda: _in_words("One-token probe", _probe),
    "Models": _models,
    "Widget front end": _widgets,
    "Notebook kernel": _kernel,
    "Charts offline": _vega,
    "Browser": _browser,
    "Folders": _folders,
    "Store of answers": _store,
}


def _in_words(what: str, check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except PluralError as error:
        remedy = "Build llama-cpp-python again (see above), or send us this line and `plural-nb doctor --json`."
        return Finding(what, "fail", str(error), remedy)


def _child(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE_S, check=False)


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "it said nothing"
