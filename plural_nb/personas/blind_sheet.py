"""Blind sheets: items in an order drawn by lot, written as CSV for people to fill in, and read back with care."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from plural_nb.errors import SurveyError, nearest
from plural_nb.survey.design import Ints

# What a spreadsheet would take for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def item_names(n: int) -> list[str]:
    """Return the names of n items: 0001, 0002 and so on."""
    return [f"{i + 1:04d}" for i in range(n)]


def write_sheet(frame: pl.DataFrame, path: Path | str) -> Path:
    """Write a sheet of texts as CSV (UTF-8 with a mark that spreadsheets know) and return its path.

    A cell that a spreadsheet would run as a formula gets an apostrophe in front.
    """
    path = Path(path)
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(frame.columns)
    for row in frame.iter_rows():
        writer.writerow([f"'{cell}" if cell.startswith(_FORMULA) else cell for cell in row])
    path.write_text(out.getvalue(), encoding="utf-8-sig", newline="")
    return path


def read_sheets(
    paths: Mapping[str, Path | str], items: Sequence[str], columns: Mapping[str, Sequence[str]]
) -> dict[str, Ints]:
    """Return for each column the filled cells (items, people) as places among its allowed words, -1 where empty.

    paths: {person: file}. items: of the sheet. columns: {name: allowed words}.

    Raises SurveyError for items that are not of this sheet, twice there or not there, and for unknown words.
    """
    if not paths:
        raise SurveyError("There is no filled sheet to read.")
    given: dict[str, list[Ints]] = {name: [] for name in columns}
    for person, path in paths.items():
        text = Path(path).read_text(encoding="utf-8-sig")
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
        where = f"The sheet of {person} ({Path(path).name})"
        if not rows or not {"item", *columns} <= set(rows[0]):
            named = " and ".join(repr(name) for name in ("item", *columns))
            raise SurveyError(f"{where} has no columns {named}. Save it as CSV with commas.")
        found: dict[str, dict[str, str | None]] = {}
        for row in rows:
            item = (row["item"] or "").strip().rjust(4, "0")
            if item in found:
                raise SurveyError(f"{where} rates item {item} twice.")
            found[item] = row
        if set(found) != set(items):
            odd = sorted(set(found) ^ set(items))[0]
            raise SurveyError(f"{where} is not this sheet: item {odd} is in one of them only.")
        for name, allowed in columns.items():
            given[name].append(
                np.array([_place(found[item][name], allowed, f"{where}, item {item}") for item in items])
            )
    return {name: np.stack(places, axis=1) for name, places in given.items()}


def _place(cell: str | None, allowed: Sequence[str], where: str) -> int:
    word = (cell or "").strip()
    if not word:
        return -1
    folded = [one.casefold() for one in allowed]
    if word.casefold() not in folded:
        raise SurveyError(f"{where}: {word!r} is no rating. {nearest(word, allowed)}")
    return folded.index(word.casefold())
