"""Trends: shares or means of one question over the years or waves of a survey, for everyone or group by group."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import polars as pl
from scipy import special

from plural_nb.errors import SurveyError, nearest
from plural_nb.survey.contrasts import Contrast
from plural_nb.survey.design import Floats, Ints
from plural_nb.survey.linearisation import Linearised
from plural_nb.survey.means import Means, mean
from plural_nb.survey.measure import Measure
from plural_nb.survey.shares import Groups, Shares
from plural_nb.survey.tabulation import tabulate
from plural_nb.survey.times import Times, times_of
from plural_nb.survey.variance import variance

if TYPE_CHECKING:
    from plural_nb.survey.survey import Population, Survey

Statistic = Literal["share", "mean"]
MEAN = "(mean)"


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


def change(
    survey: Survey,
    question: str,
    option: str = MEAN,
    *,
    over: str | None = None,
    population: Population | None = None,
    weighted: bool = True,
    level: float = 0.95,
) -> Contrast | None:
    """Return how much the share of an answer, or the mean, changed from the first time to the last.

    option: a substantive option's label, or "(mean)". What the two times share through PSUs, strata or people asked
    twice is taken off. None where nobody answered at one of the two.

    >>> from plural_nb.survey.library import load_survey
    >>> moved = change(load_survey("teaching"), "turnout", "I voted")
    >>> round(moved.estimate, 3), moved.high < 0
    (-0.063, True)
    """
    times = times_of(survey, over)
    if times is None:
        raise SurveyError(
            f"{survey.title!r} has no two years or waves to compare. Name a trait or column: over='year'."
        )
    design = survey.design if weighted else survey.design.unweighted()
    inside = population.mask(survey) if population is not None and population.picks else np.ones(survey.n, bool)
    if option == MEAN:
        x = survey.values(question)
    else:
        asked, places = survey.question(question), survey.answer_codes[question]
        x = np.where(np.isin(places, asked.substantive), places == asked.place(option), np.nan)
    last = len(times.names) - 1
    row = np.flatnonzero(inside & np.isfinite(x) & ((times.codes == 0) | (times.codes == last)))
    if design.replicates is None:
        row = row[design.weight[row] != 0]
    end, x = (times.codes[row] == last).astype(np.int64), np.asarray(x[row], dtype=np.float64)
    if np.bincount(end, minlength=2).min() == 0:
        return None

    def moved(weight: Floats) -> Floats:
        w = weight[row]
        both = np.bincount(end, weights=w * x, minlength=2) / np.bincount(end, weights=w, minlength=2)
        return np.asarray(both[None, 1:] - both[None, :1])

    w = design.weight[row]
    W = np.bincount(end, weights=w, minlength=2)
    centre = np.bincount(end, weights=w * x, minlength=2) / W
    # The difference of two ratios has the difference of their influences, so that shared PSUs take care of themselves.
    z = np.where(end == 1, 1.0, -1.0) * w * (x - centre[end]) / W[end]
    theta = moved(design.weight)
    found = variance(design, Linearised(z[:, None], np.zeros_like(row), row), theta, moved)
    value, se, df = float(theta[0, 0]), float(np.sqrt(max(found.covariance[0, 0, 0], 0.0))), float(found.df[0])
    reach = float(special.stdtrit(df, (1 + level) / 2)) * se if df > 0 else np.inf
    return Contrast(value, se, df, value - reach, value + reach, level)


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
