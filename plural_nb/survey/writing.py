"""Surveys handed over to SPSS, Stata, .csv and .parquet: labels, a codebook, and the design for R and Stata."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from plural_nb.answers import Answers
from plural_nb.errors import SurveyError
from plural_nb.survey.encoding import Places
from plural_nb.survey.question import Code, Option, Question

if TYPE_CHECKING:
    from plural_nb.survey.survey import Survey

WRITTEN = (".sav", ".zsav", ".dta", ".csv", ".parquet")
# SPSS keeps 256 bytes of a variable's label and 120 of a value's; Stata 80 characters of a variable's.
_VARIABLE_LABEL = {".sav": 256, ".zsav": 256, ".dta": 80}
_VALUE_LABEL = {".sav": 120, ".zsav": 120, ".dta": 32_000}
# Stata has 32 characters for a name; pyreadstat needs four of them to name the value labels after the variable.
_NAME = {".sav": 60, ".zsav": 60, ".dta": 28}
_LONELY_R = {"fail": "fail", "centre": "adjust", "scale": "average", "skip": "remove"}
_LONELY_STATA = {"fail": "missing", "centre": "centered", "scale": "scaled", "skip": "certainty"}
_RESERVED = {"all", "and", "by", "eq", "ge", "gt", "le", "lt", "ne", "not", "or", "to", "with", "if", "in", "using"}
_RESERVED |= {"byte", "int", "long", "float", "double"}


@dataclass(slots=True)
class _Sheet:
    """What is written: columns, and what is said of them. names: from the survey's columns to those in the file."""

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


def write(survey: Survey, path: Path | str, answers: Mapping[str, Answers] | None = None) -> tuple[Path, ...]:
    """Write a survey to a file with its labels and weights; return the paths of all files written.

    path: .sav, .zsav, .dta, .csv or .parquet. Beside it, with the same stem: .toml, the codebook with which
        `read_survey` gives the same survey back (full texts, where SPSS or Stata keep only their beginning); .R and
        .do, the lines that read the file and declare the same design in R's survey package and in Stata.
    answers: a model's or personas' answers to add, by the name of the new variables: one column per option with its
        probability (name_1, name_2, …) and name_mass where it is known. A model that speaks for itself has one row,
        which every respondent's row repeats.

    Names that SPSS or Stata cannot have are changed, and the .R and .do files say how. Nothing is written when a file
    of one of these names is there but was not written by plural_nb; SurveyError says which.
    """
    path = Path(path).expanduser()
    suffix = path.suffix.lower()
    if suffix not in WRITTEN:
        raise SurveyError(f"{path.name} ends in {suffix or 'nothing'!r}; a survey is written to {', '.join(WRITTEN)}.")
    if not path.parent.is_dir():
        raise SurveyError(f"There is no folder {path.parent} to write {path.name} in.")
    sheet = _sheet(survey, answers or {}, suffix)
    beside = {
        ".toml": _codebook(survey, sheet),
        ".R": r_lines(survey, path, sheet),
        ".do": stata_lines(survey, path, sheet),
    }
    ours = [e for e in beside if _is_ours(path.with_suffix(e))]
    if path.exists() and ".toml" not in ours:
        raise SurveyError(f"{path.name} is there already and was not written by plural_nb. Choose another name.")
    for ending in beside:
        if path.with_suffix(ending).exists() and ending not in ours:
            name = path.with_suffix(ending).name
            raise SurveyError(f"{name} is there already and was not written by plural_nb. Choose another name.")
    _write_data(sheet, path, suffix, survey.title)
    for ending, text in beside.items():
        path.with_suffix(ending).write_text(text, encoding="utf-8")
    return (path, *(path.with_suffix(ending) for ending in beside))


