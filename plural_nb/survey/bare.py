"""A bare table, without a codebook: one column becomes a question, others its groups, design and domain."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from plural_nb.answers import Answers, Bools, Source
from plural_nb.errors import SurveyError, nearest
from plural_nb.survey.bare_table import BareTable
from plural_nb.survey.design import Design, Floats, Lonely
from plural_nb.survey.encoding import numbers
from plural_nb.survey.question import Question
from plural_nb.survey.replicates import Centre, Replicates, read_rscales
from plural_nb.survey.shares import Groups

MISSING = ("", "NA")


@dataclass(frozen=True, slots=True)
class Roles:
    """Which columns of a table play which part; an empty name is no part.

    where: a condition in SQL on the columns ("age >= 30 AND region = 'North'"): the domain that is spoken about.
    replicates: a pattern that the names of the replicate weights match ("rep*"); the weight itself is not among them.
    scale, rscales, centre: of the replicates; rscales is a file of numbers, one per replicate.
    df: degrees of freedom that the documentation states.
    missing: texts that mean no answer and no group, besides empty cells; in the design only empty cells and NA do.
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

    The options are the distinct values found, in order, by their labels where the file has some, or those of the
    codebook of the same name beside it; codes that a file declares missing are no options, and neither is "don't know"
    (see `BareTable.places`). The design's note says what was taken from where. PSUs are numbered within strata; rows
    outside `where` stay in the design. Raises SurveyError for a file or column that cannot be used.
    """
    path = Path(path).expanduser()
    table = BareTable(path)
    condition = _condition(roles.where, table) if roles.where else None
    replicate_names = _replicate_names(roles, table)
    named = [roles.question, roles.by, roles.weight, roles.stratum, roles.psu, roles.fpc]
    columns = [*filter(None, named), *(condition[1] if condition else ()), *replicate_names]
    whole = table.read(list(dict.fromkeys(columns)))
    # A code that means no answer may well be the name of a PSU, so no such code is missing in the design's columns.
    of_design = [c for c in dict.fromkeys((*named[2:], *replicate_names)) if c]
    parts = table.cells(whole.select(of_design), MISSING)
    design = _design(parts, roles, replicate_names, path, whole.height)
    spoken_of = [c for c in whole.columns if c in named[:2] or c not in of_design]
    frame = table.cells(whole.select(spoken_of), roles.missing)
    frame = frame.with_columns(parts[c] for c in of_design if c not in spoken_of)
    places, options = table.places(frame[roles.question], "option")
    spoken = [option.label for option in options if option.substantive]
    if len(spoken) < 2:
        raise SurveyError(
            f"{path.name}, column {roles.question!r} holds {'one value' if spoken else 'no answers'}"
            f"{f', {spoken[0]!r}' if spoken else ''}; a question needs two options or more."
        )
    question = Question(roles.question, roles.question, options)
    domain = np.ones(frame.height, dtype=np.bool_) if condition is None else _domain(condition[0], frame, roles.where)
    if not domain.any():
        raise SurveyError(f"No row of {path.name} meets {roles.where!r}.")
    groups = None
    if roles.by:
        group_places, levels = table.places(frame[roles.by], "group")
        kept = [i for i, level in enumerate(levels) if level.substantive]
        if not kept:
            raise SurveyError(f"{path.name}, column {roles.by!r} is empty in every row, so there are no groups.")
        # One more entry than levels: what is missing is -1, the last entry.
        place = np.full(len(levels) + 1, -1, dtype=np.int64)
        place[kept] = np.arange(len(kept))
        groups = Groups(tuple(levels[i].label for i in kept), place[group_places])
    source = Source("humans", path.name, "weighted" if roles.weight else "unweighted")
    if roles.replicates and not roles.weight:
        table.notes.append("no weight was named, so shares are of unweighted people while the replicates are weighted")
    design = replace(design, note="; ".join(dict.fromkeys(table.notes)))
    answers = Answers.from_places(
        question, places, design=design, domain=domain, source=source, about=roles.where or "Everyone"
    )
    return answers, groups


def _condition(text: str, table: BareTable) -> tuple[pl.Expr, list[str]]:
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


def _replicate_names(roles: Roles, table: BareTable) -> list[str]:
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


def _design(frame: pl.DataFrame, roles: Roles, replicate_names: list[str], path: Path, rows: int) -> Design:
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
        n=rows,
        fpc=figures(roles.fpc, "fpc") if roles.fpc else None,
        weight_name=f"{path.name}, column {roles.weight!r}" if roles.weight else "",
        lonely=roles.lonely,
        replicates=replicates,
        df=roles.df,
        note="",
    )


def _first_line(problem: BaseException) -> str:
    return (str(problem).strip() or type(problem).__name__).splitlines()[0].rstrip(".")
