"""Files that carry their own labels: SPSS, Stata and SAS, read by pyreadstat a column at a time."""

from __future__ import annotations

import datetime as dt
import math
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from plural_nb.errors import SurveyError, nearest
from plural_nb.survey import apart
from plural_nb.survey.question import Code

# pyreadstat was tried beside svy-io 0.7, which reads the same labels, user-missing ranges and dates, as quickly 500
# columns, and 10,000 in eight times the time.
LABELLED = (".sav", ".zsav", ".por", ".dta", ".sas7bdat", ".xpt")

# Up to so many cells a file is read at once when it is opened, so that a second process is not started for them.
_SMALL = 1_000_000
# What a reader call may hold as Python objects at once: 10 million cells are about 0.4 GB while they are converted.
_BATCH = 10_000_000
_SMALLEST = 2_000_000
_WORKERS = 4
_READERS = {
    ".sav": "read_sav", ".zsav": "read_sav", ".por": "read_por", ".dta": "read_dta", ".sas7bdat": "read_sas7bdat",
    ".xpt": "read_xport",
}  # fmt: skip
# Readers that are told what to do with codes declared missing; the others' files have no such declaration.
_USER_MISSING = {"read_sav", "read_dta", "read_sas7bdat"}
# Stata wrote UTF-8 from release 118 on (Stata 14); older files do not say how their texts are written.
_STATA_UNICODE = 118


@dataclass(frozen=True, slots=True)
class Variable:
    """What a file says of one column.

    name, label: as in the file; the label is empty where there is none.
    labels: value labels, in the order of their codes.
    missing: ranges (low, high) of codes that the file declares missing, both ends included.
    missing_codes: single codes declared missing that are texts: SPSS strings, and Stata's and SAS's ".a" to ".z".
    measure: "nominal", "ordinal", "scale" or "unknown", as SPSS has it.
    storage: "number", "text" or "date".
    """

    name: str
    label: str = ""
    labels: Mapping[Code, str] = field(default_factory=dict)
    missing: tuple[tuple[float, float], ...] = ()
    missing_codes: tuple[str, ...] = ()
    measure: str = "unknown"
    storage: str = "number"

    def is_missing(self, code: Code) -> bool:
        """Whether the file declares this code missing.

        >>> Variable("q", missing=((97, 99),)).is_missing(98)
        True
        """
        if isinstance(code, str):
            # A text among numbers is a tagged missing value, labelled or not.
            return code in self.missing_codes or self.storage != "text"
        return any(low <= code <= high for low, high in self.missing)