def r_lines(survey: Survey, path: Path, sheet: _Sheet | None = None) -> str:
    """Return the lines that read the file in R and declare its design with the survey package."""
    sheet = sheet or _sheet(survey, {}, path.suffix.lower())
    reading = {
        ".csv": f"people <- read.csv({json.dumps(path.name)}, check.names = FALSE)",
        ".parquet": f"people <- arrow::read_parquet({json.dumps(path.name)})",
        ".dta": f"people <- haven::read_dta({json.dumps(path.name)})",
    }.get(path.suffix.lower(), f"people <- haven::read_sav({json.dumps(path.name)})")
    lines = [f"# Written by plural_nb: {_line(survey.title)}", *_renamed(sheet, "#"), "library(survey)", reading]
    lines.append(f'options(survey.lonely.psu = "{_LONELY_R[survey.design.lonely]}")')
    weights = f"weights = ~{_r(sheet.weight)}" if sheet.weight else "weights = ~1"
    made = survey.design.replicates
    if made is not None:
        pattern, mse = _pattern(sheet.replicates), "TRUE" if made.centre == "theta" else "FALSE"
        rscales = np.asarray(made.rscales)
        each = "1" if (rscales == 1).all() else f"c({', '.join(f'{x:.17g}' for x in rscales)})"
        each = f"rep(1, {made.size})" if each == "1" else each
        lines.append(
            f'design <- svrepdesign({weights}, repweights = "{pattern}", data = people, type = "other",\n'
            f"  scale = {made.scale:.17g}, rscales = {each}, combined.weights = TRUE, mse = {mse})"
        )
    else:
        ids = f"ids = ~{_r(sheet.psu)}" if sheet.psu else "ids = ~1"
        parts = [
            ids,
            f"strata = ~{_r(sheet.stratum)}" if sheet.stratum else "",
            weights if sheet.weight else "weights = ~1",
        ]
        parts += [
            f"fpc = ~{_r(sheet.fpc)}" if sheet.fpc else "",
            "data = people",
            "nest = TRUE" if sheet.psu and sheet.stratum else "",
        ]
        lines.append(f"design <- svydesign({', '.join(p for p in parts if p)})")
    if path.suffix.lower() not in (".sav", ".zsav"):
        lines[-1:] = [*_absent(sheet), lines[-1]]
    example = next((q for q in survey.questions if q in survey.question_columns), "")
    if example:
        name = sheet.names.get(survey.question_columns[example], survey.question_columns[example])
        lines.append(f"# svymean(~factor({_r(name)}), design, na.rm = TRUE)")
    return "\n".join(lines) + "\n"


def stata_lines(survey: Survey, path: Path, sheet: _Sheet | None = None) -> str:
    """Return the lines that read the file in Stata and declare its design with svyset."""
    sheet = sheet or _sheet(survey, {}, path.suffix.lower())
    reading = {
        ".csv": f'import delimited "{path.name}", clear case(preserve)',
        ".dta": f'use "{path.name}", clear',
        ".parquet": f'* Stata does not read .parquet: write to .dta\nuse "{path.with_suffix(".dta").name}", clear',
    }.get(path.suffix.lower(), f'import spss using "{path.name}", clear')
    lines = [f"* Written by plural_nb: {_line(survey.title)}", *_renamed(sheet, "*"), reading]
    weight = f"[pweight = {sheet.weight}]" if sheet.weight else ""
    made = survey.design.replicates
    if made is not None:
        listed = " ".join(sheet.replicates)
        mse = " mse" if made.centre == "theta" else ""
        how = {
            "BRR": f"brrweight({listed}) vce(brr)", "successive differences": f"sdrweight({listed}) vce(sdr)",
            "bootstrap": f"bsrweight({listed}) vce(bootstrap)",
        }.get(made.kind)  # fmt: skip
        if made.kind == "Fay":
            rho = 1 - 1 / np.sqrt(made.size * made.scale)
            how = f"brrweight({listed}) fay({rho:.10g}) vce(brr)"
        if how is None:
            scales = made.scale * np.asarray(made.rscales)
            how = " ".join(
                f"jkrweight({n}, multiplier({m:.10g}))" for n, m in zip(sheet.replicates, scales, strict=True)
            )
            how += " vce(jackknife)"
        lines.append(f"svyset {weight}, {how}{mse}")
    else:
        options = [f"strata({sheet.stratum})" if sheet.stratum else "", f"fpc({sheet.fpc})" if sheet.fpc else ""]
        options += [f"singleunit({_LONELY_STATA[survey.design.lonely]})" if sheet.stratum else ""]
        said = " ".join(o for o in options if o)
        lines.append(f"svyset {sheet.psu or '_n'} {weight}".rstrip() + (f", {said}" if said else ""))
    lines += [f"mvdecode {n}, mv({' '.join(map(str, c))})" for n, codes in sheet.missing.items()
                  if (c := [x for x in codes if isinstance(x, int | float)])]  # fmt: skip
    return "\n".join(lines) + "\n"


def _sheet(survey: Survey, answers: Mapping[str, Answers], suffix: str) -> _Sheet:
    frame = survey.people
    sheet = _Sheet(frame)
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
            question = _with_codes(question)
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


