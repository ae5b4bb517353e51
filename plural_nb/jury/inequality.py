"""How unequally a candidate treats the jury: Gini and Atkinson."""

from __future__ import annotations

import numpy as np
import polars as pl

from plural_nb.errors import PluralError
from plural_nb.jury.distribution import Floats, with_zeros
from plural_nb.jury.resampling import percentiles, replicate_weights, replicated_logs
from plural_nb.jury.utilities import Utilities, nonnegative
from plural_nb.jury.welfare import read_alphas, welfare


def gini(utilities: Utilities) -> Floats:
    """Return (C,) sum_ij ω_i ω_j |u_i - u_j| / (2 w_0): 0 where all have the same, towards 1 where one has all.

    NaN where nobody rated, or all have 0. Raises PluralError for negative utilities.

    >>> gini(Utilities.of({"Park": [1, 3], "Road": [2, 2]}))
    array([0.25, 0.  ])
    """
    nonnegative(utilities)
    return np.asarray(_gini(utilities.values, utilities.weight[None, :])[0])


def atkinson(utilities: Utilities, alpha: float) -> Floats:
    """Return (C,) 1 - w_α / w_0: the share of the mean that the jury would give up to have it equally shared.

    Atkinson (1970). NaN where nobody rated, or all have 0.

    >>> atkinson(Utilities.of({"Park": [1, 4], "Road": [2, 2]}), 1).round(12)
    array([0.2, 0. ])
    """
    mean, at = welfare(utilities, [0.0, alpha])
    with np.errstate(invalid="ignore"):
        return np.asarray(1 - at / np.where(mean > 0, mean, np.nan))


def inequality(
    utilities: Utilities, alpha: float = 1.0, *, replicates: int = 500, level: float = 0.95, seed: int = 0
) -> pl.DataFrame:
    """Return one row per measure and candidate: measure, candidate, value, low, high.

    alpha: of Atkinson's index. Bounds are percentiles of Rao–Wu replicates; null for a whole jury, and for α = ∞.

    >>> inequality(Utilities.of({"Park": [1.0, 3.0]})).select("measure", pl.col("value").round(6)).rows()
    [('Gini', 0.25), ('Atkinson (α = 1)', 0.133975)]
    """
    alphas = np.atleast_1d(read_alphas(alpha))
    if alphas.size > 1:
        raise PluralError("Atkinson's index is asked for at one α.")
    found = {"Gini": gini(utilities), f"Atkinson (α = {alphas[0]:g})": atkinson(utilities, float(alphas[0]))}
    none = np.full(len(utilities.candidates), np.nan)
    bounds = [(none, none)] * 2
    drawn = replicate_weights(utilities, replicates, seed=seed)
    if drawn.weight is not None:
        bounds[0] = percentiles(_gini(utilities.values, drawn.weight), level)
        if np.isfinite(alphas[0]):
            two = np.array([0.0, alphas[0]])
            theta, zeros = replicated_logs(utilities, drawn.weight, two)
            log_w = with_zeros(theta, zeros[:, None, :], two[:, None])
            bounds[1] = percentiles(-np.expm1(log_w[:, 1] - log_w[:, 0]), level)
    frames = [
        pl.DataFrame({"candidate": utilities.candidates, "value": value, "low": low, "high": high})
        .select(pl.lit(name).alias("measure"), "candidate", pl.col("value", "low", "high").fill_nan(None))
        for (name, value), (low, high) in zip(found.items(), bounds, strict=True)
    ]  # fmt: skip
    return pl.concat(frames)


def _gini(values: Floats, weight: Floats) -> Floats:
    """(R, C): from the sorted utilities, sum ω_i u_i (2 F_i - ω_i - 1) / w_0 with F the cumulated weight."""
    result = np.full((weight.shape[0], values.shape[1]), np.nan)
    for c, u in enumerate(values.T):
        order = np.argsort(u, kind="stable")[: int((~np.isnan(u)).sum())]
        if order.size == 0:
            continue
        w = weight[:, order]
        with np.errstate(invalid="ignore", divide="ignore"):
            w = w / w.sum(axis=1, keepdims=True)
            # Centred utilities: the sum is then of the size of the differences, not of the level.
            gap = u[order] - u[order[0]]
            spread = (w * gap * (2 * np.cumsum(w, axis=1) - w - 1)).sum(axis=1)
            result[:, c] = spread / (w @ u[order])
    result[~np.isfinite(result)] = np.nan
    return result
