"""A data file of which only a few columns are wanted: its cells, and what their codes mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from plural_nb.errors import SurveyError, nearest
from plural_nb.survey.codebook import Codebook
from plural_nb.survey.design import Ints
from plural_nb.survey.encoding import encode, natural
from plural_nb.survey.guessing import carries_opinion
from plural_nb.survey.labelled import LABELLED, LabelledFile, Variable
from plural_nb.survey.question import Code, Option

_MOST_OPTIONS = 500
_READ_WHOLE = 200_000_000  # bytes
_SUFFIXES = (".csv", ".tsv", ".parquet", ".feather", ".arrow", *LABELLED)


class BareTable:
    """The columns of a file: their names at once, their cells when read.

    What codes mean is known from a codebook beside the file, or from the labels it carries; `notes` says what was taken
    from where.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.notes: list[str] = []
        suffix = path.suffix.lower()
        if path.is_dir():
            raise SurveyError(f"{path} is a folder. Give a data file: {', '.join(_SUFFIXES)}.")
        if suffix not in _SUFFIXES:
            raise SurveyError(f"{path.name} ends in {suffix or 'nothing'!r}; give one of {', '.join(_SUFFIXES)}.")
        if not path.is_file():
            raise SurveyError(f"There is no file {path}. Check the name and the folder.")
        self._text = suffix in (".csv", ".tsv")
        self._known = self._codebook()
        self._labelled = LabelledFile.open(path) if suffix in LABELLED else None
        if self._labelled is not None:
            self.names = list(self._labelled.variables)
            return
        separator = "\t" if suffix == ".tsv" else ","
        with _readable(path):
            if self._text:
                # Cells are read as text, so that no guess about a column's type changes a code ("01" would become 1).
                self._scan = pl.scan_csv(path, separator=separator, infer_schema=False)
            elif suffix == ".parquet":
                self._scan = pl.scan_parquet(path)
            else:
                self._scan = pl.scan_ipc(path)
            self.names = self._scan.collect_schema().names()
        if len(self.names) == 1 and self._text:
            others = {";": "semicolons", "\t": "tabs", ",": "commas"}
            found = [name for mark, name in others.items() if mark in self.names[0]]
            if found:
                raise SurveyError(
                    f"{path.name} has a single column, {self.names[0]!r}: it seems to be separated by {found[0]}. Save "
                    "it with commas as .csv, or with tabs as .tsv."
                )

    def read(self, columns: list[str]) -> pl.DataFrame:
        """Return these columns as they stand in the file; SurveyError for one that is not there."""
        for column in columns:
            if self._text and f"{column}_duplicated_0" in self.names:
                raise SurveyError(f"{self.path.name} has two columns {column!r}. Rename one of them.")
            if column not in self.names:
                raise SurveyError(f"{self.path.name} has no column {column!r}. {nearest(column, self.names)}")
        if self._labelled is not None:
            frame = self._labelled.read(columns)
            variables = self._labelled.variables
            # A codebook has options for the codes that a file declares missing.
            frame = frame.select(
                frame[c] if c in self._known else _without_missing(frame[c], variables[c]) for c in frame.columns
            )
        else:
            with _readable(self.path):
                # Rows with more fields than the header are noticed only where every column is read.
                whole = self._text and self.path.stat().st_size < _READ_WHOLE
                frame = self._scan.collect().select(columns) if whole else self._scan.select(columns).collect()
        if frame.is_empty():
            raise SurveyError(f"{self.path.name} has no rows.")
        return frame

    def cells(self, frame: pl.DataFrame, missing: Sequence[str]) -> pl.DataFrame:
        """Return columns that were read, numbers as numbers, null where a cell is empty or is one of `missing`."""
        texts = ["", *missing]
        codes = [float(text) for text in missing if _number(text)]

        def cleaned(column: pl.Series) -> pl.Series:
            if isinstance(column.dtype, pl.String | pl.Categorical | pl.Enum):
                column = _blanked(column, column.cast(pl.String).is_in(texts))
            # NA among numbers would keep them texts.
            column = natural(column) if self._text else column
            if column.dtype.is_numeric():
                number = column.cast(pl.Float64)
                column = _blanked(column, number.is_in(codes) | number.is_nan())
            return column

        return frame.select(cleaned(column) for column in frame)

    def places(self, column: pl.Series, what: str) -> tuple[Ints, tuple[Option, ...]]:
        """Return the place of each row's option (-1 where it is missing), and the options.

        Those of a codebook are in its order; else they are the values found, in order, by their labels. Options that
        a codebook says carry no opinion, or whose labels say so ("don't know"), are not substantive, as in
        `read_survey`.
        """
        name = column.name
        known = self._known.get(name)
        if known is not None:
            options, missing = known
            where = f"{self.path.name}, column {name!r}"
            return np.asarray(encode(column, options, where=where, missing=missing), dtype=np.int64), options
        if column.dtype.is_nested() or column.dtype == pl.Binary:
            raise SurveyError(
                f"{self.path.name}, column {name!r} holds {column.dtype}, not one value per row, so it has no {what}s."
            )
        values = column.drop_nulls().unique().sort().to_list()
        if len(values) > _MOST_OPTIONS:
            raise SurveyError(
                f"{self.path.name}, column {name!r} has {len(values)} different values, too many for {what}s "
                f"({_MOST_OPTIONS} at most). Group them into a few first."
            )
        if not values:
            return np.full(column.len(), -1, dtype=np.int64), ()
        variable = None if self._labelled is None else self._labelled.variables[name]
        labels: Mapping[Any, str] = {} if variable is None else variable.labels
        texts = [labels.get(value, _written(value)) for value in values]
        if len(set(texts)) < len(texts):
            texts = [f"{text} ({_written(value)})" for text, value in zip(texts, values, strict=True)]
        codes = [value if isinstance(value, int | float | str | bool) else str(value) for value in values]
        spoken = [variable is None or carries_opinion(variable, code) for code in codes]
        if not all(spoken):
            silent = ", ".join(text for text, said in zip(texts, spoken, strict=True) if not said)
            self.notes.append(f"column {name!r}: {silent} carries no opinion by its label and is no {what}")
        new = pl.Series(range(len(values)), dtype=pl.Int64)
        places = column.replace_strict(pl.Series(values, dtype=column.dtype), new, default=-1, return_dtype=pl.Int64)
        options = tuple(
            Option(text, code=code, substantive=said, offered=said)
            for text, code, said in zip(texts, codes, spoken, strict=True)
        )
        return np.asarray(places.to_numpy(), dtype=np.int64), options

    def _codebook(self) -> dict[str, tuple[tuple[Option, ...], tuple[Code, ...]]]:
        """The options of the columns that a codebook of the same name beside the file speaks of."""
        beside = self.path.with_suffix(".toml")
        if not beside.is_file():
            return {}
        try:
            book = Codebook.read(beside)
        except SurveyError as problem:
            self.notes.append(f"{beside.name} is not used as a codebook: {' '.join(str(problem).split())}")
            return {}
        traits = {column: (book.traits[key].options, (*book.missing, *book.trait_missing.get(key, ())))
                  for key, column in book.trait_columns.items()}  # fmt: skip
        asked = {column: (book.questions[key].options, (*book.missing, *book.question_missing.get(key, ())))
                 for key, column in book.question_columns.items()}  # fmt: skip
        named = [f"--{flag} {column}" for flag, column in
                 (("weight", book.weight), ("strata", book.stratum), ("psu", book.psu)) if column]  # fmt: skip
        self.notes.append(
            f"labels and missing codes are those of {beside.name}"
            + (f"; the design it names is used where it is asked for ({' '.join(named)})" if named else "")
        )
        return {**traits, **asked}