def _design_columns(survey: Survey, sheet: _Sheet, frame: pl.DataFrame) -> pl.DataFrame:
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
            sheet.replicates = tuple(f"repwt_{r + 1}" for r in range(made.size))
            frame = frame.with_columns(
                pl.Series(name, made.weight(r, design.weight)) for r, name in enumerate(sheet.replicates)
            )
    return frame


def _answer_columns(sheet: _Sheet, frame: pl.DataFrame, name: str, given: Answers, n: int) -> pl.DataFrame:
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
    codes = np.array([o.code for o in _with_codes(question).options], dtype=object)
    places = survey.answer_codes[key]
    return pl.Series([None if p < 0 else codes[p] for p in places])


def _with_codes(question: Question) -> Question:
    other = next(o.code for o in question.options if o.code != "(blank)")
    blank = 0 if other != 0 else 2
    return replace(
        question, options=tuple(replace(o, code=blank if o.code == "(blank)" else o.code) for o in question.options)
    )


def _rename(sheet: _Sheet, suffix: str) -> None:
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
    for role in ("weight", "stratum", "psu", "fpc"):
        setattr(sheet, role, sheet.names.get(getattr(sheet, role), ""))
    sheet.replicates = tuple(sheet.names[r] for r in sheet.replicates)


def _write_data(sheet: _Sheet, path: Path, suffix: str, title: str) -> None:
    frame = sheet.frame
    if suffix == ".csv":
        frame.write_csv(path)
        return
    if suffix == ".parquet":
        frame.write_parquet(path)
        return
    import pyreadstat

    stata = suffix == ".dta"
    frame = frame.with_columns(pl.col(pl.Boolean).cast(pl.String))
    labels: dict[str, dict[Any, str]] = {}
    for name, found in sheet.labels.items():
        if name not in frame.columns:
            continue
        text = frame[name].dtype == pl.String
        if text and stata:
            continue
        fitting = {
            code: _cut(label, _VALUE_LABEL[suffix]) for code, label in found.items() if isinstance(code, str) == text
        }
        if stata:
            fitting = {int(c): label for c, label in fitting.items() if float(c).is_integer()}
        elif not text:
            fitting = {float(c): label for c, label in fitting.items()}
        if fitting:
            labels[name] = fitting
    texts: dict[str, str | None] = {
        name: _cut(text, _VARIABLE_LABEL[suffix])
        for name, text in sheet.texts.items()
        if text and name in frame.columns
    }
    # A labelled column that came as text because of a few codes (Stata's ".a") stays text in SPSS; numbers are floats.
    frame = frame.with_columns(
        pl.col(pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32).cast(pl.Float64)
    )
    if stata:
        pyreadstat.write_dta(frame, path, file_label=title[:80], column_labels=texts, variable_value_labels=labels)
        return
    missing = {
        name: _ranges(codes, sheet.labels.get(name, {}))
        for name, codes in sheet.missing.items()
        if name in frame.columns
    }
    pyreadstat.write_sav(
        frame,
        path,
        file_label=title[:64],
        column_labels=texts,
        variable_value_labels=labels,
        compress=suffix == ".zsav",
        missing_ranges={name: spans for name, spans in missing.items() if spans and frame[name].dtype != pl.String},
    )


def _ranges(codes: list[Code], labels: Mapping[Code, str]) -> list[Any]:
    """SPSS holds three missing codes, or a range and one code; more than that only where a range covers no opinion."""
    numbers = sorted(float(c) for c in codes if not isinstance(c, str))
    if len(numbers) <= 3:
        return list(numbers)
    spoken = [float(c) for c in labels if not isinstance(c, str) and c not in codes]
    for low, high, rest in (
        (numbers[0], numbers[-1], []), (numbers[1], numbers[-1], numbers[:1]), (numbers[0], numbers[-2], numbers[-1:]),
    ):  # fmt: skip
        if not any(low <= s <= high for s in spoken):
            return [{"lo": low, "hi": high}, *rest]
    return list(numbers[:3])


def _cut(text: str, most: int) -> str:
    if len(text.encode()) <= most:
        return text
    return text.encode()[: most - 3].decode(errors="ignore") + "…"


