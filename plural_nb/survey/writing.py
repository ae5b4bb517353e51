"""Surveys handed over to SPSS, Stata, .csv and .parquet: labels, a codebook, and the design for R and Stata."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from plural_nb.answers import Answers
from plural_nb.errors import SurveyError
from plural_nb.survey.declaring import r_lines, stata_lines
from plural_nb.survey.encoding import Places
from plural_nb.survey.question import Code, Option
from plural_nb.survey.sheet import Sheet, sheet_of, with_codes

if TYPE_CHECKING:
    from plural_nb.survey.survey import Survey

WRITTEN = (".sav", ".zsav", ".dta", ".csv", ".parquet")
# SPSS keeps 256 bytes of a variable's label and 120 of a value's; Stata 80 characters of a variable's.
_VARIABLE_LABEL = {".sav": 256, ".zsav": 256, ".dta": 80}
_VALUE_LABEL = {".sav": 120, ".zsav": 120, ".dta": 32_000}


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
    sheet = sheet_of(survey, answers or {}, suffix)
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


def _write_data(sheet: Sheet, path: Path, suffix: str, title: str) -> None:
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


def _codebook(survey: Survey, sheet: Sheet) -> str:
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
        told = {"label": trait.label, "column": sheet.names.get(column, column), "phrase": trait.phrase,
                "question": trait.question}  # fmt: skip
        lines += ["", f"[traits.{_key(key)}]", *(f"{name} = {_toml(value)}" for name, value in told.items() if value)]
        levels = [
            _option(
                o,
                said=said if said != o.label else None,
                sentence=sentence if sentence != trait.phrase.replace("{}", said) else None,
            )
            for o, said, sentence in zip(trait.options, trait.said, trait.sentences, strict=True)
        ]
        lines += _missing(survey, column, survey.trait_codes[key])
        lines += _options(levels)
    for key, question in survey.questions.items():
        column = survey.question_columns.get(key, key)
        asked = with_codes(question) if any(o.code == "(blank)" for o in question.options) else question
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
    said |= {name: value for name, value in more.items() if value is not None}
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