@dataclass(frozen=True, slots=True, eq=False)
class LabelledFile:
    """An SPSS, Stata or SAS file: what it says of its columns, which are read when they are asked for.

    rows: number of rows, None where the format does not say before it is read (.por, .xpt).
    encoding: how texts are written, as the reader was told or found; empty where it did not say. told: what the
        reader is told of it each time.
    whole: all columns of a file that was read when it was opened.
    sets: the multiple-response sets that SPSS files may declare, name to columns.
    """

    path: Path
    rows: int | None
    variables: Mapping[str, Variable]
    title: str = ""
    encoding: str = ""
    sets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    told: str | None = None
    whole: pl.DataFrame | None = field(default=None, repr=False)

    @property
    def cells(self) -> int:
        """Rows times columns; 0 where the number of rows is not known before reading."""
        return (self.rows or 0) * len(self.variables)

    @classmethod
    def open(cls, path: Path, encoding: str | None = None, *, whole: int = _SMALL) -> LabelledFile:
        """Read what the file says of its columns, and its columns too where it has at most `whole` cells.

        encoding: how texts are written ("windows-1252"), where the file does not say it or says it wrongly.

        The reader runs in a process of its own. Raises SurveyError for a file that is damaged, encrypted, empty or of
        another kind.
        """
        said, frame = apart.opened(path, encoding, whole)
        return said if frame is None else replace(said, whole=frame)

    @classmethod
    def here(cls, path: Path, encoding: str | None = None) -> LabelledFile:
        """Do the same in this process, which a damaged file may take down."""
        told = encoding or (_stata_encoding(path) if path.suffix.lower() == ".dta" else None)
        about = _call(path, told, metadataonly=True)[1]
        names = list(about.column_names)
        if not names:
            raise SurveyError(f"{path.name} has no columns.")
        if None in names or len(set(names)) < len(names):
            raise SurveyError(f"{path.name} names its columns twice or not at all; it is damaged.")
        return cls(
            path,
            about.number_rows,
            {name: _variable(name, about, path) for name in names},
            title=(about.file_label or "").strip(),
            encoding=about.file_encoding or told or "",
            sets={k: tuple(v["variable_list"]) for k, v in (getattr(about, "mr_sets", None) or {}).items()},
            told=told,
        )

    def read(self, columns: Iterable[str] | None = None) -> pl.DataFrame:
        """Return these columns with their codes as they stand in the file, user-missing ones included.

        columns: names; all of them when None. Codes are numbers or texts; Stata's and SAS's tagged missing values
            are the texts ".a" to ".z", and their columns texts. System-missing values are null, and so is infinity,
            which none of these formats has.

        Several processes read at the same time, each at most 10 million cells, which are Python objects for a while.
        """
        wanted = list(self.variables if columns is None else dict.fromkeys(columns))
        for name in wanted:
            if name not in self.variables:
                raise SurveyError(f"{self.path.name} has no column {name!r}. {nearest(name, self.variables)}")
        if self.whole is not None:
            frame = self.whole.select(wanted)
        else:
            workers = min(os.cpu_count() or 1, _WORKERS)
            rows = max(self.rows or 1, 1)
            width = max(1, min(_BATCH // rows, max(-(-len(wanted) // workers), _SMALLEST // rows)))
            batches = [wanted[i : i + width] for i in range(0, len(wanted), width)]
            with ThreadPoolExecutor(workers) as pool:
                parts = list(pool.map(self._read, batches))
            frame = pl.concat(parts, how="horizontal") if len(parts) > 1 else parts[0]
        if frame.is_empty():
            raise SurveyError(f"{self.path.name} has no rows.")
        return frame

    def _read(self, columns: list[str]) -> pl.DataFrame:
        every = len(columns) == len(self.variables)
        return apart.columns_of(self.path, self.told, None if every else columns).select(columns)


def frame_of(
    path: Path, encoding: str | None, columns: list[str] | None, held: list[object] | None = None
) -> pl.DataFrame:
    """Return columns of a file (all when None), read in this process.

    held: where the reader's objects are kept, so that a process that is about to end need not free them one by one
        (a sixth of its time on 25 million cells).
    """
    found = _call(path, encoding, **({} if columns is None else {"usecols": columns}))[0]
    if held is not None:
        held.append(found)
    return pl.DataFrame([_series(name, found[name]) for name in (found if columns is None else columns)])


def _call(path: Path, encoding: str | None, **asked: Any) -> tuple[Mapping[str, Any], Any]:
    """Call the reader for this kind of file; whatever it finds wrong becomes a SurveyError."""
    import pyreadstat

    name = _READERS[path.suffix.lower()]
    if name in _USER_MISSING:
        asked["user_missing"] = True
    if encoding:
        asked["encoding"] = encoding
    try:
        # "dict" is the one output that neither imports pandas nor converts every column twice.
        found: tuple[Mapping[str, Any], Any] = getattr(pyreadstat, name)(str(path), output_format="dict", **asked)
    except (pyreadstat.PyreadstatError, pyreadstat.ReadstatError, OSError, ValueError, OverflowError) as problem:
        raise SurveyError(_what_is_wrong(path, str(problem))) from None
    return found


def _what_is_wrong(path: Path, problem: str) -> str:
    start = path.open("rb").read(64) if path.is_file() else b""
    if not start:
        return f"{path.name} is empty (0 bytes). Copy or download it again."
    if b"ENCRYPTEDSAV" in start:
        return f"{path.name} is encrypted with a password. Open it in SPSS and save it without one."
    if start[:2] == b"PK":
        return f"{path.name} is a zip archive. Unpack it and give the file inside."
    if "encoding" in problem.lower() or "convert string" in problem:
        return (
            f"{path.name} has texts that cannot be read: {problem}. Say how they are written: encoding='windows-1252'."
        )
    what = {"expected number of rows": "it ends before its last row", "Unable to read from file": "it ends too early"}
    why = next((said for key, said in what.items() if key in problem), problem or "its bytes make no sense")
    return (
        f"{path.name} cannot be read as {path.suffix.lower()}: {why}. It may be damaged, cut short or another kind of "
        "file; copy or download it again."
    )


def _stata_encoding(path: Path) -> str | None:
    """UTF-8 for an old Stata file whose bytes are UTF-8: the reader would take them for Windows-1252."""
    with path.open("rb") as file:
        start = file.read(64)
        if start[:1] == b"<" or not start or start[0] >= _STATA_UNICODE:
            return None
        file.seek(0)
        head = file.read(1 << 22)
    try:
        # Cut inside a character at the very end is not an error of the file.
        head[: max(len(head) - 4, 0)].decode("ascii")
    except UnicodeDecodeError:
        import pyreadstat

        try:
            pyreadstat.read_dta(str(path), encoding="UTF-8", row_limit=200, output_format="dict")
        except Exception:
            return None
        return "UTF-8"
    return None


def _variable(name: str, about: Any, path: Path) -> Variable:
    kind = about.readstat_variable_types.get(name, "double")
    shape = str(about.original_variable_types.get(name) or "").upper()
    storage = "text" if kind == "string" else "date" if _is_date(shape) else "number"
    labels: dict[Code, str] = {}
    for code, label in (about.variable_value_labels.get(name) or {}).items():
        text = str(label).strip()
        if text:
            labels[_code(code, storage)] = text
    ranges, codes = [], []
    for span in about.missing_ranges.get(name) or ():
        low, high = (span["lo"], span["hi"]) if isinstance(span, Mapping) else (span, span)
        if isinstance(low, str):
            codes.append(low)
        else:
            ranges.append((float(low), float(high)))
    # A tagged missing value is declared by being there; its label, if it has one, is among the value labels.
    codes += [f".{tag}" for tag in about.missing_user_values.get(name) or ()]
    codes += [code for code in labels if isinstance(code, str) and storage != "text" and code not in codes]
    return Variable(
        name=name,
        label=(about.column_names_to_labels.get(name) or "").strip(),
        labels=dict(sorted(labels.items(), key=lambda item: (isinstance(item[0], str), item[0]))),
        missing=tuple(ranges),
        missing_codes=tuple(codes),
        measure=about.variable_measure.get(name) or "unknown",
        storage=storage,
    )


def _code(code: Any, storage: str) -> Code:
    if isinstance(code, str):
        # Stata's and SAS's tags come as "a"; in the columns of this module they are ".a".
        return code.rstrip() if storage == "text" else f".{code.lower()}"
    number = float(code)
    return int(number) if number.is_integer() else number


def _is_date(shape: str) -> bool:
    return shape.startswith(("%T", "%D", "%-T")) or any(
        word in shape for word in ("DATE", "TIME", "DDMMYY", "MMDDYY", "YYMMDD", "MOYR", "QYR", "WKYR", "JULIAN")
    )


def _series(name: str, values: Any) -> pl.Series:
    if isinstance(values, np.ndarray) and values.dtype.kind in "fi":
        return _finite(pl.Series(name, values.astype(np.float64), nan_to_null=True))
    cells = list(values)
    try:
        return _finite(pl.Series(name, cells, dtype=pl.Float64, strict=True))
    except (TypeError, pl.exceptions.PolarsError):
        pass
    first = next((cell for cell in cells if cell is not None), None)
    if any(isinstance(cell, int | float) for cell in cells):
        # A number here and a tag there: texts that read as the same number, and ".a" for the tag.
        return pl.Series(name, [_as_text(cell) for cell in cells], dtype=pl.String)
    if isinstance(first, dt.datetime):
        return pl.Series(name, cells, dtype=pl.Datetime("us"))
    if isinstance(first, dt.date):
        return pl.Series(name, cells, dtype=pl.Date)
    if isinstance(first, dt.time):
        return pl.Series(name, cells, dtype=pl.Time)
    return pl.Series(name, [None if cell is None else str(cell).rstrip() or None for cell in cells], dtype=pl.String)


def _finite(column: pl.Series) -> pl.Series:
    """None of these formats has infinity: it is how a NaN that was written into a .xpt comes back."""
    infinite = column.is_infinite()
    return column.set(infinite, None) if infinite.any() else column


def _as_text(cell: Any) -> str | None:
    if isinstance(cell, str):
        return f".{cell.lower()}"
    if cell is None or not math.isfinite(cell):
        return None
    return str(int(cell)) if float(cell).is_integer() else repr(float(cell))
