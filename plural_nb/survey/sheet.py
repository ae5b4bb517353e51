"""A survey as it is written: columns, names a format can have, and what is said of each."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from plural_nb.answers import Answers
from plural_nb.errors import SurveyError
from plural_nb.survey.declaring_calibration import calibration_columns
from plural_nb.survey.question import Code, Question

if TYPE_CHECKING:
    from plural_nb.survey.survey import Survey

# Stata has 32 characters for a name; pyreadstat needs four of them to name the value labels after the variable.
_NAME = {".sav": 60, ".zsav": 60, ".dta": 28}
_RESERVED = {"all", "and", "by", "eq", "ge", "gt", "le", "lt", "ne", "not", "or", "to", "with", "if", "in", "using"}
_RESERVED |= {"byte", "int", "long", "float", "double"}


@dataclass(slots=True)
class Sheet:
    """What is written: columns, and what is said of them.

    names: from the survey's columns to those in the file. weight to replicates: the columns of the design. base: the
    weight before it was fitted to known totals; calibration: the columns with these totals.
    """

    frame: pl.DataFrame
    texts: dict[str, str] = field(default_factory=dict)
    labels: dict[str, dict[Code, str]] = field(default_factory=dict)
    missing: dict[str, list[Code]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    weight: str = ""
    stratum: str = ""
    psu: str = ""
    fpc: str = ""
    replicates: tuple[str, ...] = ()
    base: str = ""
    calibration: tuple[str, ...] = ()


def sheet_of(survey: Survey, answers: Mapping[str, Answers], suffix: str) -> Sheet:
    """Return what is written of a survey to a format, with these answers as new columns."""
    frame = survey.people
    sheet = Sheet(frame)
    for name, variable in survey.variables.items():
        sheet.texts[name] = variable.label
        sheet.labels[name] = dict(variable.labels)
    for key, trait in survey.traits.items():
        column = survey.trait_columns.get(key, key)
        sheet.texts.setdefault(column, trait.label)
        sheet.labels.setdefault(column, {o.code: o.label for o in trait.options if o.code is not None})
    for key, column in survey.question_columns.items():
        question = survey.questions[key]
        if any(o.code == "(blank)" for o in question.options):
            frame = frame.with_columns(_ticks(survey, key, question).alias(column))
            question = with_codes(question)
        sheet.texts[column] = question.text
        sheet.labels[column] = {o.code: o.label for o in question.options if o.code is not None}
        silent = [o.code for o in question.options if not o.substantive and o.code is not None]
        if silent:
            sheet.missing[column] = silent
    frame = _design_columns(survey, sheet, frame)
    for name, given in answers.items():
        frame = _answer_columns(sheet, frame, name, given, survey.n)
    sheet.frame = frame
    _rename(sheet, suffix)
    return sheet


def with_codes(question: Question) -> Question:
    """Return a multi-select's item with a number for what was blank in its file."""
    other = next(o.code for o in question.options if o.code != "(blank)")
    blank = 0 if other != 0 else 2
    return replace(
        question, options=tuple(replace(o, code=blank if o.code == "(blank)" else o.code) for o in question.options)
    )


