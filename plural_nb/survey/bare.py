"""A bare table, without a codebook: one column becomes a question, others its groups, design and domain."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from plural_nb.answers import Answers, Bools, Source
from plural_nb.errors import SurveyError, nearest
from plural_nb.survey.design import Design, Floats, Ints, Lonely
from plural_nb.survey.encoding import natural, numbers
from plural_nb.survey.labelled import LABELLED, LabelledFile, Variable
from plural_nb.survey.question import Option, Question
from plural_nb.survey.replicates import Centre, Replicates, read_rscales
from plural_nb.survey.shares import Groups

MISSING = ("", "NA")

_MOST_OPTIONS = 500
_READ_WHOLE = 200_000_000  # bytes
_SUFFIXES = (".csv", ".tsv", ".parquet", ".feather", ".arrow", *LABELLED)


@dataclass(frozen=True, slots=True)
class Roles:
    """Which columns of a table play which part; an empty name is no part.

    where: a condition in SQL on the columns ("age >= 30 AND region = 'North'"): the domain that is spoken about.
    replicates: a pattern that the names of the replicate weights match ("rep*"); the weight itself is not among them.
    scale, rscales, centre: of the replicates; rscales is a file of numbers, one per replicate.
    df: degrees of freedom that the documentation states. missing: texts that mean no answer, besides empty cells.
    """

    question: str
    by: str = ""
    weight: str = ""
    stratum: str = ""
    psu: str = ""
    fpc: str = ""
    where: str = ""
    replicates: str = ""
    scale: float | None = None
    rscales: Path | None = None
    centre: Centre = "theta"
    df: float | None = None
    lonely: Lonely = "fail"
    missing: tuple[str, ...] = MISSING


def answers_from_table(path: Path | str, roles: Roles) -> tuple[Answers, Groups | None]:
    """Return the answers in one column of a .csv, .tsv, .parquet, .feather, SPSS, Stata or SAS file, and the groups of
    another.

    The options are the distinct values found, in order, by their labels where the file has some; codes that a file
    declares missing are no options. PSUs are numbered within strata; rows outside `where` stay in
    the design. Raises SurveyError for a file or column that cannot be used.
    """
    path = Path(path).expanduser()
    table = _Table(path, roles.missing)
    condition = _condition(roles.where, table) if roles.where else None
    replicate_names = _replicate_names(roles, table)
    named = [roles.question, roles.by, roles.weight, roles.stratum, roles.psu, roles.fpc]
    columns = [*filter(None, named), *(condition[1] if condition else ()), *replicate_names]
    frame = table.read(list(dict.fromkeys(columns)))
    design = _design(frame, roles, replicate_names, path)
    places, labels, codes = _levels(frame[roles.question], table, "option")
    if len(labels) < 2:
        raise SurveyError(
            f"{path.name}, column {roles.question!r} holds {'one value' if labels else 'no answers'}"
            f"{f', {labels[0]!r}' if labels else ''}; a question needs two options or more."
        )
    options = tuple(Option(label, code=code) for label, code in zip(labels, codes, strict=True))
    question = Question(roles.question, roles.question, options)
    domain = np.ones(frame.height, dtype=np.bool_) if condition is None else _domain(condition[0], frame, roles.where)
    if not domain.any():
        raise SurveyError(f"No row of {path.name} meets {roles.where!r}.")
    groups = None
    if roles.by:
        group_places, names, _ = _levels(frame[roles.by], table, "group")
        if not names:
            raise SurveyError(f"{path.name}, column {roles.by!r} is empty in every row, so there are no groups.")
        groups = Groups(tuple(names), group_places)
    source = Source("humans", path.name, "weighted" if roles.weight else "unweighted")
    answers = Answers.from_places(
        question, places, design=design, domain=domain, source=source, about=roles.where or "Everyone"
    )
    return answers, groups


class _Table:
    """The columns of a file: their names at once, their cells when read. Cells that mean "missing" are null."""

    def __init__(self, path: Path, missing: Sequence[str]) -> None:
        self.path, self.missing = path, [*dict.fromkeys(("", *missing))]
        suffix = path.suffix.lower()
        if path.is_dir():
            raise SurveyError(f"{path} is a folder. Give a data file: {', '.join(_SUFFIXES)}.")
        if suffix not in _SUFFIXES:
            raise SurveyError(f"{path.name} ends in {suffix or 'nothing'!r}; give one of {', '.join(_SUFFIXES)}.")
        if not path.is_file():
            raise SurveyError(f"There is no file {path}. Check the name and the folder.")
        self._text = suffix in (".csv", ".tsv")
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
        for column in columns:
            if self._text and f"{column}_duplicated_0" in self.names:
                raise SurveyError(f"{self.path.name} has two columns {column!r}. Rename one of them.")
            if column not in self.names:
                raise SurveyError(f"{self.path.name} has no column {column!r}. {nearest(column, self.names)}")
        if self._labelled is not None:
            frame = self._labelled.read(columns)
            variables = self._labelled.variables
            frame = frame.select(_without_missing(frame[c], variables[c]) for c in frame.columns)
        else:
            with _readable(self.path):
                # Rows with more fields than the header are noticed only where every column is read.
                whole = self._text and self.path.stat().st_size < _READ_WHOLE
                frame = self._scan.collect().select(columns) if whole else self._scan.select(columns).collect()
        if frame.is_empty():
            raise SurveyError(f"{self.path.name} has no rows.")
        texts = frame.select(pl.col(pl.String)).columns
        frame = frame.with_columns(
            pl.when(pl.col(c).is_in(self.missing)).then(None).otherwise(pl.col(c)).alias(c) for c in texts
        )
        numeric = [c for c in frame.columns if frame.schema[c].is_numeric()]
        codes = [float(text) for text in self.missing if _number(text)]
        frame = frame.with_columns(
            pl.when(pl.col(c).cast(pl.Float64).is_in(codes) | pl.col(c).cast(pl.Float64).is_nan())
            .then(None)
            .otherwise(pl.col(c))
            .alias(c)
            for c in numeric
        )
        return frame.select(natural(frame[c]) if self._text else frame[c] for c in frame.columns)

    def labels(self, column: str) -> Mapping[Any, str]:
        """What the file calls the column's codes."""
        return {} if self._labelled is None else self._labelled.variables[column].labels


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