class _readable:  # noqa: N801
    """Turn polars' complaints about a file into one of ours."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, problem: BaseException | None, trace: Any) -> None:
        if isinstance(problem, pl.exceptions.PolarsError | OSError | UnicodeError):
            first = (str(problem).strip() or type(problem).__name__).splitlines()[0]
            raise SurveyError(
                f"{self.path.name} cannot be read as {self.path.suffix.lower()}: {first}. It may be damaged, empty or "
                "saved in another form; text files must be UTF-8."
            ) from None


def _blanked(column: pl.Series, gone: pl.Series) -> pl.Series:
    return pl.select(pl.when(gone).then(None).otherwise(column).alias(column.name)).to_series()


def _without_missing(column: pl.Series, variable: Variable) -> pl.Series:
    """The column with codes that its file declares missing as null."""
    found = column
    if column.dtype.is_numeric():
        for low, high in variable.missing:
            found = pl.select(pl.when(found.is_between(low, high)).then(None).otherwise(found)).to_series()
    elif variable.missing_codes or variable.storage == "number":
        gone = [code for code in column.unique().to_list() if code is not None and _declared(code, variable)]
        found = pl.select(pl.when(found.is_in(gone)).then(None).otherwise(found)).to_series()
        found = natural(found) if variable.storage == "number" else found
    return found.alias(column.name)


def _declared(code: str, variable: Variable) -> bool:
    if variable.storage == "number" and _number(code):
        return variable.is_missing(float(code))
    return variable.is_missing(code)


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
