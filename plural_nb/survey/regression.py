"""Weighted linear, logistic and ordered regression with design-based errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy import special

from plural_nb.errors import SurveyError, nearest
from plural_nb.survey.design import Floats
from plural_nb.survey.likelihood import fit_linear, fit_logistic, fit_ordered
from plural_nb.survey.linearisation import Linearised
from plural_nb.survey.measure import Measure
from plural_nb.survey.variance import variance

if TYPE_CHECKING:
    from plural_nb.answers import Answers

Family = Literal["linear", "logistic", "ordered"]


@dataclass(frozen=True, slots=True, eq=False)
class Regression:
    """Coefficients with the covariance that the sampling design gives them.

    names: of the P coefficients: "(intercept)", a column, or "column: level" against the column's first level; the
    cuts of an ordered regression are "lower | higher". coefficient: (P,). covariance: (P, P).
    n: people in the fit; left_out: people of the population who lack the outcome or a predictor.
    df: of the design. df_residual: df + 1 less the coefficients (cuts not counted), that t and F are judged by.
    """

    family: Family
    names: tuple[str, ...]
    coefficient: Floats
    covariance: Floats = field(repr=False)
    n: int
    left_out: int
    df: float
    df_residual: float
    level: float
    columns: tuple[str, ...] = field(repr=False)
    note: str = ""

    @property
    def se(self) -> Floats:
        """(P,) standard errors."""
        return np.asarray(np.sqrt(np.maximum(np.diag(self.covariance), 0.0)))

    @property
    def t(self) -> Floats:
        """(P,) coefficients over their standard errors."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(self.coefficient / self.se)

    @property
    def p(self) -> Floats:
        """(P,) two-sided probabilities of such a t or a larger one; NaN without residual degrees of freedom."""
        if self.df_residual <= 0:
            return np.full(self.coefficient.size, np.nan)
        return np.asarray(2 * special.stdtr(self.df_residual, -np.abs(self.t)))

    @property
    def bounds(self) -> tuple[Floats, Floats]:
        """(P,) lower and upper bounds: coefficient -/+ t se on the residual degrees of freedom."""
        if self.df_residual <= 0:
            return np.full(self.coefficient.size, -np.inf), np.full(self.coefficient.size, np.inf)
        reach = float(special.stdtrit(self.df_residual, (1 + self.level) / 2)) * self.se
        return self.coefficient - reach, self.coefficient + reach

    def table(self) -> pl.DataFrame:
        """Return one row per coefficient; of a logistic or ordered regression with odds ratios."""
        low, high = self.bounds
        frame = pl.DataFrame(
            {
                "name": list(self.names), "coefficient": self.coefficient, "se": self.se, "t": self.t, "p": self.p,
                "low": low, "high": high,
            }
        )  # fmt: skip
        return frame if self.family == "linear" else frame.with_columns(odds_ratio=pl.col("coefficient").exp())

    def test(self, column: str) -> tuple[float, int, float, float]:
        """Return Wald's F of all coefficients of a column, its degrees of freedom (two), and its p.

        Raises SurveyError for a column that is not in the regression.
        """
        places = [i for i, name in enumerate(self.columns) if name == column]
        if not places:
            raise SurveyError(f"The regression has no predictor {column!r}. {nearest(column, set(self.columns))}")
        b, V = self.coefficient[places], self.covariance[np.ix_(places, places)]
        f = float(b @ np.linalg.solve(V, b)) / len(places)
        p = float(special.fdtrc(len(places), self.df_residual, f)) if self.df_residual > 0 else np.nan
        return f, len(places), self.df_residual, p


