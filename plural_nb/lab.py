"""Start JupyterLab on a working folder that holds the user's own copies of the notebooks."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs

from plural_nb import __version__, resources
from plural_nb.errors import PluralError

TOUR = "00_tour.ipynb"
_RECORD = ".plural_nb.json"


@dataclass(frozen=True, slots=True)
class Copied:
    """What `copy_notebooks` did: names of notebooks that are new, brought up to date, and left alone.

    `beside` names the new versions that were put beside a notebook the user has changed.
    """

    new: tuple[str, ...] = ()
    updated: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()


def start(
    *,
    folder: Path | None = None,
    port: int | None = None,
    browser: bool = True,
    allow_root: bool = False,
    jupyter: Sequence[str] = (),
) -> None:
    """Copy the notebooks, start JupyterLab on loopback with a token, and open the tour; return when it stops.

    folder: working folder; None takes the one remembered from the last start, else `~/plural_nb`.
    port: None for 8888 or the next free one; a given port that is taken is an error.
    browser: open the default browser; the address is printed either way.
    jupyter: further options for JupyterLab, as on its command line.

    Raises PluralError when the folder cannot be used, the port is taken, or root starts it without `allow_root`.
    """
    if hasattr(os, "geteuid") and os.geteuid() == 0 and not allow_root:
        raise PluralError(
            "You are root, and code in notebooks would run as root. Start it as another user, or add --allow-root."
        )
    home = working_folder(folder)
    copied = copy_notebooks(home)
    print(f"Your notebooks are in {home}")  # noqa: T201
    for name in copied.beside:
        print(f"You changed one that has a new version; yours is as you left it, the new one is {name}")  # noqa: T201
    options = [
        f"--ServerApp.root_dir={home}",
        "--ServerApp.ip=127.0.0.1",
        f"--LabApp.default_url=/lab/tree/{TOUR}",
        "--Application.log_level=WARN",
    ]
    if port is not None:
        options += [f"--ServerApp.port={port}", "--ServerApp.port_retries=0"]
    if not browser:
        options.append("--ServerApp.open_browser=False")
    if allow_root:
        options.append("--ServerApp.allow_root=True")
    _serve([*options, *jupyter], port)


def working_folder(asked: Path | None = None) -> Path:
    """Return the user's working folder, made if needed, and remember it for the next start.

    Raises PluralError when it is a file, or cannot be made or written to.
    """
    memory = Path(platformdirs.user_config_dir("plural_nb", appauthor=False)) / "folder.json"
    folder = asked.expanduser().resolve() if asked else _remembered(memory) or Path.home() / "plural_nb"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, FileExistsError) as error:
        raise PluralError(
            f"{folder} cannot be used as a working folder: {error}. Name another with --folder."
        ) from None
    if not os.access(folder, os.W_OK):
        raise PluralError(f"{folder} cannot be written to. Name another working folder with --folder.")
    try:
        memory.parent.mkdir(parents=True, exist_ok=True)
        memory.write_text(json.dumps({"folder": str(folder)}), encoding="utf-8")
    except OSError:
        pass  # Not remembering is no reason not to start; the address printed says which folder it is.
    return folder


def copy_notebooks(folder: Path) -> Copied:
    """Copy the shipped notebooks into `folder`, never over the user's edits.

    A notebook as we left it is brought up to date; one that the user changed stays, and a version that is new
    since then is put beside it under a name with the version number. A deleted one comes back.
    """
    record = _read_record(folder / _RECORD)
    new, updated, kept, beside = [], [], [], []
    for shipped in sorted(resources.notebooks().glob("*.ipynb")):
        mine, digest = folder / shipped.name, _digest(shipped)
        before = record.get(shipped.name)
        if not mine.exists():
            shutil.copyfile(shipped, mine)
            new.append(shipped.name)
        elif _digest(mine) == digest:
            kept.append(shipped.name)
        elif _digest(mine) == before:
            shutil.copyfile(shipped, mine)
            updated.append(shipped.name)
        elif before is not None and before != digest:
            name = f"{shipped.stem} ({__version__}{'' if _free(folder, shipped) else ', ' + digest[:6]}).ipynb"
            if not (folder / name).exists():
                shutil.copyfile(shipped, folder / name)
            beside.append(name)
        else:
            kept.append(shipped.name)
        record[shipped.name] = digest
    (folder / _RECORD).write_text(json.dumps(record, indent=1, sort_keys=True), encoding="utf-8")
    return Copied(tuple(new), tuple(updated), tuple(kept), tuple(beside))


def _serve(options: list[str], port: int | None) -> None:
    from jupyterlab.labapp import LabApp

    try:
        server = LabApp.initialize_server(options)
    except SystemExit as error:
        if error.code:
            where = f"port {port} may be taken (another --port)" if port else "its message stands above"
            raise PluralError(f"JupyterLab did not start: {where}.") from None
        raise
    server.web_app.settings["page_config_hook"] = _without_news
    print(f"JupyterLab is at {server.display_url.split(chr(10))[0].strip()}", flush=True)  # noqa: T201
    print("Stop it with Ctrl-C.", flush=True)  # noqa: T201
    server.start()


def _without_news(handler: object, page_config: dict[str, Any]) -> dict[str, Any]:
    """Leave out the pop-up that asks to fetch news: it covers the notebook, and a class may have no internet."""
    news = "@jupyterlab/apputils-extension:announcements"
    disabled = page_config.get("disabledExtensions") or []
    disabled = [name for name, off in disabled.items() if off] if isinstance(disabled, dict) else list(disabled)
    return {**page_config, "disabledExtensions": [*disabled, *([] if news in disabled else [news])]}


def _remembered(memory: Path) -> Path | None:
    try:
        folder = Path(json.loads(memory.read_text(encoding="utf-8"))["folder"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return folder if folder.is_dir() else None


def _read_record(path: Path) -> dict[str, str]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(k): str(v) for k, v in found.items()} if isinstance(found, dict) else {}


def _free(folder: Path, shipped: Path) -> bool:
    return not (folder / f"{shipped.stem} ({__version__}).ipynb").exists()


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
