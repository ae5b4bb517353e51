"""Means and totals of numbers, with design-based standard errors, for any groups at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
import polars as pl
from scipy import special

from plural_nb.errors import SurveyError
from plural_nb.survey.design import Floats, Ints
from plural_nb.survey.linearisation import Linearised
from plural_nb.survey.measure import Measure
from plural_nb.survey.shares import Groups
from plural_nb.survey.variance import joint_variance, variance

if TYPE_CHECKING:
    from plural_nb.answers import Answers


@dataclass(frozen=True, slots=True, eq=False)
class Means:
    """Means, or totals, in each of G groups.

    estimate, se: (G,), NaN in a group without numbers. low, high: estimate -/+ t_df se.
    covariance: (G, G) across groups, which share PSUs and strata.
    n: (G,) people with a number. df: (G,) PSUs less strata with members. deff_wr: (G,) design effect against simple
        random sampling with replacement (NaN for totals). weight_sum: (G,) weights of those n added up.
    """

    kind: Literal["mean", "total"]
    name: str
    groups: tuple[str, ...]
    estimate: Floats
    se: Floats
    low: Floats
    high: Floats
    covariance: Floats = field(repr=False)
    n: Ints
    df: Floats
    deff_wr: Floats = field(repr=False)
    level: float
    note: str = ""
    weight_sum: Floats | None = field(default=None, repr=False)

    @property
    def deff_wor(self) -> Floats | None:
        """(G,) design effects against a sample without replacement from `weight_sum` people, as R's deff=TRUE."""
        return None if self.weight_sum is None else np.asarray(self.deff_wr / (1 - self.n / self.weight_sum))

    def table(self) -> pl.DataFrame:
        """Return one row per group; null where a number is not defined."""
        frame = pl.DataFrame(
            {
                "name": [self.name] * len(self.groups),
                "group": list(self.groups),
                "n": self.n,
                self.kind: self.estimate,
                "se": self.se,
                "low": self.low,
                "high": self.high,
                "df": self.df,
                "deff_wr": self.deff_wr,
            }
        )
        numbers = pl.col(pl.Float64)
        return frame.with_columns(pl.when(numbers.is_finite()).then(numbers).otherwise(None))


def mean(
    numbers: Measure | Answers,
    *,
    by: Groups | Sequence[str | None] | pl.Series | None = None,
    level: float = 0.95,
) -> Means:
    """Return the weighted mean of numbers in each group, with Wald intervals on Student's t.

    numbers: a measure, or the answers to an ordinal or numeric question, whose options stand for their values.

    >>> found = mean(Measure.of([1.0, 2.0, 3.0, None]))
    >>> found.estimate.tolist(), found.n.tolist()
    ([2.0], [3])
    """
    return _estimated(numbers, by, level, "mean")


def total(
    numbers: Measure | Answers,
    *,
    by: Groups | Sequence[str | None] | pl.Series | None = None,
    level: float = 0.95,
) -> Means:
    """Return the weighted total of numbers in each group: sum of weight times number; see `mean`.

    >>> total(Measure.of([1.0, 2.0, 3.0])).estimate.tolist()
    [6.0]
    """
    return _estimated(numbers, by, level, "total")


def _estimated(
    numbers: Measure | Answers, by: Groups | Sequence[str | None] | pl.Series | None, level: float,
    kind: Literal["mean", "total"],
) -> Means:  # fmt: skip
    if not 0 < level < 1:
        raise SurveyError(f"The level must lie between 0 and 1 (0.95 for 95%), not {level!r}.")
    measure = numbers if isinstance(numbers, Measure) else Measure.of(numbers)
    design = measure.design
    names, row, group = measure.members(by)
    G = len(names)
    x, s = (measure.values[row] * measure.part[row]).sum(axis=1), measure.part[row].sum(axis=1)
    squares = (np.square(measure.values[row]) * measure.part[row]).sum(axis=1)

    def statistic(weight: Floats) -> Floats:
        w = weight[row]
        sums = np.bincount(group, weights=w * x, minlength=G)
        if kind == "total":
            return np.asarray(sums[:, None])
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray((sums / np.bincount(group, weights=w * s, minlength=G))[:, None])

    w = design.weight[row]
    n = np.bincount(group[w != 0], minlength=G)
    W = np.asarray(np.bincount(group, weights=w * s, minlength=G), dtype=np.float64)
    theta = statistic(design.weight)
    with np.errstate(invalid="ignore", divide="ignore"):
        z = w * x if kind == "total" else w * (x - theta[group, 0] * s) / W[group]
        centre = np.bincount(group, weights=w * x, minlength=G) / W
        spread = np.bincount(group, weights=w * squares, minlength=G) / W - np.square(centre)
        srs = spread / (n - 1)
    influence = Linearised(z[:, None], group, row)
    found = variance(design, influence, theta, statistic)
    squared = np.where(n > 0, np.maximum(found.covariance[:, 0, 0], 0.0), np.nan)
    V = joint_variance(design, influence, theta, statistic) if G > 1 else squared[:, None]
    estimate, se = np.where(n > 0, theta[:, 0], np.nan), np.sqrt(squared)
    with np.errstate(invalid="ignore", divide="ignore"):
        reach = np.where(found.df > 0, special.stdtrit(found.df, (1 + level) / 2) * se, np.inf)
        deff = squared / srs if kind == "mean" else np.full(G, np.nan)
    note = "; ".join(part for part in (design.note, found.note) if part)
    return Means(
        kind,
        measure.name,
        names,
        estimate,
        se,
        estimate - reach,
        estimate + reach,
        V,
        n,
        found.df,
        deff,
        level,
        note,
        W,
    )
