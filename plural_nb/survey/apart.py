"""The reader of labelled files in a process of its own: a damaged file can crash it, and never the notebook."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from plural_nb.errors import SurveyError

if TYPE_CHECKING:
    from plural_nb.survey.labelled import LabelledFile

# Of 250 .sav files with eight bytes changed at random, five took the reader's process down (pyreadstat 1.3.7).
_REFUSED = 3
# Up to so many cells a file is read at once when it is opened, so that a second process is not started for them.
_SMALL = 1_000_000
_COMMAND = "from plural_nb.survey.apart import main; main()"


def opened(path: Path, encoding: str | None) -> tuple[LabelledFile, pl.DataFrame | None]:
    """Return what a labelled file says of its columns, and of a small file its columns too, read in another process."""
    with tempfile.TemporaryDirectory(prefix="plural_nb_") as folder:
        result = Path(folder) / "said"
        _run(path, {"path": str(path), "encoding": encoding, "result": str(result)})
        # Our own process wrote this a moment ago, in a folder that only this user can open.
        said: LabelledFile = pickle.loads(result.read_bytes())
        columns = result.with_suffix(".columns")
        return said, pl.read_ipc(columns.read_bytes()) if columns.is_file() else None


def columns_of(path: Path, encoding: str | None, columns: Sequence[str] | None) -> pl.DataFrame:
    """Return columns of a labelled file (all when None) as they stand in it, read in another process."""
    with tempfile.TemporaryDirectory(prefix="plural_nb_") as folder:
        result = Path(folder) / "columns"
        listed = None if columns is None else list(columns)
        _run(path, {"path": str(path), "encoding": encoding, "result": str(result), "columns": listed, "read": True})
        return pl.read_ipc(result.read_bytes())


def _run(path: Path, task: dict[str, object]) -> None:
    done = subprocess.run(
        # -P: a polars.py in the user's folder is not ours.
        [sys.executable, "-P", "-c", _COMMAND],
        input=json.dumps(task).encode(),
        capture_output=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        check=False,
    )
    if done.returncode == 0:
        return
    if done.returncode == _REFUSED:
        raise SurveyError(done.stderr.decode("utf-8", errors="replace").strip())
    if b"MemoryError" in done.stderr or b"allocate memory" in done.stderr:
        raise SurveyError(
            f"{path.name} asks for more memory than this machine has; it is damaged, or too wide to read."
        )
    last = done.stderr.decode("utf-8", errors="replace").strip().splitlines()[-1:]
    why = last[0] if last and done.returncode > 0 else f"signal {-done.returncode}"
    raise SurveyError(
        f"{path.name} cannot be read: it made the reader crash ({why}). It is damaged; copy or download it again."
    )


def main() -> None:
    """Do what standard input asks for: say what a file's columns are, or write them to a file of ours."""
    from plural_nb.survey.labelled import LabelledFile, frame_of

    _limit_memory()
    task = json.loads(sys.stdin.read())
    held: list[object] = []
    path, result = Path(task["path"]), Path(task["result"])
    try:
        if task.get("read"):
            frame_of(path, task["encoding"], task["columns"], held).write_ipc(result, compression="uncompressed")
        else:
            said = LabelledFile.here(path, task["encoding"])
            result.write_bytes(pickle.dumps(said))
            if said.rows is not None and said.cells <= _SMALL:
                frame_of(path, said.told, None, held).write_ipc(
                    result.with_suffix(".columns"), compression="uncompressed"
                )
    except SurveyError as problem:
        sys.stderr.write(str(problem))
        sys.stderr.flush()
        os._exit(_REFUSED)
    os._exit(0)


def _limit_memory() -> None:
    """Keep a damaged file from taking all memory: what this machine has is the most that is asked for."""
    try:
        import resource

        all_of_it = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        resource.setrlimit(resource.RLIMIT_AS, (int(0.8 * all_of_it), resource.RLIM_INFINITY))
    except (ImportError, OSError, ValueError):
        # Windows has no such limit; there the reader's own checks have to do.
        return