def _is_ours(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.readline().startswith(("# Written by plural_nb", "* Written by plural_nb"))


def _free(name: str, frame: pl.DataFrame) -> str:
    return name if name not in frame.columns else f"{name}_of_design"


def _renamed(sheet: _Sheet, mark: str) -> list[str]:
    return [f"{mark} {old} is here {new}" for old, new in sheet.names.items() if old != new]


def _absent(sheet: _Sheet) -> list[str]:
    """Codes that carry no opinion become NA where the file itself cannot say it."""
    made = []
    for name, codes in sheet.missing.items():
        listed = ", ".join(json.dumps(c, ensure_ascii=False) if isinstance(c, str) else str(c) for c in codes)
        made.append(
            f"people[[{json.dumps(name, ensure_ascii=False)}]][people[[{json.dumps(name)}]] %in% c({listed})] <- NA"
        )
    return made


def _pattern(names: tuple[str, ...]) -> str:
    """A regular expression for R that fits these columns and no others of the same stem."""
    stem = re.sub(r"\d+$", "", names[0])
    if all(re.fullmatch(re.escape(stem) + r"\d+", n) for n in names):
        return f"^{re.sub(r'([.])', r'[.]', stem)}[0-9]+$"
    return "^(" + "|".join(names) + ")$"


def _line(text: str) -> str:
    return " ".join(text.split())


def _r(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z][A-Za-z0-9._]*", name) else f"`{name}`"


def _codebook(survey: Survey, sheet: _Sheet) -> str:
    lines = ["# Written by plural_nb; read_survey finds it beside the data.", "[survey]"]
    about = {
        "name": survey.name, "title": survey.title, "citation": survey.citation, "licence": survey.licence,
        "wording": survey.wording, "fieldwork": survey.fieldwork, "note": survey.note,
    }  # fmt: skip
    lines += [f"{key} = {_toml(value)}" for key, value in about.items() if value]
    lines += ["", "[design]"]
    design = {"weight": sheet.weight, "stratum": sheet.stratum, "psu": sheet.psu, "note": survey.design.note}
    lines += [f"{key} = {_toml(value)}" for key, value in design.items() if value]
    if survey.design.lonely != "fail":
        lines.append(f"lonely = {_toml(survey.design.lonely)}")
    for key, trait in survey.traits.items():
        column = survey.trait_columns.get(key, key)
        levels = [_option(o, sentence=s) for o, s in zip(trait.options, trait.sentences, strict=True)]
        lines += [
            "",
            f"[traits.{_key(key)}]",
            f"label = {_toml(trait.label)}",
            f"column = {_toml(sheet.names.get(column, column))}",
        ]
        lines += _missing(survey, column, survey.trait_codes[key])
        lines += _options(levels)
    for key, question in survey.questions.items():
        column = survey.question_columns.get(key, key)
        asked = _with_codes(question) if any(o.code == "(blank)" for o in question.options) else question
        lines += ["", f"[questions.{_key(key)}]"]
        said: dict[str, Any] = {
            "text": asked.text, "label": asked.label, "kind": asked.kind, "wording": asked.wording,
            "column": sheet.names.get(column, column), "battery": asked.battery, "asked_of": asked.asked_of,
        }  # fmt: skip
        lines += [f"{name} = {_toml(value)}" for name, value in said.items() if value]
        if asked.wordings:
            lines.append(f"wordings = {_toml(list(asked.wordings))}")
        listed = [_option(o, value=o.value) for o in asked.options]
        if question is asked:
            lines += _missing(survey, column, survey.answer_codes[key])
        lines += _options(listed)
    return "\n".join(lines) + "\n"


def _missing(survey: Survey, column: str, places: Places) -> list[str]:
    """The codes of a column that count as no answer, though they are there."""
    series = survey.columns[column]
    lost = series.filter(pl.Series(places < 0)).drop_nulls().unique().sort()
    if lost.dtype.is_float():
        lost = lost.drop_nans()
    codes = [int(v) if isinstance(v, float) and v.is_integer() else v for v in lost.to_list() if v != ""]
    return [f"missing = {_toml(codes)}"] if codes else []


def _option(option: Option, **more: Any) -> str:
    said: dict[str, Any] = {"label": option.label}
    if option.bounds is not None:
        said |= {"low": option.bounds[0], "high": option.bounds[1]}
    elif option.code is not None:
        said = {"code": option.code, **said}
    said |= {name: value for name, value in more.items() if value not in (None, "")}
    said |= {} if option.substantive else {"substantive": False}
    said |= {} if option.offered else {"offered": False}
    said |= {"pinned": True} if option.pinned else {}
    return "{" + ", ".join(f"{name} = {_toml(value)}" for name, value in said.items()) + "}"


def _options(listed: list[str]) -> list[str]:
    return ["options = [", *(f"  {option}," for option in listed), "]"]


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _toml(key)


def _toml(value: Any) -> str:
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    return repr(value)
