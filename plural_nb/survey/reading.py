"""Surveys read from files: .csv, .tsv and .parquet beside a TOML codebook."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from plural_nb.errors import SurveyError, nearest
from plural_nb.survey.codebook import Codebook
from plural_nb.survey.encoding import natural
from plural_nb.survey.survey import Survey

_SUFFIXES = (".csv", ".tsv", ".parquet")


def read_survey(path: Path | str, codebook: Codebook | Mapping[str, Any] | Path | str | None = None) -> Survey:
    """Read a survey from a .csv, .tsv or .parquet file and its codebook.

    path: the data, one row per respondent. Text files are UTF-8 with a header; an empty cell is missing. Only the
        columns that the codebook names are kept.
    codebook: a TOML file or its content as a dict; the file of the same name ending in .toml beside the data when
        None.

    A code of the codebook and a cell of the file are the same when both read as the same plainly written number (1,
    1.0, "1") or are the same text; "01" is a text, so leading zeros are kept apart (`plural_nb.survey.encoding.same`).

    Raises SurveyError for a file that is missing, damaged or of another kind, and for anything wrong with codebook,
    columns, values or weights.
    """
    path = Path(path).expanduser()
    suffix = path.suffix.lower()
    if path.is_dir():
        raise SurveyError(f"{path} is a folder. Give the survey's file: {', '.join(_SUFFIXES)}.")
    if suffix not in _SUFFIXES:
        hint = "This is a codebook; give the data file it belongs to. " if suffix == ".toml" else ""
        raise SurveyError(
            f"{path.name} ends in {suffix or 'nothing'!r}. {hint}plural_nb reads {', '.join(_SUFFIXES)}; save it as "
            "one of these."
        )
    if not path.is_file():
        beside = (
            [p.name for p in path.parent.glob("*") if p.suffix.lower() in _SUFFIXES] if path.parent.is_dir() else []
        )
        hint = nearest(path.name, beside) if beside else "Check the folder."
        raise SurveyError(f"There is no file {path}. {hint}")
    book = _codebook(path, codebook)
    frame = _read(path, suffix, book)
    return Survey.from_frame(frame, book, name=path.name)


def _codebook(path: Path, codebook: Codebook | Mapping[str, Any] | Path | str | None) -> Codebook:
    if isinstance(codebook, Codebook):
        return codebook
    if isinstance(codebook, Mapping):
        return Codebook.of(codebook, name=path.stem)
    if codebook is not None:
        return Codebook.read(Path(codebook).expanduser())
    beside = path.with_suffix(".toml")
    if not beside.is_file():
        raise SurveyError(
            f"{path.name} needs a codebook that says what its columns mean, and there is no {beside.name} beside it. "
            "Write one, or pass codebook=."
        )
    return Codebook.read(beside)


def _read(path: Path, suffix: str, book: Codebook) -> pl.DataFrame:
    try:
        if suffix == ".parquet":
            scan = pl.scan_parquet(path)
            here = scan.collect_schema().names()
            _require_columns(book, here, path)
            return scan.select(book.columns).collect()
        separator = "\t" if suffix == ".tsv" else ","
        # Cells are read as text, so that no guess about a column's type changes a code ("01" would become 1).
        header = pl.read_csv(path, separator=separator, infer_schema=False, n_rows=0).columns
        _require_columns(book, header, path)
        frame = pl.read_csv(
            path,
            separator=separator,
            infer_schema=False,
            columns=list(book.columns),
        )
        return frame.select(natural(frame[column]) for column in book.columns)
    except (pl.exceptions.PolarsError, OSError, UnicodeError) as problem:
        first = (str(problem).strip() or type(problem).__name__).splitlines()[0]
        raise SurveyError(
            f"{path.name} cannot be read as {suffix}: {first}. It may be damaged, empty or saved in another form; "
            "text files must be UTF-8."
        ) from None


def _require_columns(book: Codebook, here: list[str], path: Path) -> None:
    for column in book.columns:
        if column not in here:
            other = {";": "semicolons", "\t": "tabs", ",": "commas"}
            found = [name for mark, name in other.items() if len(here) == 1 and mark in here[0]]
            if found:
                raise SurveyError(
                    f"{path.name} has a single column, {here[0]!r}: it seems to be separated by {found[0]}. Save it "
                    "with commas as .csv, or with tabs as .tsv."
                )
            raise SurveyError(
                f"{book.source} names a column {column!r} that is not in {path.name}. {nearest(column, here)}"
            )
