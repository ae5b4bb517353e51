"""The surveys that come with plural_nb, by name."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import polars as pl

from plural_nb.errors import SurveyError, nearest
from plural_nb.resources import data
from plural_nb.survey.codebook import Codebook
from plural_nb.survey.reading import read_survey
from plural_nb.survey.survey import Survey
from plural_nb.survey.weighting import rake

# Census Bureau, Current Population Survey, November 1996 (P20-504): persons in thousands, and percent reporting that
# they voted. Their products are the people who voted: 7.6%, 39.1%, 33.0% and 20.3%.
_VOTERS_1996 = {
    "18 to 24": 24_650 * 0.324,
    "25 to 44": 83_393 * 0.492,
    "45 to 64": 53_721 * 0.644,
    "65 and over": 31_888 * 0.670,
}


@dataclass(frozen=True, slots=True)
class SurveyEntry:
    """One line of the list of surveys: what it is, how large, under which licence, and where it comes from."""

    name: str
    title: str
    rows: int
    questions: int
    traits: int
    weight: str
    licence: str
    citation: str
    found_in: str


def surveys() -> list[SurveyEntry]:
    """Return the surveys that `load_survey` knows by name.

    >>> "anes96" in [entry.name for entry in surveys()]
    True
    """
    entries = []
    for path in _codebooks():
        book = Codebook.read(path)
        parquet = path.with_suffix(".parquet")
        rows = pl.scan_parquet(parquet).select(pl.len()).collect().item() if parquet.is_file() else _anes96_raw().height
        entries.append(
            SurveyEntry(
                name=path.stem,
                title=book.title,
                rows=rows,
                questions=len(book.questions),
                traits=len(book.traits),
                weight=book.weight,
                licence=book.licence,
                citation=book.citation,
                found_in="plural_nb" if parquet.is_file() else "statsmodels",
            )
        )
    return entries


def load_survey(name: str | Path) -> Survey:
    """Return a survey of the library by name, or read one from a file with its codebook beside it.

    name: "anes96", "teaching", or a path to a .csv, .tsv or .parquet file (see `plural_nb.survey.reading`).

    Raises SurveyError for an unknown name.

    >>> load_survey("anes96").n
    944
    """
    known = [path.stem for path in _codebooks()]
    if str(name) in known:
        return _shipped(str(name))
    if isinstance(name, Path) or Path(name).suffix or Path(name).exists():
        return read_survey(name)
    raise SurveyError(
        f"There is no survey {str(name)!r} in the library. {nearest(str(name), known)} For a file of your own, "
        "give its path (.csv, .tsv or .parquet)."
    )


@lru_cache(maxsize=8)
def _shipped(name: str) -> Survey:
    parquet = data("surveys", f"{name}.parquet")
    if parquet.is_file():
        return read_survey(parquet)
    return _anes96()


def _codebooks() -> list[Path]:
    """Codebooks whose people are at hand: a Parquet file beside it, or the package that carries them."""
    found = sorted(data("surveys").glob("*.toml"))
    return [path for path in found if path.with_suffix(".parquet").is_file() or path.stem == "anes96"]


def _anes96() -> Survey:
    raw = _anes96_raw()
    young, middle, older, oldest = _VOTERS_1996
    age = pl.col("age")
    people = raw.with_columns(
        age_group=pl.when(age < 25)
        .then(pl.lit(young))
        .when(age < 45)
        .then(pl.lit(middle))
        .when(age < 65)
        .then(pl.lit(older))
        .otherwise(pl.lit(oldest))
    )
    total = sum(_VOTERS_1996.values())
    margin = {group: voters / total * people.height for group, voters in _VOTERS_1996.items()}
    weight = rake(people, {"age_group": margin}).weight
    return Survey.from_frame(
        people.with_columns(weight=pl.Series(weight)), data("surveys", "anes96.toml"), name="statsmodels' anes96"
    )


@lru_cache(maxsize=1)
def _anes96_raw() -> pl.DataFrame:
    # The package's file is read as it is: `load_pandas` would import pandas and a second of statsmodels.
    package = importlib.util.find_spec("statsmodels")
    folder = Path(package.origin).parent if package is not None and package.origin else Path()
    path = folder / "datasets" / "anes96" / "anes96.csv"
    if not path.is_file():
        raise SurveyError(
            "The anes96 data come with statsmodels, which is not here. Install it: pip install statsmodels."
        )
    raw = pl.read_csv(path, separator="\t")
    return raw.rename({column: column.strip("'") for column in raw.columns})
