"""Other ideas of what is good for a jury: enough approve, nobody has too little, the worse off count for more."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from plural_nb.errors import PluralError, nearest
from plural_nb.jury.distribution import Floats
from plural_nb.jury.utilities import Utilities, nonnegative

CONCERNS: Mapping[str, Callable[[Floats], Floats]] = MappingProxyType(
    {"sqrt": np.sqrt, "cbrt": np.cbrt, "log1p": np.log1p, "log": np.log}
)


def approval(utilities: Utilities, tau: Any) -> Floats:
    """Return the share of weight whose utility lies above τ, of each candidate (MAX-SAT: each juror is content or not).

    tau: a number, or (T,) of them; above, not at. Returns (C,) or (T, C), NaN where nobody rated.

    >>> approval(Utilities.of({"Park": [4, 1], "Road": [2, 3]}), [1, 2.5])
    array([[0.5, 1. ],
           [0.5, 0.5]])
    """
    taus = np.asarray(tau, dtype=np.float64)
    if taus.ndim > 1 or np.isnan(taus).any():
        raise PluralError(f"τ is a number, or a list of them; not {tau!r}.")
    result = np.full((taus.size, len(utilities.candidates)), np.nan)
    for c, u in enumerate(utilities.values.T):
        rated = ~np.isnan(u) & (utilities.weight > 0)
        if rated.any():
            order = np.argsort(u[rated], kind="stable")
            below = np.concatenate([[0.0], np.cumsum(utilities.weight[rated][order])])
            result[:, c] = 1 - below[np.searchsorted(u[rated][order], np.atleast_1d(taus), side="right")] / below[-1]
    return result if taus.ndim else np.asarray(result[0])


def sufficiency(utilities: Utilities, threshold: float) -> Floats:
    """Return (C,) -sum ω_i max(0, t - u_i): how far, in all, jurors fall short of enough; 0 where nobody does.

    >>> sufficiency(Utilities.of({"Park": [4, 1], "Road": [2, 3]}), 3.0)
    array([-1. , -0.5])
    """
    return np.asarray(weighted_means(shortfalls(utilities.values, threshold), utilities.weight[None, :])[0])


def priority(utilities: Utilities, concern: str = "sqrt") -> Floats:
    """Return (C,) sum ω_i g(u_i): the same gain counts for more to a juror who has less.

    concern: g, which rises and bends down: "sqrt", "cbrt", "log1p" or "log" (-inf where a juror is at 0).

    >>> priority(Utilities.of({"Park": [4, 1], "Road": [2.25, 2.25]}))
    array([1.5, 1.5])
    """
    return np.asarray(weighted_means(concerned(utilities, concern), utilities.weight[None, :])[0])


def regret(utilities: Utilities) -> Floats:
    """Return (C,) the largest regret of a juror of weight above 0: how much better their best candidate is.

    Over the candidates each rated.

    >>> regret(Utilities.of({"Park": [4, 1], "Road": [2, 3]}))
    array([2., 2.])
    """
    u = utilities.values[utilities.weight > 0]
    rated = ~np.isnan(u)
    best = np.where(rated, u, -np.inf).max(axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        lost = np.where(rated, best - u, -np.inf).max(axis=0)
    return np.asarray(np.where(np.isinf(lost), np.nan, lost))


def shortfalls(values: Floats, threshold: float) -> Floats:
    """Return (n, C) minus how far each utility falls short of the threshold; NaN stays."""
    if not np.isfinite(threshold):
        raise PluralError(f"What is enough must be a finite number, not {threshold!r}.")
    return np.asarray(np.minimum(values - threshold, 0.0))


def concerned(utilities: Utilities, concern: str) -> Floats:
    """Return (n, C) g(u); PluralError for an unknown g and for negative utilities."""
    if concern not in CONCERNS:
        raise PluralError(f"Unknown concern {concern!r}. {nearest(concern, CONCERNS)}")
    nonnegative(utilities)
    with np.errstate(divide="ignore"):
        return np.asarray(CONCERNS[concern](utilities.values))


def weighted_means(values: Floats, weight: Floats) -> Floats:
    """Return (R, C) means of (n, C) values under (R, n) weights, over what is not NaN; NaN where nothing is."""
    rated = ~np.isnan(values)
    endless = np.isinf(values)
    total = weight @ rated.astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = weight @ np.where(rated & ~endless, values, 0.0) / np.where(total > 0, total, np.nan)
    if endless.any():
        means = np.where(weight @ endless.astype(np.float64) > 0, -np.inf, means)
    return np.asarray(means)
