"""The reader of labelled files in a process of its own: a damaged file can crash it, and never the notebook."""

from __future__ import annotations

import gc
import json
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from plural_nb.errors import SurveyError

if TYPE_CHECKING:
    from plural_nb.survey.labelled import LabelledFile

# Of 250 .sav files with eight bytes changed at random, five took the reader's process down (pyreadstat 1.3.7).
_REFUSED = 3
_COMMAND = "from plural_nb.survey.apart import main; main()"

# Several processes read a file from this size on (bytes); below it, starting them costs more than they save.
_SHARED = 5_000_000
_WORKERS = 4
# What one process may hold as Python objects at once: 15 million cells are about 0.5 GB while they are converted.
_BATCH = 15_000_000


def opened(path: Path, encoding: str | None, whole: int) -> tuple[LabelledFile, pl.DataFrame | None]:
    """Return what a labelled file says of its columns, and its columns too where it has at most `whole` cells.

    Each of several processes reads a part of the columns: all of them start at once, because starting takes half a
    second and the first look at the file much less.
    """
    workers = 1
    if path.is_file() and path.stat().st_size > _SHARED:
        workers = max(1, min(os.cpu_count() or 1, _WORKERS))
    with tempfile.TemporaryDirectory(prefix="plural_nb_") as folder:
        said, task = Path(folder) / "said", {"path": str(path), "encoding": encoding, "whole": whole}
        tasks = [{**task, "result": str(said), "part": part, "of": workers} for part in range(workers)]
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(lambda one: _run(path, one), tasks))
        # Our own process wrote this a moment ago, in a folder that only this user can open.
        file: LabelledFile = pickle.loads(said.read_bytes())
        parts = [_frame(file) for part in range(workers) for file in sorted(said.parent.glob(f"{part}.*"))]
        return file, pl.concat(parts, how="horizontal") if parts else None


def columns_of(path: Path, encoding: str | None, columns: Sequence[str] | None) -> pl.DataFrame:
    """Return columns of a labelled file (all when None) as they stand in it, read in another process."""
    with tempfile.TemporaryDirectory(prefix="plural_nb_") as folder:
        result = Path(folder) / "columns"
        listed = None if columns is None else list(columns)
        _run(path, {"path": str(path), "encoding": encoding, "result": str(result), "columns": listed, "read": True})
        return _frame(result)


def _frame(written: Path) -> pl.DataFrame:
    """The columns that another process wrote, mapped into memory: the file may go, its pages stay while they are used.

    Windows does not let a file go that is mapped; there it is copied.
    """
    frame = pl.read_ipc(written.read_bytes() if os.name == "nt" else written)
    return frame.with_columns(pl.col(pl.Int16).cast(pl.Float64))


def _write(frame: pl.DataFrame, result: Path) -> None:
    """Write columns for the other process; small whole numbers, which codes are, take a quarter of the bytes."""
    frame.select(_small(column) for column in frame).write_ipc(result, compression="uncompressed")


def _small(column: pl.Series) -> pl.Series:
    if column.dtype != pl.Float64:
        return column
    whole = column.cast(pl.Int16, strict=False)
    same = whole.null_count() == column.null_count() and (whole.cast(pl.Float64) == column).all()
    return whole if same else column


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
    said = done.stderr.lower()
    if any(words in said for words in (b"memoryerror", b"allocate memory", b"memory allocation")):
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
    from plural_nb.survey.labelled import frame_of

    # Millions of cells stand in lists here; a search for cycles among them finds none and costs a sixth of the time.
    gc.disable()
    _limit_memory()
    task = json.loads(sys.stdin.read())
    held: list[object] = []
    path, result = Path(task["path"]), Path(task["result"])
    try:
        if task.get("read"):
            _write(frame_of(path, task["encoding"], task["columns"], held), result)
        else:
            _open(path, result, task, held)
    except SurveyError as problem:
        sys.stderr.write(str(problem))
        sys.stderr.flush()
        os._exit(_REFUSED)
    os._exit(0)


def _open(path: Path, result: Path, task: dict[str, Any], held: list[object]) -> None:
    """Write what the file says, by the first process, and this one's part of its columns, as "part.batch"."""
    from plural_nb.survey.labelled import LabelledFile, frame_of

    said = LabelledFile.here(path, task["encoding"])
    part, of = task["part"], task["of"]
    if part == 0:
        result.write_bytes(pickle.dumps(said))
    if said.rows is None or said.cells > task["whole"]:
        return
    names = list(said.variables)
    mine = names[part * len(names) // of : (part + 1) * len(names) // of]
    width = max(1, _BATCH // max(said.rows, 1))
    for batch, start in enumerate(range(0, len(mine), width)):
        listed = mine[start : start + width]
        frame = frame_of(path, said.told, None if listed == names else listed, held)
        _write(frame, result.parent / f"{part}.{batch:03}")
        if start + width < len(mine):
            held.clear()


def _limit_memory() -> None:
    """Keep a damaged file from taking all memory: what this machine has, or less where the user set a limit."""
    try:
        import resource

        all_of_it = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        limits = [int(0.8 * all_of_it), *(one for one in (soft, hard) if one != resource.RLIM_INFINITY)]
        resource.setrlimit(resource.RLIMIT_AS, (min(limits), hard))
    except (ImportError, OSError, ValueError):
        # Windows has no such limit; there the reader's own checks have to do.
        return
