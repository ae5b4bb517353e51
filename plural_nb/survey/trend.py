"""Trends: shares or means of one question over the years or waves of a survey, for everyone or group by group."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import polars as pl

from plural_nb.errors import SurveyError, nearest
from plural_nb.survey.design import Floats, Ints
from plural_nb.survey.encoding import numbers
from plural_nb.survey.means import Means, mean
from plural_nb.survey.measure import Measure
from plural_nb.survey.shares import Groups, Shares
from plural_nb.survey.tabulation import tabulate

if TYPE_CHECKING:
    from plural_nb.survey.survey import Population, Survey

Statistic = Literal["share", "mean"]
MEAN = "(mean)"
_TIME = re.compile(
    r"^(survey|interview|field)?[ _-]*(year|wave|round|jahr|welle|année|annee|ano|año)s?$", re.IGNORECASE
)
_YEAR = re.compile(r"\b(?:1[89]|20)\d\d\b")
_BIRTH = re.compile(r"birth|born|naiss|geb(urt|oren)", re.IGNORECASE)
# More columns of different years than any survey has; a column with more values counts something else.
_MOST_TIMES = 120


@dataclass(frozen=True, slots=True, eq=False)
class Times:
    """The years or waves of a survey, in order.

    key: the trait or column they come from. label: its words. names: each time in words. values: (T,) its place on an
    axis: the year where every name holds one, else 0, 1, 2 … codes: (n,) the time of each row, -1 where it is missing.
    """

    key: str
    label: str
    names: tuple[str, ...]
    values: Floats
    codes: Ints = field(repr=False)

    @property
    def dated(self) -> bool:
        """Whether the places on the axis are years."""
        return bool(self.values.size) and float(self.values[0]) >= 1800


@dataclass(frozen=True, slots=True, eq=False)
class Trend:
    """Estimates of one question for each of T times and G groups.

    cells: shares or means of the T·G cells, time by time. groups: those estimated, the largest where `most` was set;
    levels: how many there are. by: the label of the trait they are levels of; empty for everyone.
    """

    survey: str
    statistic: Statistic
    label: str
    times: Times
    groups: tuple[str, ...]
    levels: int
    by: str
    cells: Shares | Means = field(repr=False)
    about: str

    @property
    def options(self) -> tuple[str, ...]:
        """Labels of what is estimated: the substantive options, or "(mean)"."""
        return self.cells.options if isinstance(self.cells, Shares) else (MEAN,)

    @property
    def estimate(self) -> Floats:
        """(T, G, K) shares or means, NaN where nobody in a cell was asked."""
        return self._cube(self.cells.share if isinstance(self.cells, Shares) else self.cells.estimate)

    @property
    def low(self) -> Floats:
        """(T, G, K) lower bounds of the intervals."""
        return self._cube(self.cells.low)

    @property
    def high(self) -> Floats:
        """(T, G, K) upper bounds of the intervals."""
        return self._cube(self.cells.high)

    @property
    def n(self) -> Ints:
        """(T, G) people with a substantive answer."""
        return np.asarray(self.cells.n.reshape(len(self.times.names), len(self.groups)))

    def table(self) -> pl.DataFrame:
        """Return one row per time, group and option, with n, share (or mean), se and interval; null for nobody."""
        T, G, K = self.estimate.shape
        name = "share" if isinstance(self.cells, Shares) else "mean"
        cells = self.cells.table()
        return pl.DataFrame(
            {
                "question": [self.label] * (T * G * K),
                "time": [t for t in self.times.names for _ in range(G * K)],
                "group": [g for g in self.groups for _ in range(K)] * T,
                "option": list(self.options) * (T * G),
                "n": cells["n"],
                name: cells[name],
                "se": cells["se"],
                "low": cells["low"],
                "high": cells["high"],
                "df": cells["df"],
                "deff_wr": cells["deff_wr"],
            }
        )

    def _cube(self, values: Floats) -> Floats:
        T, G = len(self.times.names), len(self.groups)
        return np.asarray(values.reshape(T, G, -1))


def times_of(survey: Survey, over: str | None = None) -> Times | None:
    """Return the years or waves of a survey; None where it has fewer than two.

    over: a trait's or a column's name. When None the year that the survey's recipe names is taken, then a trait whose
    levels are all years, then a trait or column called year, wave or round.

    Raises SurveyError for a name that is neither a trait nor a column, or a column of something else than numbers.

    >>> from plural_nb.survey.library import load_survey
    >>> times_of(load_survey("teaching")).names
    ('2019', '2021', '2023')
    """
    if over is not None:
        return _named(survey, over)
    for name in _likely(survey):
        try:
            found = _named(survey, name)
        except SurveyError:
            continue
        if found is not None:
            return found
    return None


def trend(
    survey: Survey,
    question: str,
    *,
    over: str | None = None,
    by: str | None = None,
    statistic: Statistic = "share",
    population: Population | None = None,
    weighted: bool = True,
    level: float = 0.95,
    most: int | None = None,
) -> Trend:
    """Return a question's shares, or the mean of its numbers, at each time and in each level of a trait.

    over: see `times_of`. by: a trait's key; everyone when None. statistic: "mean" for a numeric or ordinal question.
    most: how many levels to estimate, the largest by number of people; all when None.

    All cells are domains of one design: nothing is filtered before the variance. Raises SurveyError for a survey
    without years, for "mean" of a nominal question, and as `tabulate` does.

    >>> from plural_nb.survey.library import load_survey
    >>> found = trend(load_survey("teaching"), "turnout")
    >>> found.estimate[:, 0, 0].round(2).tolist()
    [0.76, 0.72, 0.7]
    """
    if statistic not in get_args(Statistic):
        raise SurveyError(f"Unknown statistic {statistic!r}. {nearest(str(statistic), get_args(Statistic))}")
    times = times_of(survey, over)
    if times is None:
        wanted = f"{over!r} of {survey.title!r}" if over else f"{survey.title!r}"
        raise SurveyError(f"{wanted} has no two years or waves to compare. Name a trait or column: over='year'.")
    inside = population.mask(survey) if population is not None and population.picks else np.ones(survey.n, bool)
    names, codes, levels = _levels(survey, by, inside, most)
    crossed = np.where((times.codes >= 0) & (codes >= 0), times.codes * len(names) + codes, -1)
    groups = Groups(tuple(f"{t}, {g}" for t in times.names for g in names), crossed)
    cells: Shares | Means
    if statistic == "share":
        cells = tabulate(survey, [question], by=groups, population=population, weighted=weighted, level=level)[question]
    else:
        design = survey.design if weighted else survey.design.unweighted()
        values = survey.values(question)
        cells = mean(Measure.of(values, design, domain=inside, name=question), by=groups, level=level)
    if not (cells.n > 0).any():
        asked = survey.question(question).asked_of
        raise SurveyError(
            f"Nobody in this population ({survey.describe(population)}) has an answer to {question!r}"
            + (f", which was asked of {asked}." if asked else ".")
        )
    label = survey.trait(by).label if by else ""
    return Trend(survey.title, statistic, question, times, names, levels, label, cells, survey.describe(population))


def _levels(survey: Survey, by: str | None, inside: np.ndarray, most: int | None) -> tuple[tuple[str, ...], Ints, int]:
    """The groups to estimate, each row's place among them, and how many levels there are in all."""
    if by is None:
        return ("Everyone",), np.zeros(survey.n, dtype=np.int64), 1
    groups = survey.groups(by)
    codes = np.asarray(groups.codes, dtype=np.int64)
    if most is None or len(groups.names) <= most:
        return groups.names, codes, len(groups.names)
    counts = np.bincount(codes[inside & (codes >= 0)], minlength=len(groups.names))
    kept = np.sort(np.argsort(-counts, kind="stable")[:most])
    place = np.full(len(groups.names) + 1, -1)  # the last entry is for a missing level
    place[kept] = np.arange(kept.size)
    return tuple(groups.names[i] for i in kept), place[codes], len(groups.names)


