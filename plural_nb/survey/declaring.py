"""The design of a survey in the words of R's survey package and of Stata's svyset."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from plural_nb.survey.declaring_calibration import r_calibration, stata_calibration
from plural_nb.survey.sheet import Sheet, sheet_of

if TYPE_CHECKING:
    from plural_nb.survey.survey import Survey

_LONELY_R = {"fail": "fail", "centre": "adjust", "scale": "average", "skip": "remove"}
_LONELY_STATA = {"fail": "missing", "centre": "centered", "scale": "scaled", "skip": "certainty"}


def r_lines(survey: Survey, path: Path, sheet: Sheet | None = None) -> str:
    """Return the lines that read the file in R and declare its design with the survey package."""
    sheet = sheet or sheet_of(survey, {}, path.suffix.lower())
    reading = {
        ".csv": f"people <- read.csv({json.dumps(path.name)}, check.names = FALSE)",
        ".parquet": f"people <- arrow::read_parquet({json.dumps(path.name)})",
        ".dta": f"people <- haven::read_dta({json.dumps(path.name)})",
    }.get(path.suffix.lower(), f"people <- haven::read_sav({json.dumps(path.name)})")
    lines = [f"# Written by plural_nb: {_line(survey.title)}", *_renamed(sheet, "#"), "library(survey)", reading]
    lines.append(f'options(survey.lonely.psu = "{_LONELY_R[survey.design.lonely]}")')
    fitted = survey.design.calibration
    # A design that is fitted to totals starts from the weights before, and finds these again.
    weight = sheet.base if sheet.calibration else sheet.weight
    weights = f"weights = ~{_r(weight)}" if weight else "weights = ~1"
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
            weights,
        ]
        parts += [
            f"fpc = ~{_r(sheet.fpc)}" if sheet.fpc else "",
            "data = people",
            "nest = TRUE" if sheet.psu and sheet.stratum else "",
        ]
        lines.append(f"design <- svydesign({', '.join(p for p in parts if p)})")
    if path.suffix.lower() not in (".sav", ".zsav"):
        lines[-1:] = [*_absent(sheet), lines[-1]]
    if fitted is not None:
        lines += r_calibration(fitted, sheet)
    example = next((q for q in survey.questions if q in survey.question_columns), "")
    if example:
        name = sheet.names.get(survey.question_columns[example], survey.question_columns[example])
        lines.append(f"# svymean(~factor({_r(name)}), design, na.rm = TRUE)")
    return "\n".join(lines) + "\n"


def stata_lines(survey: Survey, path: Path, sheet: Sheet | None = None) -> str:
    """Return the lines that read the file in Stata and declare its design with svyset."""
    sheet = sheet or sheet_of(survey, {}, path.suffix.lower())
    reading = {
        ".csv": f'import delimited "{path.name}", clear case(preserve)',
        ".dta": f'use "{path.name}", clear',
        ".parquet": f'* Stata does not read .parquet: write to .dta\nuse "{path.with_suffix(".dta").name}", clear',
    }.get(path.suffix.lower(), f'import spss using "{path.name}", clear')
    lines = [f"* Written by plural_nb: {_line(survey.title)}", *_renamed(sheet, "*"), reading]
    fitted = survey.design.calibration
    fit = "" if fitted is None else stata_calibration(fitted, sheet)
    weight = f"[pweight = {sheet.base if fit else sheet.weight}]" if sheet.weight else ""
    made = survey.design.replicates
    if fitted is not None and not fit:
        lines.append("* Stata cannot fit these weights itself: it takes them as fixed, and its errors differ.")
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
        lines.append(f"svyset {weight}, {how}{mse}{f' {fit}' if fit else ''}")
    else:
        options = [f"strata({sheet.stratum})" if sheet.stratum else "", f"fpc({sheet.fpc})" if sheet.fpc else ""]
        options += [f"singleunit({_LONELY_STATA[survey.design.lonely]})" if sheet.stratum else ""]
        said = " ".join(o for o in [*options, fit] if o)
        lines.append(f"svyset {sheet.psu or '_n'} {weight}".rstrip() + (f", {said}" if said else ""))
    lines += [f"mvdecode {n}, mv({' '.join(map(str, c))})" for n, codes in sheet.missing.items()
                  if (c := [x for x in codes if isinstance(x, int | float)])]  # fmt: skip
    return "\n".join(lines) + "\n"


def _absent(sheet: Sheet) -> list[str]:
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


def _renamed(sheet: Sheet, mark: str) -> list[str]:
    return [f"{mark} {old} is here {new}" for old, new in sheet.names.items() if old != new]


def _line(text: str) -> str:
    return " ".join(text.split())


def _r(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z][A-Za-z0-9._]*", name) else f"`{name}`"
