"""Quantiles of numbers, with Woodruff's intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import polars as pl
from scipy import special

from plural_nb.errors import SurveyError, nearest
from plural_nb.survey.design import Floats, Ints
from plural_nb.survey.intervals import Interval, bounds
from plural_nb.survey.means import mean
from plural_nb.survey.measure import Measure
from plural_nb.survey.shares import Groups

if TYPE_CHECKING:
    from plural_nb.answers import Answers

Rule = Literal["math", "school"]


@dataclass(frozen=True, slots=True, eq=False)
class Quantiles:
    """Quantiles at P probabilities in each of G groups.

    estimate, se, low, high: (G, P), NaN in a group without numbers; se is the interval's length over 2 t_df.
    Where the interval of the share below reaches 0 or 1, low or high is the least or greatest number at hand; the
    population's may lie beyond. n, df: (G,).
    """

    name: str
    probabilities: tuple[float, ...]
    groups: tuple[str, ...]
    estimate: Floats
    se: Floats
    low: Floats
    high: Floats
    n: Ints
    df: Floats
    level: float

    def table(self) -> pl.DataFrame:
        """Return one row per group and probability; null where a number is not defined."""
        G, P = self.estimate.shape
        frame = pl.DataFrame(
            {
                "name": [self.name] * (G * P),
                "group": [name for name in self.groups for _ in range(P)],
                "probability": list(self.probabilities) * G,
                "n": np.repeat(self.n, P),
                "quantile": self.estimate.ravel(),
                "se": self.se.ravel(),
                "low": self.low.ravel(),
                "high": self.high.ravel(),
                "df": np.repeat(self.df, P),
            }
        )
        numbers = pl.col(pl.Float64)
        return frame.with_columns(pl.when(numbers.is_finite()).then(numbers).otherwise(None))


def quantile(
    numbers: Measure | Answers,
    probabilities: Sequence[float] = (0.25, 0.5, 0.75),
    *,
    by: Groups | Sequence[str | None] | pl.Series | None = None,
    interval: Interval = "wald",
    level: float = 0.95,
    rule: Rule = "math",
) -> Quantiles:
    """Return quantiles: the least number that a share p of the people is at or below, in each group.

    interval: Woodruff's: the quantiles at the bounds of the share at or below the estimate; "wald" (R's "mean"),
        "logit" ("xlogit") or "korn-graubard" ("beta", not capped).
    rule: "math" is the inverse of the distribution (R's qrule = "math", Hyndman and Fan's first); "school" takes the
        middle of two numbers where a share of exactly p is at or below the lower.

    Raises SurveyError for probabilities outside 0 to 1. Woodruff (1952).

    >>> quantile(Measure.of([1.0, 2.0, 3.0, 4.0]), [0.5]).estimate.tolist()
    [[2.0]]
    """
    p = np.asarray(probabilities, dtype=np.float64)
    if p.size == 0 or not ((p > 0) & (p < 1)).all():
        raise SurveyError(f"The probabilities of quantiles lie between 0 and 1, not {list(probabilities)}.")
    if rule not in get_args(Rule):
        raise SurveyError(f"Unknown rule {rule!r}. {nearest(str(rule), get_args(Rule))}")
    measure = numbers if isinstance(numbers, Measure) else Measure.of(numbers)
    names, row, group = measure.members(by)
    shape = (len(names), p.size)
    estimate, low, high, se = (np.full(shape, np.nan) for _ in range(4))
    n, df = np.zeros(len(names), dtype=np.int64), np.zeros(len(names))
    for g in range(len(names)):
        rows = row[group == g]
        w = measure.design.weight[rows]
        if not w.any():
            continue
        steps = _Steps.of(measure.values[rows].ravel(), (w[:, None] * measure.part[rows]).ravel())
        inside = np.zeros(measure.design.n, dtype=np.bool_)
        inside[rows] = True
        for j in range(p.size):
            q = steps.quantile(p[j], rule)
            below = ((measure.values <= q) * measure.part).sum(axis=1)
            whole = measure.part.sum(axis=1)
            indicator = Measure(
                np.stack([np.ones_like(below), np.zeros_like(below)], axis=1),
                np.stack([below, whole - below], axis=1), measure.design, inside,
            )  # fmt: skip
            found = mean(indicator, level=level)
            n[g], df[g] = found.n[0], found.df[0]
            one = (found.estimate[:, None], found.se[:, None], found.df, found.n.astype(np.float64))
            share_low, share_high = (float(b[0, 0]) for b in bounds(*one, interval=interval, level=level, cap=False))
            estimate[g, j] = q
            low[g, j] = steps.numbers[0] if share_low < 0 else steps.quantile(share_low, rule)
            high[g, j] = steps.numbers[-1] if share_high > 1 else steps.quantile(share_high, rule)
        with np.errstate(invalid="ignore"):
            se[g] = (high[g] - low[g]) / (2 * special.stdtrit(df[g], (1 + level) / 2))
    return Quantiles(measure.name, tuple(p.tolist()), names, estimate, se, low, high, n, df, level)


@dataclass(frozen=True, slots=True, eq=False)
class _Steps:
    """A weighted distribution: distinct numbers, rising, and the weight at or below each."""

    numbers: Floats
    reach: Floats

    @classmethod
    def of(cls, values: Floats, weight: Floats) -> _Steps:
        used = weight != 0
        distinct, place = np.unique(values[used], return_inverse=True)
        return cls(distinct, np.cumsum(np.bincount(place, weights=weight[used])))

    def quantile(self, p: float, rule: Rule) -> float:
        wanted = p * self.reach[-1]
        # Sums in another order differ in the last digits; a share of exactly p counts as reached.
        slack = 1e-12 * self.reach[-1]
        at = min(int(np.searchsorted(self.reach, wanted - slack)), self.numbers.size - 1)
        if rule == "school" and abs(self.reach[at] - wanted) <= slack and at + 1 < self.numbers.size:
            return float(self.numbers[at] + self.numbers[at + 1]) / 2
        return float(self.numbers[at])