def _likely(survey: Survey) -> list[str]:
    """Names of traits and columns that may hold years or waves, the likeliest first."""
    found = []
    if survey.recipe is not None and (year := survey.recipe.recipe.columns.get("year")):
        found += [name for name in survey.columns.names if name.lower() == year.lower()]
    found += [key for key, trait in survey.traits.items() if all(_year(label) for label in trait.labels)]
    found += [key for key, trait in survey.traits.items() if _TIME.match(key) or _TIME.match(trait.label)]
    found += [name for name in survey.columns.names if _TIME.match(name)]
    labels = {key: trait.label for key, trait in survey.traits.items()}
    return [name for name in dict.fromkeys(found) if not _BIRTH.search(f"{name} {labels.get(name, '')}")]


def _named(survey: Survey, name: str) -> Times | None:
    if name in survey.traits:
        trait = survey.traits[name]
        return _ordered(name, trait.label, trait.labels, np.asarray(survey.trait_codes[name], dtype=np.int64))
    if name not in survey.columns.names:
        known = [*survey.traits, *survey.columns.names]
        raise SurveyError(f"{survey.title!r} has no trait or column {name!r} to follow. {nearest(name, known)}")
    found = numbers(survey.columns[name], where=f"{survey.title}, column {name!r}")
    here = np.isfinite(found)
    distinct = np.unique(found[here])
    if distinct.size > _MOST_TIMES:
        raise SurveyError(
            f"Column {name!r} holds {distinct.size} different numbers, more than years or waves there can be."
        )
    codes = np.where(here, np.searchsorted(distinct, np.nan_to_num(found)), -1).astype(np.int64)
    return _ordered(name, name, tuple(f"{value:g}" for value in distinct), codes)


def _ordered(key: str, label: str, names: tuple[str, ...], codes: Ints) -> Times | None:
    """Times that occur, in the order of their years, or as given where they hold none."""
    used = np.flatnonzero(np.bincount(codes[codes >= 0], minlength=len(names)))
    if used.size < 2:
        return None
    years = [_year(names[i]) for i in used]
    dated = all(years) and len(set(years)) == len(years)
    order = used[np.argsort(years)] if dated else used
    place = np.full(len(names) + 1, -1, dtype=np.int64)
    place[order] = np.arange(order.size)
    values = np.sort(np.array(years, dtype=np.float64)) if dated else np.arange(order.size, dtype=np.float64)
    return replace(Times(key, label, (), values, place[codes]), names=tuple(names[i] for i in order))


def _year(name: str) -> int:
    """The year in a name ("Wave 3, 2023"); 0 where there is none or more than one."""
    found = _YEAR.findall(name)
    return int(found[0]) if len(found) == 1 else 0
