"""Ratings in a table: rows are jurors, columns of numbers are candidates, columns of text are names and traits."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from plural_nb.errors import PluralError, nearest
from plural_nb.jury.utilities import Utilities
from plural_nb.survey.design import Design, Floats

MISSING = ("", "NA", "NaN", "nan")

_SUFFIXES = (".csv", ".tsv", ".parquet", ".feather", ".arrow")
_CODE = re.compile(r"0\d+")
_DECIMAL_COMMA = re.compile(r"-?\d*,\d+")
_IDS = {"", "id", "ids", "index", "juror", "juror_id", "jurorid", "respondent", "row", "unnamed: 0"}


def read_utilities(
    path: Path | str,
    *,
    weight: str = "",
    candidates: Sequence[str] | None = None,
    missing: Sequence[str] = MISSING,
    scale: str = "as rated",
) -> Utilities:
    """Return the utilities in a .csv, .tsv, .parquet or .feather file: one row per juror.

    weight, candidates, scale: see `from_frame`. missing: texts that mean "not rated".

    Raises PluralError for a file that cannot be read, columns that are not there, and columns that mix numbers and
    text.
    """
    path = Path(path).expanduser()
    suffix = path.suffix.lower()
    if suffix not in _SUFFIXES:
        raise PluralError(f"{path.name} ends in {suffix or 'nothing'!r}; give one of {', '.join(_SUFFIXES)}.")
    if not path.is_file():
        raise PluralError(f"There is no file {path}. Check the name and the folder.")
    try:
        if suffix in (".csv", ".tsv"):
            # Cells are read as text: what is a number is decided here, not by the first rows.
            frame = pl.read_csv(path, separator="\t" if suffix == ".tsv" else ",", infer_schema=False)
        else:
            frame = pl.read_parquet(path) if suffix == ".parquet" else pl.read_ipc(path)
    except (pl.exceptions.PolarsError, OSError, UnicodeError) as problem:
        first = (str(problem).strip() or type(problem).__name__).splitlines()[0].rstrip(".")
        raise PluralError(f"{path.name} cannot be read: {first}. It may be damaged, empty or not in UTF-8.") from None
    twice = [name for name in frame.columns if f"{name}_duplicated_0" in frame.columns]
    if twice:
        raise PluralError(f"{path.name} has two columns {twice[0]!r}. Rename one of them.")
    if frame.width == 1 and ";" in frame.columns[0]:
        raise PluralError(f"{path.name} seems to be separated by semicolons. Save it with commas.")
    return from_frame(frame, weight=weight, candidates=candidates, missing=missing, scale=scale, where=path.name)


def from_frame(
    frame: pl.DataFrame,
    *,
    weight: str = "",
    candidates: Sequence[str] | None = None,
    missing: Sequence[str] = MISSING,
    design: Design | None = None,
    scale: str = "as rated",
    where: str = "the table",
) -> Utilities:
    """Return the utilities in a table: one row per juror.

    weight: the column of the weights; all weigh the same when empty. candidates: columns; when None, all columns of
    numbers but the weight. Columns of text are traits; the first that differs in every row names the jurors.
    design: how the jurors were sampled; None for a whole jury. where: what messages call the table.

    Raises PluralError for columns that are not there or mix numbers and text, and for a table without candidates.

    >>> table = pl.DataFrame({"who": ["Ann", "Bo"], "Park": ["4", "NA"], "Road": [1.5, 2.0], "w": [1, 2]})
    >>> jury = from_frame(table, weight="w")
    >>> jury.jurors, jury.candidates, jury.weight.tolist()
    (('Ann', 'Bo'), ('Park', 'Road'), [1.0, 2.0])
    """
    if frame.is_empty():
        raise PluralError(f"{where} has no rows.")
    for name in [*([weight] if weight else []), *(candidates or [])]:
        if name not in frame.columns:
            raise PluralError(f"{where} has no column {name!r}. {nearest(name, frame.columns)}")
    ratings: dict[str, Floats] = {}
    texts: dict[str, pl.Series] = {}
    notes = []
    weights = None
    for column in frame:
        found = _numbers(column, missing, where, must=column.name == weight or column.name in (candidates or ()))
        if column.name == weight:
            weights = found
        elif found is None:
            texts[column.name] = _given(column.cast(pl.String), missing)
        elif found.null_count() == found.len() and candidates is None:
            notes.append(f"column {column.name!r} is empty and was left out")
        elif candidates is None or column.name in candidates:
            ratings[column.name] = found.to_numpy()
            if column.name.strip().lower() in _IDS and found.n_unique() == frame.height > 1:
                notes.append(
                    f"column {column.name!r} holds numbers and counts as a candidate; leave it out if it names jurors"
                )
    if not ratings:
        raise PluralError(f"{where} has no column of numbers besides the weight, so there is no candidate.")
    chosen = ratings if candidates is None else {name: ratings[name] for name in candidates}
    ids = next((c for c in texts.values() if c.null_count() == 0 and c.n_unique() == c.len()), None)
    if ids is not None:
        texts.pop(ids.name)
    return Utilities.of(
        chosen,
        weight=None if weights is None else weights.to_numpy(),
        jurors=() if ids is None else tuple(ids.to_list()),
        traits=pl.DataFrame({name: text.alias(name) for name, text in texts.items()}),
        design=design,
        scale=scale,
        notes=tuple(notes),
    )


def _numbers(column: pl.Series, missing: Sequence[str], where: str, *, must: bool) -> pl.Series | None:
    """The column as numbers, null where missing; None for a column of text. `must`: text is an error."""
    if column.dtype.is_numeric():
        return column.cast(pl.Float64).fill_nan(None)
    if column.dtype == pl.Null:
        return column.cast(pl.Float64)
    if column.dtype != pl.String:
        if must:
            raise PluralError(f"{where}, column {column.name!r} holds {column.dtype}, not numbers.")
        return None
    text = _given(column.str.strip_chars(), missing)
    values = text.cast(pl.Float64, strict=False)
    given = text.drop_nulls()
    if not must and given.len() and all(_CODE.fullmatch(t) for t in given.unique().to_list()):
        return None
    failed = text.filter(values.is_null() & text.is_not_null())
    if failed.len() == 0:
        return values
    commas = sum(_DECIMAL_COMMA.fullmatch(t) is not None for t in failed.to_list())
    if must or commas == failed.len() or 2 * failed.len() < given.len():
        row = int((values.is_null() & text.is_not_null()).arg_max() or 0) + 1
        advice = "Write decimals with a point." if commas else "Empty it where the juror did not rate."
        raise PluralError(
            f"{where}, column {column.name!r} holds text in {failed.len()} of {given.len()} cells, {failed[0]!r} in "
            f"row {row} first, where numbers belong. {advice}"
        )
    return None


def _given(text: pl.Series, missing: Sequence[str]) -> pl.Series:
    return pl.select(pl.when(text.is_in(list(missing))).then(None).otherwise(text).alias(text.name)).to_series()
