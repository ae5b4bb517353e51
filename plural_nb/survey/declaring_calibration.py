"""How weights were fitted to known totals, in the words of R's survey package and of Stata's svyset."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from plural_nb.survey.calibration import Calibration, Linear, PostStratified, RakedMargins, Trimmed
from plural_nb.survey.design import Floats

if TYPE_CHECKING:
    from plural_nb.survey.sheet import Sheet


def calibration_columns(calibration: Calibration) -> tuple[dict[str, Floats], dict[str, str]]:
    """Return the columns that a calibration is declared with, by name, and what each one is.

    Cells and margins are numbered from 1; a fit to totals of columns has these columns. A fit of the user's own has
    none, so it cannot be declared.
    """
    columns: dict[str, Floats] = {"base_weight": calibration.base}
    texts = {"base_weight": "Weight before it was fitted to known totals"}
    fit = calibration.inner if isinstance(calibration, Trimmed) else calibration
    if isinstance(fit, PostStratified):
        cell, totals = np.asarray(fit.cell + 1, dtype=np.float64), np.asarray(fit.totals, dtype=np.float64)
        columns |= {"calib_1": cell, "calib_total": totals[fit.cell]}
        texts |= {"calib_1": "Cell of the post-stratification", "calib_total": "Known total of the cell"}
    elif isinstance(fit, RakedMargins):
        for i, (codes, _) in enumerate(fit.margins):
            columns[f"calib_{i + 1}"] = np.asarray(codes + 1, dtype=np.float64)
            texts[f"calib_{i + 1}"] = f"Category of margin {i + 1}"
    elif isinstance(fit, Linear):
        for i in range(fit.totals.size):
            columns[f"calib_{i + 1}"], texts[f"calib_{i + 1}"] = fit.x[:, i], f"Column {i + 1} with a known total"
    return columns, texts


def r_calibration(calibration: Calibration, sheet: Sheet) -> list[str]:
    """Return the lines that fit R's design, declared with the base weights, to the same totals."""
    trim = ""
    if isinstance(calibration, Trimmed):
        limits = f"lower = {calibration.lower:.17g}, upper = {calibration.upper:.17g}"
        trim = f"design <- trimWeights(design, {limits}, strict = TRUE)"
        calibration = calibration.inner
    names = sheet.calibration
    if isinstance(calibration, PostStratified):
        lines = [f"design <- postStratify(design, ~{names[0]}, {_table(names[0], calibration.totals)})"]
    elif isinstance(calibration, RakedMargins):
        samples = ", ".join(f"~{name}" for name in names)
        tables = ",\n    ".join(
            _table(name, totals) for name, (_, totals) in zip(names, calibration.margins, strict=True)
        )
        lines = [
            f"design <- rake(design, list({samples}),\n  list({tables}),\n"
            "  control = list(maxit = 10000, epsilon = 1e-12, verbose = FALSE))"
        ]
    elif isinstance(calibration, Linear):
        totals = ", ".join(f"{name} = {total:.17g}" for name, total in zip(names, calibration.totals, strict=True))
        bounds = ", ".join(_infinite(b) for b in calibration.bounds)
        lines = [
            f"design <- calibrate(design, ~{' + '.join(names)} - 1, c({totals}),\n"
            f'  calfun = "{calibration.distance}", bounds = c({bounds}), maxit = 200, epsilon = 1e-10)'
        ]
    else:
        return ["# The weights were fitted to known totals in a way that is not told here; they are taken as fixed."]
    return [*lines, trim] if trim else lines


def stata_calibration(calibration: Calibration, sheet: Sheet) -> str:
    """Return the option of svyset that fits the base weights to the same totals; empty where Stata has none.

    Stata has no trimming after a calibration.
    """
    names = sheet.calibration
    if isinstance(calibration, PostStratified):
        return f"poststrata({names[0]}) postweight({names[-1]})"
    if isinstance(calibration, RakedMargins):
        totals = " ".join(
            f"{i + 1}.{name}={total:.17g}"
            for name, (_, margin) in zip(names, calibration.margins, strict=True)
            for i, total in enumerate(margin)
        )
        return f"rake({' '.join(f'ibn.{name}' for name in names)}, noconstant totals({totals}))"
    if isinstance(calibration, Linear):
        totals = " ".join(f"{name}={total:.17g}" for name, total in zip(names, calibration.totals, strict=True))
        low, high = calibration.bounds
        limits = f"{f' ll({low:g})' if np.isfinite(low) else ''}{f' ul({high:g})' if np.isfinite(high) else ''}"
        command = "regress" if calibration.distance == "linear" else "rake"
        return f"{command}({' '.join(names)}, noconstant totals({totals}){limits})"
    return ""


def _table(name: str, totals: Floats) -> str:
    listed = ", ".join(f"{total:.17g}" for total in totals)
    return f"data.frame({name} = 1:{totals.size}, Freq = c({listed}))"


def _infinite(bound: float) -> str:
    return f"{bound:.17g}" if np.isfinite(bound) else ("Inf" if bound > 0 else "-Inf")
