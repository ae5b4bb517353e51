"""Columns of a survey's file turned into places of options: which code is which, and which value is a surprise."""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from plural_nb.errors import SurveyError, nearest
from plural_nb.survey.design import Floats
from plural_nb.survey.question import Code as Code
from plural_nb.survey.question import Option

Places = npt.NDArray[np.int16]

# A number written plainly: no leading zeros, no spaces, no comma, no exponent. "01" and "1,5" stay texts.
_PLAIN = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?")
_DECIMAL_COMMA = re.compile(r"\s*-?\d*,\d+\s*")


def same(value: Any) -> Hashable:
    """Return what a code and a cell must share to be the same value.

    Both are the same when they read as the same number, or are the same text: 1, 1.0, "1" and "1.0" are the same,
    whatever the column's type; "01" is a text and only equals "01"; true is the text "true"; nothing is stripped and
    case counts.

    >>> same(1) == same("1") == same(1.0), same("01") == same(1), same(True) == same("true")
    (True, False, True)
    """
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return value
    text = str(value)
    if _PLAIN.fullmatch(text):
        return float(text) if "." in text else int(text)
    return text


def encode(
    column: pl.Series, options: Sequence[Option], *, where: str, missing: Sequence[Code] = (), every: str = "options"
) -> Places:
    """Return, for each row, the place of its option, or -1 where the answer is missing.

    column: one column of the file; null, NaN and empty text are missing, and so are the codes in `missing`.
    options: matched by code (see `same`) or, where they have bounds, by low <= x < high; the highest interval
        includes its upper bound.
    where: what to call the column in messages. every: what the codebook calls the list ("options", "levels").

    Raises SurveyError for values that no option covers: the value, how often it occurs, and the nearest code.

    >>> encode(pl.Series("q", ["1", "2", None, "2"]), (Option("Yes", 1), Option("No", 2)), where="q").tolist()
    [0, 1, -1, 1]
    """
    values = column.unique(maintain_order=False).to_list()
    absent = {same(code) for code in missing}
    places = {same(o.code): i for i, o in enumerate(options) if o.bounds is None}
    bins = [(o.bounds, i) for i, o in enumerate(options) if o.bounds is not None]
    bins.sort()
    found: dict[Any, int] = {}
    strange: list[Any] = []
    for value in values:
        key = same(value)
        if _empty(value) or key in absent:
            found[value] = -1
        elif key in places:
            found[value] = places[key]
        elif (place := _bin(key, bins)) is not None:
            found[value] = place
        else:
            strange.append(value)
    if strange:
        raise SurveyError(_surprise(column.rename("value"), strange, options, where, every))
    old = pl.Series(list(found), dtype=column.dtype)
    new = pl.Series(list(found.values()), dtype=pl.Int16)
    result: Places = column.replace_strict(old, new, default=-1, return_dtype=pl.Int16).to_numpy()
    return np.ascontiguousarray(result)


def numbers(column: pl.Series, *, where: str) -> Floats:
    """Return a column as numbers, NaN where it is null; SurveyError for text, with decimal commas named."""
    if column.dtype.is_numeric():
        return np.asarray(column.cast(pl.Float64).to_numpy(), dtype=np.float64)
    texts = column.cast(pl.String)
    cast = texts.cast(pl.Float64, strict=False)
    failed = texts.filter(cast.is_null() & texts.is_not_null() & (texts != ""))
    if failed.len():
        first = str(failed[0])
        advice = (
            f"Decimal commas are not read as numbers; write {first.strip().replace(',', '.')}."
            if _DECIMAL_COMMA.fullmatch(first)
            else "Write plain numbers, with a point for decimals."
        )
        raise SurveyError(f"{where} holds text in {failed.len()} rows, {first!r} for one. {advice}")
    return np.asarray(cast.to_numpy(), dtype=np.float64)


def natural(column: pl.Series) -> pl.Series:
    """Return a text column as numbers where every value is a plainly written number, else unchanged.

    >>> natural(pl.Series("a", ["1", None, "20"])).to_list(), natural(pl.Series("b", ["01", "2"])).to_list()
    ([1, None, 20], ['01', '2'])
    """
    if column.dtype != pl.String:
        return column
    filled = column.drop_nulls()
    if filled.is_empty() or not filled.str.contains(f"^(?:{_PLAIN.pattern})$").all():
        return column
    kind = pl.Float64 if filled.str.contains(".", literal=True).any() else pl.Int64
    cast = column.cast(kind, strict=False)
    return column if cast.null_count() > column.null_count() else cast


def _empty(value: Any) -> bool:
    return value is None or value == "" or (isinstance(value, float) and value != value)


def _bin(key: Hashable, bins: list[tuple[tuple[float, float], int]]) -> int | None:
    if isinstance(key, str) or not isinstance(key, int | float):
        return None
    for i, ((low, high), place) in enumerate(bins):
        if low <= key < high or (i == len(bins) - 1 and key == high):
            return place
    return None


def _surprise(column: pl.Series, strange: list[Any], options: Sequence[Option], where: str, every: str) -> str:
    counts = column.value_counts(name="rows")
    rows = dict(zip(counts.to_series(0).to_list(), counts["rows"].to_list(), strict=True))
    strange.sort(key=lambda value: (-rows[value], str(value)))
    shown = ", ".join(f"{_shown(v)} ({rows[v]} row{'s' if rows[v] > 1 else ''})" for v in strange[:4])
    more = f" and {len(strange) - 4} other values" if len(strange) > 4 else ""
    if any(o.bounds is not None for o in options):
        spans = "; ".join(f"{o.bounds[0]:g} to {o.bounds[1]:g}" for o in options if o.bounds is not None)
        return f"{where}: no interval of the codebook holds {shown}{more}. The {every} cover {spans}."
    codes = [str(option.code) for option in options]
    return (
        f"{where}: the codebook does not list {shown}{more}. {nearest(str(strange[0]), codes)} Add it to the {every}, "
        "or to [survey] missing if it means that no answer was recorded."
    )


def _shown(value: Any) -> str:
    return repr(value) if isinstance(value, str) else str(value)
