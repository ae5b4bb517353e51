"""Small facts kept on disk between sessions: metadata of model files, settings that work on this machine."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any


def cache_folder() -> Path:
    """The folder for what can be made again: `PLURAL_NB_CACHE`, else the user's cache folder of this system.

    >>> cache_folder().name != ""
    True
    """
    given = os.environ.get("PLURAL_NB_CACHE")
    if given:
        return Path(given).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("plural_nb", appauthor=False))


def read_facts(name: str) -> dict[str, Any]:
    """The facts kept under `name`; empty where there are none. A file that cannot be read is set aside."""
    path = cache_folder() / f"{name}.json"
    try:
        facts = json.loads(path.read_bytes())
    except OSError:
        return {}
    except ValueError:
        facts = None
    if isinstance(facts, dict):
        return facts
    with contextlib.suppress(OSError):
        path.replace(path.with_suffix(".damaged"))
    return {}


def write_facts(name: str, facts: dict[str, Any]) -> bool:
    """Keep `facts` under `name`, whole or not at all; False where the folder cannot be written to."""
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=folder, prefix=f".{name}-")
    except OSError:
        return False
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(facts, file)
        Path(temporary).replace(folder / f"{name}.json")
    except OSError:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        return False
    return True
