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
from plural_nb.survey.plotting_positions import Positions
from plural_nb.survey.plotting_positions import Rule as Rule
from plural_nb.survey.shares import Groups

if TYPE_CHECKING:
    from plural_nb.answers import Answers

Around = Literal["estimate", "probability"]


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
    around: Around = "estimate",
) -> Quantiles:
    """Return quantiles: the least number that a share p of the people is at or below, in each group.

    interval: Woodruff's: the quantiles at the bounds of the share at or below the estimate; "wald" (R's "mean"),
        "logit" ("xlogit"), "korn-graubard" ("beta", not capped), "arcsine" ("asin") or "wilson".
    rule: "math" is the inverse of the distribution (R's qrule = "math", Hyndman and Fan's first); "school" takes the
        middle of two numbers where a share of exactly p is at or below the lower (their second); "hf4" to "hf9" are
        their other rules, which draw a line between people ("hf7" is R's and numpy's default without weights);
        "rounded" draws it between distinct numbers; "shahvaish" is Shah and Vaish's (2006), "shahvaish-r4.1" the
        same with the unscaled weights of R's survey 4.1, which changes with the unit of the weights.
    around: the interval of the share is around the "estimate", the share at or below the quantile, or around the
        "probability" p itself, as in R's older oldsvyquantile.

    Raises SurveyError for probabilities outside 0 to 1, an unknown rule or an unknown way around. Woodruff (1952);
    Hyndman and Fan (1996).

    >>> quantile(Measure.of([1.0, 2.0, 3.0, 4.0]), [0.5]).estimate.tolist()
    [[2.0]]
    """
    p = np.asarray(probabilities, dtype=np.float64)
    if p.size == 0 or not ((p > 0) & (p < 1)).all():
        raise SurveyError(f"The probabilities of quantiles lie between 0 and 1, not {list(probabilities)}.")
    if rule not in get_args(Rule):
        raise SurveyError(f"Unknown rule {rule!r}. {nearest(str(rule), get_args(Rule))}")
    if around not in get_args(Around):
        raise SurveyError(f"Unknown way around {around!r}. {nearest(str(around), get_args(Around))}")
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
        at = Positions.of(measure.values[rows].ravel(), (w[:, None] * measure.part[rows]).ravel(), rule)
        least, most = at.numbers.min(), at.numbers.max()
        inside = np.zeros(measure.design.n, dtype=np.bool_)
        inside[rows] = True
        for j in range(p.size):
            q = at.quantile(p[j])
            below = ((measure.values <= q) * measure.part).sum(axis=1)
            whole = measure.part.sum(axis=1)
            indicator = Measure(
                np.stack([np.ones_like(below), np.zeros_like(below)], axis=1),
                np.stack([below, whole - below], axis=1), measure.design, inside,
            )  # fmt: skip
            found = mean(indicator, level=level)
            n[g], df[g] = found.n[0], found.df[0]
            share = found.estimate if around == "estimate" else p[j : j + 1]
            one = (share[:, None], found.se[:, None], found.df, found.n.astype(np.float64))
            share_low, share_high = (float(b[0, 0]) for b in bounds(*one, interval=interval, level=level, cap=False))
            estimate[g, j] = q
            low[g, j] = least if share_low < 0 else at.quantile(share_low)
            high[g, j] = most if share_high > 1 else at.quantile(share_high)
        with np.errstate(invalid="ignore"):
            se[g] = (high[g] - low[g]) / (2 * special.stdtrit(df[g], (1 + level) / 2))
    return Quantiles(measure.name, tuple(p.tolist()), names, estimate, se, low, high, n, df, level)