def _condition(text: str, table: _Table) -> tuple[pl.Expr, list[str]]:
    hint = "Write a condition as in SQL: age >= 30 AND region = 'North' (texts in single quotes)."
    try:
        # Polars parses SQL expressions over columns; nothing in them can run code or open a file.
        expression = pl.sql_expr(text)
        names = list(dict.fromkeys(expression.meta.root_names()))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as problem:
        raise SurveyError(f"{text!r} is no condition: {_first_line(problem)}. {hint}") from None
    if not names:
        raise SurveyError(f"{text!r} names no column. {hint}")
    for name in names:
        if name not in table.names:
            raise SurveyError(
                f"{text!r} names a column {name!r} that is not in {table.path.name}. {nearest(name, table.names)} "
                "Texts go in single quotes."
            )
    return expression, names


def _domain(expression: pl.Expr, frame: pl.DataFrame, text: str) -> Bools:
    try:
        found = frame.select(expression.alias("domain"))["domain"]
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as problem:
        raise SurveyError(f"{text!r} cannot be worked out: {_first_line(problem)}.") from None
    if found.dtype != pl.Boolean or found.len() != frame.height:
        raise SurveyError(f"{text!r} is not true or false for each row. Compare a column with a value: age >= 30.")
    return np.asarray(found.fill_null(False).to_numpy(), dtype=np.bool_)


def _replicate_names(roles: Roles, table: _Table) -> list[str]:
    if not roles.replicates:
        if roles.scale is not None or roles.rscales is not None:
            raise SurveyError("A scale belongs to replicate weights; say which columns they are.")
        return []
    names = [c for c in table.names if fnmatch.fnmatchcase(c, roles.replicates) and c != roles.weight]
    if len(names) < 2:
        raise SurveyError(
            f"{len(names)} columns of {table.path.name} match {roles.replicates!r}; replicate weights are two or more. "
            f"{nearest(roles.replicates.strip('*'), table.names)}"
        )
    return names


def _design(frame: pl.DataFrame, roles: Roles, replicate_names: list[str], path: Path) -> Design:
    def figures(column: str, what: str) -> Floats:
        return numbers(frame[column], where=f"{path.name}, the {what} column {column!r}")

    def labels(column: str, what: str) -> np.ndarray[Any, Any] | None:
        if not column:
            return None
        if frame[column].null_count():
            empty = frame[column].null_count()
            raise SurveyError(f"{path.name}, column {column!r}: {empty} rows have no {what}. Every row needs one.")
        return frame[column].cast(pl.String).to_numpy()

    replicates = None
    if replicate_names:
        if roles.scale is None and roles.rscales is None:
            raise SurveyError(
                "Replicate weights need their scale, rscales or both: 4/80 = 0.05 for the ACS, 1/R for BRR."
            )
        rscales = None
        if roles.rscales is not None:
            try:
                rscales = read_rscales(roles.rscales.read_text(encoding="utf-8").splitlines(), roles.rscales.name)
            except (OSError, UnicodeError) as problem:
                raise SurveyError(f"{roles.rscales} cannot be read: {problem}.") from None
        whole = np.column_stack([figures(c, "replicate weight") for c in replicate_names])
        replicates = Replicates(whole, 1.0 if roles.scale is None else roles.scale, rscales, roles.centre)
    return Design.from_columns(
        figures(roles.weight, "weight") if roles.weight else None,
        labels(roles.stratum, "stratum"),
        labels(roles.psu, "PSU"),
        n=frame.height,
        fpc=figures(roles.fpc, "fpc") if roles.fpc else None,
        weight_name=f"{path.name}, column {roles.weight!r}" if roles.weight else "",
        lonely=roles.lonely,
        replicates=replicates,
        df=roles.df,
        note="",
    )


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


def _levels(column: pl.Series, table: _Table, what: str) -> tuple[Ints, list[str], list[Any]]:
    """The place of each row's value (-1 where missing), the values as texts, and as they are."""
    values = column.drop_nulls().unique().sort().to_list()
    if len(values) > _MOST_OPTIONS:
        raise SurveyError(
            f"{table.path.name}, column {column.name!r} has {len(values)} different values, too many for {what}s "
            f"({_MOST_OPTIONS} at most). Group them into a few first."
        )
    labels = table.labels(column.name)
    texts = [labels.get(value, _written(value)) for value in values]
    if len(set(texts)) < len(texts):
        texts = [f"{text} ({_written(value)})" for text, value in zip(texts, values, strict=True)]
    if not values:
        return np.full(column.len(), -1, dtype=np.int64), [], []
    new = pl.Series(range(len(values)), dtype=pl.Int64)
    old = pl.Series(values, dtype=column.dtype)
    places = column.replace_strict(old, new, default=-1, return_dtype=pl.Int64).to_numpy()
    codes = [value if isinstance(value, int | float | str | bool) else str(value) for value in values]
    return np.asarray(places, dtype=np.int64), texts, codes


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


def _first_line(problem: BaseException) -> str:
    return (str(problem).strip() or type(problem).__name__).splitlines()[0].rstrip(".")