def _design_columns(survey: Survey, sheet: Sheet, frame: pl.DataFrame) -> pl.DataFrame:
    """Columns from which R and Stata get the design that is used here, be it read or made."""
    design = survey.design
    if survey.weighted:
        sheet.weight = survey.roles.get("weight") or _free("weight", frame)
        frame = frame.with_columns(pl.Series(sheet.weight, design.weight))
        sheet.texts.setdefault(sheet.weight, "Weight")
    for role in ("stratum", "psu"):
        codes = getattr(design, role)
        if codes is None:
            continue
        column = survey.roles.get(role, "")
        if not column or frame[column].null_count():
            column = _free(f"design_{role}", frame)
            frame = frame.with_columns(pl.Series(column, codes + 1))
            sheet.texts[column] = f"{'Stratum' if role == 'stratum' else 'PSU'} of the design"
        setattr(sheet, role, column)
    if design.fpc is not None:
        sheet.fpc = _free("fpc", frame)
        frame = frame.with_columns(pl.Series(sheet.fpc, design.fpc))
        sheet.texts[sheet.fpc] = "Finite population correction, first stage"
    if design.replicates is not None:
        known = survey.recipe.replicates if survey.recipe else ()
        if known and len(known) == design.replicates.size:
            sheet.replicates = known
        else:
            made = design.replicates
            base = design.weight if design.calibration is None else design.calibration.base
            sheet.replicates = tuple(f"repwt_{r + 1}" for r in range(made.size))
            frame = frame.with_columns(pl.Series(name, made.weight(r, base)) for r, name in enumerate(sheet.replicates))
    if design.calibration is not None:
        columns, texts = calibration_columns(design.calibration)
        named = {name: _free(name, frame) for name in columns}
        frame = frame.with_columns(pl.Series(named[name], values) for name, values in columns.items())
        sheet.texts |= {named[name]: text for name, text in texts.items()}
        sheet.base, *rest = named.values()
        sheet.calibration = tuple(rest)
    return frame


def _answer_columns(sheet: Sheet, frame: pl.DataFrame, name: str, given: Answers, n: int) -> pl.DataFrame:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
        raise SurveyError(f"{name!r} cannot begin the name of a variable. Use letters, digits and _, a letter first.")
    rows = given.rows
    if rows.shape[0] not in (1, n):
        raise SurveyError(
            f"The answers {name!r} have {rows.shape[0]} rows; the survey has {n}. Give one row for each person."
        )
    made: list[pl.Series] = []
    for i, option in enumerate(given.question.options):
        values = np.where(given.answered, rows[:, i], np.nan)
        made.append(pl.Series(f"{name}_{i + 1}", np.broadcast_to(values, n).copy(), nan_to_null=True))
        sheet.texts[f"{name}_{i + 1}"] = f"P({option.label}) by {given.source.name}: {given.question.label}"
    if given.captured_mass is not None:
        made.append(pl.Series(f"{name}_mass", np.broadcast_to(given.captured_mass, n).copy()))
        sheet.texts[f"{name}_mass"] = f"Probability on any option by {given.source.name}: {given.question.label}"
    for series in made:
        if series.name in frame.columns:
            raise SurveyError(
                f"The survey has a column {series.name!r} already. Name the answers otherwise than {name!r}."
            )
    return frame.with_columns(made)


def _ticks(survey: Survey, key: str, question: Question) -> pl.Series:
    codes = np.array([o.code for o in with_codes(question).options], dtype=object)
    places = survey.answer_codes[key]
    return pl.Series([None if p < 0 else codes[p] for p in places])


def _rename(sheet: Sheet, suffix: str) -> None:
    longest = _NAME.get(suffix)
    taken: set[str] = set()
    for name in sheet.frame.columns:
        new = name
        if longest is not None:
            new = re.sub(r"[^A-Za-z0-9_]", "_", name)[:longest]
            if not re.match(r"[A-Za-z]", new) or new.lower() in _RESERVED:
                new = f"v_{new.lstrip('_')}"[:longest]
            while new.lower() in taken:
                new = f"{new[: longest - 2]}_{len(taken) % 10}"
        taken.add(new.lower() if longest is not None else new)
        sheet.names[name] = new
    sheet.frame = sheet.frame.rename(sheet.names)
    for what in ("texts", "labels", "missing"):
        setattr(sheet, what, {sheet.names.get(k, k): v for k, v in getattr(sheet, what).items()})
    for role in ("weight", "stratum", "psu", "fpc", "base"):
        setattr(sheet, role, sheet.names.get(getattr(sheet, role), ""))
    sheet.replicates = tuple(sheet.names[r] for r in sheet.replicates)
    sheet.calibration = tuple(sheet.names[c] for c in sheet.calibration)


def _free(name: str, frame: pl.DataFrame) -> str:
    return name if name not in frame.columns else f"{name}_of_design"
