"""The surveys that plural_nb knows by name: those that come along, and those it can fetch or point to."""

from __future__ import annotations

import importlib.util
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import platformdirs
import polars as pl

from plural_nb.errors import SurveyError, nearest
from plural_nb.resources import data
from plural_nb.survey.codebook import Codebook
from plural_nb.survey.download import fetch, require_checksum
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


@dataclass(frozen=True, slots=True)
class Download:
    """A survey that does not come along: where it is, and under which terms.

    sha256, size: checksum and bytes of the file, where plural_nb can fetch it; else empty and 0, and `instructions`
    say how to get it by hand. file: its name once it is here.
    """

    name: str
    title: str
    address: str
    licence: str
    citation: str
    file: str = ""
    sha256: str = ""
    size: int = 0
    instructions: str = ""

    @property
    def path(self) -> Path:
        """Where the file is kept on this machine, whether it is there or not."""
        return _store() / self.name / self.file

    @property
    def here(self) -> bool:
        """Whether the file is on this machine."""
        return bool(self.file) and self.path.is_file()


def surveys() -> list[SurveyEntry]:
    """Return the surveys that `load_survey` can open now; see `downloads` for those that are elsewhere.

    >>> "anes96" in [entry.name for entry in surveys()]
    True
    """
    entries = []
    for path in _codebooks():
        book = Codebook.read(path)
        parquet = path.with_suffix(".parquet")
        fetched = _downloads().get(path.stem)
        if parquet.is_file():
            rows, found_in = pl.scan_parquet(parquet).select(pl.len()).collect().item(), "plural_nb"
        elif fetched is not None:
            rows = pl.scan_csv(fetched.path, infer_schema=False).select(pl.len()).collect().item()
            found_in = str(fetched.path)
        else:
            rows, found_in = _anes96_raw().height, "statsmodels"
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
                found_in=found_in,
            )
        )
    return entries


def downloads() -> list[Download]:
    """Return the surveys that do not come along: those that `download_survey` fetches, and where others are found.

    >>> [entry.name for entry in downloads() if entry.sha256]
    ['nonvoters']
    """
    return list(_downloads().values())


def download_survey(name: str, *, on_progress: Callable[[int, int | None], None] | None = None) -> Survey:
    """Fetch a survey once, check it against its checksum and return it; afterwards `load_survey` opens it offline.

    Raises SurveyError for an unknown name, a survey that must be fetched by hand (how is said), no network, or a file
    that is not the expected one.
    """
    entry = _downloads().get(name)
    if entry is None:
        if name in [path.stem for path in _codebooks()]:
            return load_survey(name)
        raise SurveyError(f"There is no survey {name!r} to download. {nearest(name, _downloads())}")
    if not entry.sha256:
        raise SurveyError(
            f"{entry.title} is not fetched by plural_nb ({entry.licence}). Go to {entry.address}. {entry.instructions}"
        )
    fetch(entry.address, entry.path, sha256=entry.sha256, size=entry.size or None, on_progress=on_progress)
    return load_survey(name)


def load_survey(name: str | Path) -> Survey:
    """Return a survey of the library by name, or read one from a file with its codebook beside it.

    name: "anes96", "teaching", the name of a survey that was downloaded, or a path to a file (see
        `plural_nb.survey.reading`).

    Nothing is fetched here: a survey that is not on this machine raises SurveyError, which says how to get it, and so
    does an unknown name.

    >>> load_survey("anes96").n
    944
    """
    known = [path.stem for path in _codebooks()]
    if str(name) in known:
        return _shipped(str(name))
    if isinstance(name, Path) or Path(name).suffix or Path(name).exists():
        return read_survey(name)
    elsewhere = _downloads().get(str(name))
    if elsewhere is not None:
        raise SurveyError(_how_to_get(elsewhere, known))
    raise SurveyError(
        f"There is no survey {str(name)!r} in the library. {nearest(str(name).lower(), [*known, *_downloads()])} "
        "For a file of your own, give its path."
    )


@lru_cache(maxsize=8)
def _shipped(name: str) -> Survey:
    parquet = data("surveys", f"{name}.parquet")
    if parquet.is_file():
        return read_survey(parquet)
    if name in _downloads():
        entry = _downloads()[name]
        require_checksum(entry.path, entry.sha256)
        return read_survey(entry.path, codebook=data("surveys", f"{name}.toml"))
    return _anes96()


def _how_to_get(entry: Download, known: list[str]) -> str:
    like = [name for name in known if name.startswith(entry.name)]
    other = f" {like[0]!r} is here: load_survey({like[0]!r})." if like else ""
    if entry.sha256:
        return (
            f"{entry.title} ({entry.licence}) is not on this machine. plural_nb.survey.library.download_survey("
            f"{entry.name!r}) fetches {entry.size / 1e6:.1f} MB once; offline, put the file from {entry.address} at "
            f"{entry.path}."
        )
    return (
        f"{entry.title} is not on this machine ({entry.licence}). Go to {entry.address}. {entry.instructions}" + other
    )


def _store() -> Path:
    return platformdirs.user_data_path("plural_nb", appauthor=False) / "surveys"


@cache
def _downloads() -> dict[str, Download]:
    content = tomllib.loads(data("surveys", "library.toml").read_text(encoding="utf-8"))
    return {
        name: Download(name, size=entry.pop("bytes", 0), **entry)
        for name, entry in ((name, dict(entry)) for name, entry in content.items())
    }


def _codebooks() -> list[Path]:
    """Codebooks whose people are at hand: in a Parquet file beside it, in a package, or downloaded."""
    found = sorted(data("surveys").glob("*.toml"))
    fetched = {name for name, entry in _downloads().items() if entry.here}
    return [p for p in found if p.with_suffix(".parquet").is_file() or p.stem == "anes96" or p.stem in fetched]


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