def regress(
    outcome: Answers | Measure,
    people: pl.DataFrame,
    predictors: Sequence[str],
    *,
    family: Family | None = None,
    option: str = "",
    level: float = 0.95,
) -> Regression:
    """Regress an outcome on columns of people, weighted, with errors from the sampling design.

    outcome: a measure (numbers; from 0 to 1 for "logistic"), or answers: their scale values for "linear", the choice
        of `option` against the other options for "logistic", the ordered options for "ordered". Fractional answers
        count with their probabilities.
    people: one row per respondent of the design. predictors: numbers enter as they are; texts and categories as one
        coefficient per level but the first, in order (an Enum's own).
    family: "linear", "logistic" or "ordered" (proportional odds); from the outcome when None.

    Influences are inverse information times score; a person without the outcome or a predictor is out of the domain,
    and stays in the design. Replicate designs fit each replicate. Binder (1983).

    Raises SurveyError for columns that are not there or say nothing, and outcomes that a predictor decides fully.

    >>> people = pl.DataFrame({"x": [0.0, 1.0, 2.0, 3.0]})
    >>> regress(Measure.of([1.0, 3.0, 5.0, 7.0]), people, ["x"]).coefficient.round(6).tolist()
    [1.0, 2.0]
    """
    if not 0 < level < 1:
        raise SurveyError(f"The level must lie between 0 and 1 (0.95 for 95%), not {level!r}.")
    if family is None:
        family = "logistic" if option else "linear"
    if family not in get_args(Family):
        raise SurveyError(f"Unknown family {family!r}. {nearest(str(family), get_args(Family))}")
    y, part, cuts = _outcome(outcome, family, option)
    design = outcome.design
    if people.height != design.n:
        raise SurveyError(f"There are {people.height} people for {design.n} rows of the outcome.")
    names, columns, X, complete = _predictors(people, predictors)
    here = outcome.domain & (part > 0) & complete
    asked = outcome.domain & (design.weight != 0)
    if design.replicates is None:
        here &= design.weight != 0
    row = np.flatnonzero(here)
    if row.size <= X.shape[1]:
        raise SurveyError(f"{row.size} people have the outcome and every predictor; that is too few to regress on.")
    X, y, part = X[row], y[row], part[row]
    for j in range(1, X.shape[1]):
        if not np.ptp(X[:, j]) > 0:
            raise SurveyError(f"{names[j]!r} is the same for everybody in the regression, so it says nothing.")
    if np.linalg.matrix_rank(X) < X.shape[1]:
        raise SurveyError("Some predictors follow from the others; leave one of them out.")
    if family == "ordered":
        # The cuts take the intercept's place.
        X, names, columns = X[:, 1:], (*names[1:], *cuts), (*columns[1:], *("" for _ in cuts))
    fit = {"linear": fit_linear, "logistic": fit_logistic, "ordered": fit_ordered}[family]

    def statistic(weight: Floats) -> Floats:
        return fit(X, y, weight[row] * part).coefficient[None, :]

    found = fit(X, y, design.weight[row] * part)
    influence = Linearised(found.influence, np.zeros_like(row), row)
    spread = variance(design, influence, found.coefficient[None, :], statistic)
    df = float(spread.df[0])
    counted = X.shape[1] + (1 if family == "ordered" else 0)
    note = "; ".join(filter(None, [design.note, spread.note]))
    n = int((design.weight[row] != 0).sum())
    return Regression(
        family, names, found.coefficient, spread.covariance[0], n, int(asked.sum()) - n, df, df + 1 - counted, level,
        columns, note,
    )  # fmt: skip


def _outcome(outcome: Answers | Measure, family: Family, option: str) -> tuple[Floats, Floats, tuple[str, ...]]:
    """The outcome per row, how much of the row speaks, and the names of the cuts."""
    if isinstance(outcome, Measure):
        if family == "ordered" or option:
            raise SurveyError("An ordered regression, or one on an option, is of the answers to a question.")
        part = outcome.part.sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            y = (outcome.values * outcome.part).sum(axis=1) / part
        if family == "logistic" and ((y < 0) | (y > 1)).any():
            raise SurveyError(
                f"{outcome.name}: a logistic regression is of numbers from 0 to 1. Give the answers' option."
            )
        return y, part, ()
    question = outcome.question
    if family == "linear":
        return _outcome(Measure.of(outcome), family, "")
    substantive = list(question.substantive)
    rows = outcome.rows[:, substantive]
    part = rows.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        rows = rows / part[:, None]
    if family == "logistic":
        place = question.place(option)
        if place not in substantive:
            raise SurveyError(f"{option!r} carries no opinion; a logistic regression is of one that does.")
        return rows[:, substantive.index(place)], part, ()
    order = np.argsort(question.values, kind="stable")
    labels = [question.options[substantive[k]].label for k in order]
    seen = np.nansum(rows[outcome.domain], axis=0)[order] > 0
    labels = [label for label, used in zip(labels, seen, strict=True) if used]
    if len(labels) < 2:
        raise SurveyError(f"Fewer than two options of {question.label!r} were chosen; there is nothing to regress.")
    return rows[:, order[seen]], part, tuple(f"{a} | {b}" for a, b in pairwise(labels))


def _predictors(
    people: pl.DataFrame, predictors: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...], Floats, npt.NDArray[np.bool_]]:
    names, columns, parts = ["(intercept)"], [""], [np.ones(people.height)]
    complete = np.ones(people.height, dtype=np.bool_)
    if not predictors or len(set(predictors)) < len(predictors):
        raise SurveyError("A regression needs one predictor or more, each named once.")
    for name in predictors:
        if name not in people.columns:
            raise SurveyError(f"There is no column {name!r} to regress on. {nearest(name, people.columns)}")
        column = people[name]
        complete &= column.is_not_null().to_numpy()
        if column.dtype.is_numeric():
            x = column.cast(pl.Float64).fill_null(np.nan).to_numpy()
            complete &= np.isfinite(x)
            names, columns, parts = [*names, name], [*columns, name], [*parts, np.nan_to_num(x, posinf=0.0, neginf=0.0)]
            continue
        levels = column.drop_nulls().unique().sort().to_list()
        if len(levels) > 200:
            raise SurveyError(f"Column {name!r} has {len(levels)} levels; group them into a few first.")
        for value in levels[1:]:
            names, columns = [*names, f"{name}: {value}"], [*columns, name]
            parts.append((column == value).fill_null(False).to_numpy().astype(np.float64))
    return tuple(names), tuple(columns), np.column_stack(parts), np.asarray(complete)
