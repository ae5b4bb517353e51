"""Krippendorff's α: how far annotators or raters agree beyond chance, weighted, with any number of missing labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from plural_nb.errors import PluralError, nearest
from plural_nb.survey.design import Floats

Metric = Literal["nominal", "ordinal", "interval", "ratio"]


@dataclass(frozen=True, slots=True)
class Agreement:
    """Krippendorff's α with its interval.

    alpha: 1 for perfect agreement, 0 for what chance would show, below 0 for systematic disagreement. low, high: bounds
    of the percentile interval from resampled items; NaN for one item. metric: what counts as a large disagreement.
    items: with two labels or more. labels: in those items.
    """

    alpha: float
    low: float
    high: float
    metric: Metric
    items: int
    labels: int
    level: float

    def sentence(self) -> str:
        """Return the agreement in words."""
        between = "" if np.isnan(self.low) else f" ({self.level:.0%} interval {self.low:.2f} to {self.high:.2f})"
        return (
            f"Krippendorff's α ({self.metric}) is {self.alpha:.2f}{between}, over {self.items:,} items with two labels "
            f"or more and {self.labels:,} labels; 1 is perfect agreement, 0 is chance."
        )


def krippendorff(
    labels: npt.ArrayLike,
    *,
    metric: Metric = "nominal",
    weight: npt.ArrayLike | None = None,
    replicates: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Agreement:
    """Return Krippendorff's α of a table of annotators by items.

    labels: (annotators, items) numbers, NaN where an annotator did not label an item. metric: "nominal", "ordinal"
    (places in the order of the values), "interval" or "ratio". weight: (annotators,) 0 or more; a pair of labels counts
    with the product of its annotators' weights, so that α is the one of the population they stand for. With equal
    weights it is Krippendorff's own, whatever their size. replicates, seed, level: of the interval, for which items are
    drawn anew with replacement (annotators are taken as given).

    Raises PluralError for an unknown metric, weights that cannot be, no item with two labels, or labels that are all
    the same, of which nothing can be said. Krippendorff 2011, "Computing Krippendorff's alpha-reliability".

    >>> round(krippendorff([[1, 2, 3, 3], [1, 2, 3, 1]]).alpha, 4)
    0.6667
    """
    if metric not in get_args(Metric):
        raise PluralError(f"Unknown metric of agreement {metric!r}. {nearest(str(metric), get_args(Metric))}")
    table = np.atleast_2d(np.asarray(labels, dtype=np.float64))
    w = np.ones(table.shape[0]) if weight is None else np.asarray(weight, dtype=np.float64)
    if w.shape != (table.shape[0],) or not np.isfinite(w).all() or (w < 0).any():
        raise PluralError(f"The weights must be {table.shape[0]} finite numbers, 0 or more, one per annotator.")
    table = table[w > 0]
    given = ~np.isnan(table)
    twice = given.sum(axis=0) >= 2
    if not twice.any():
        raise PluralError("No item has two labels from annotators of weight above 0, so nothing can agree.")
    table, given = table[:, twice], given[:, twice]
    values, codes = np.unique(table[given], return_inverse=True)
    if values.size < 2:
        raise PluralError("All labels are the same, so agreement beyond chance is not defined.")
    # (U, V) and (U, V): per item the sums of weights and of squared weights of each value.
    unit, held = np.nonzero(given)[1], np.broadcast_to(w[w > 0][:, None], given.shape)[given]
    sums, squares = np.zeros((2, table.shape[1], values.size))
    np.add.at(sums, (unit, codes), held)
    np.add.at(squares, (unit, codes), held**2)
    total, square = sums.sum(axis=1), squares.sum(axis=1)
    # Weight of an item's pairs: n_u pairs of equal weights count n_u/(n_u − 1) each way.
    pairs = 1 / (total - square / total)
    off = np.einsum("uc,uk->uck", sums, sums) * pairs[:, None, None]
    rng = np.random.default_rng(seed)
    U = total.size
    ones = np.ones((1, U))
    draws = rng.multinomial(U, np.full(U, 1 / U), size=replicates) if U > 1 else np.empty((0, U))
    found = _alphas(np.vstack([ones, draws]), off, sums, square, values, metric)
    spread = found[1:][np.isfinite(found[1:])]
    low, high = np.quantile(spread, [(1 - level) / 2, (1 + level) / 2]) if spread.size else (np.nan, np.nan)
    return Agreement(float(found[0]), float(low), float(high), metric, U, int(given.sum()), level)


def _alphas(times: Floats, off: Floats, sums: Floats, square: Floats, values: Floats, metric: Metric) -> Floats:
    """(R,) α where item u counts times[r, u] times."""
    observed = np.tensordot(times, off, axes=1)
    n = times @ sums
    N = n.sum(axis=1)
    result = np.full(len(times), np.nan)
    for r in range(len(times)):
        delta = _squared_differences(values, n[r], metric)
        expected = float(n[r] @ delta @ n[r]) / (N[r] - float(times[r] @ square) / N[r])
        if expected > 0:
            result[r] = 1 - float((observed[r] * delta).sum()) / expected
    return result


def _squared_differences(values: Floats, n: Floats, metric: Metric) -> Floats:
    if metric == "nominal":
        return np.asarray(1.0 - np.eye(values.size))
    if metric == "ordinal":
        middle = np.cumsum(n) - n / 2
        return np.asarray((middle[:, None] - middle[None, :]) ** 2)
    gap = values[:, None] - values[None, :]
    if metric == "interval":
        return np.asarray(gap**2)
    both = values[:, None] + values[None, :]
    return np.asarray(np.divide(gap, both, out=np.zeros_like(gap), where=both != 0) ** 2)
