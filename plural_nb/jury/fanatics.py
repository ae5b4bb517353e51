"""Fanatics: how few jurors can turn the decision round by rating at the extremes of the scale."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from plural_nb.errors import PluralError
from plural_nb.jury.distribution import Floats, distributions
from plural_nb.jury.lead import Lead
from plural_nb.jury.sweep import winners
from plural_nb.jury.utilities import Utilities, nonnegative, require_ratings
from plural_nb.jury.welfare import read_alphas

Ints = npt.NDArray[np.intp]


def fanatics(
    utilities: Utilities, alpha: Any = (0.0, 1.0, np.inf), *, scale: tuple[float, float] | None = None
) -> pl.DataFrame:
    """Return, for each α, how few jurors would flip the result by rating the winner lowest and a rival highest.

    alpha: values from 0 to inf. scale: the lowest and the highest rating that may be given; those that occur when None.

    A juror's change adds a fixed amount to the rival's lead, so the jurors whose change adds most are taken until the
    rival leads; at ∞, and from α = 1 on where the scale starts at 0, until it has less weight at the lowest rating, or
    as much and leads above it. The count is exact (there, for jurors of equal weight; else it is enough, and may be one
    too many where two have the very same weight at the lowest rating). Jurors who did not rate both cannot change.

    Returns one row per α: alpha, winner, rival (the one that takes fewest), jurors, share (of the jury's weight); nulls
    where no number of them is enough, or there is no rival. Raises PluralError for a scale that the ratings exceed.

    From α = 1 on a zero on the scale lets a single juror veto; the α at which `jurors` falls says what a scale that
    starts at 0 means.

    >>> jury = Utilities.of({"Park": [8.0] * 6 + [3.0] * 4, "Road": [5.0] * 10})
    >>> fanatics(jury, [0, 1, 2], scale=(0.1, 10)).select("winner", "rival", "jurors").rows()
    [('Park', 'Road', 1), ('Park', 'Road', 1), ('Road', 'Park', 1)]
    """
    nonnegative(utilities)
    require_ratings(utilities)
    alphas = np.atleast_1d(read_alphas(alpha))
    low, high = (utilities.lowest, float(np.nanmax(utilities.values))) if scale is None else scale
    if not 0 <= low < high < np.inf:
        if scale is None:
            raise PluralError("All ratings are the same, so they show no scale. Give one: scale=(0, 10).")
        raise PluralError(f"A scale goes from a lowest rating of 0 or more to a higher one, not {scale!r}.")
    if utilities.lowest < low or np.nanmax(utilities.values) > high:
        raise PluralError(
            f"Ratings go from {utilities.lowest:g} to {np.nanmax(utilities.values):g}, beyond the scale {scale!r}."
        )
    share, names = utilities.share, utilities.candidates
    rows = []
    for value, won in zip(alphas, winners(utilities, alphas), strict=True):
        best: tuple[int, float, str] | None = None
        c = names.index(won[0])
        for d, rival in enumerate(names):
            if rival in won or utilities.rated[d] == 0:
                continue
            found = _fewest(utilities, c, d, float(value), low, high)
            if found is not None and (best is None or found.size < best[0]):
                best = (found.size, float(share[found].sum()), rival)
        jurors, part, name = best or (None, None, None)
        rows.append((float(value), " = ".join(won), name, jurors, part))
    schema = {
        "alpha": pl.Float64, "winner": pl.String, "rival": pl.String, "jurors": pl.Int64, "share": pl.Float64,
    }  # fmt: skip
    return pl.DataFrame(rows, schema=schema, orient="row")


def _fewest(utilities: Utilities, c: int, d: int, alpha: float, low: float, high: float) -> Ints | None:
    """The fewest jurors who make d lead c, or None."""
    u = utilities.values[:, [c, d]]
    rated = ~np.isnan(u)
    weight = np.where(rated, utilities.weight[:, None], 0.0)
    weight /= weight.sum(axis=0)
    worth, floor, ceiling = _worth(np.where(rated, u, high), alpha, low, high)
    lead = float((weight[:, 0] * worth[:, 0]).sum() - (weight[:, 1] * worth[:, 1]).sum())
    gain = weight[:, 0] * (worth[:, 0] - floor) + weight[:, 1] * (ceiling - worth[:, 1])
    gain = np.where(rated.all(axis=1), gain, 0.0)
    exact = 1e-12 * max(abs(ceiling), abs(floor))
    by_lowest = bool(np.isinf(alpha) or (low == 0 and alpha >= 1))
    # Gains that differ by rounding alone are the same, and what the change does above the lowest rating decides.
    keys = (*_harm_above(u, weight, alpha, low, high), -np.round(gain / exact)) if by_lowest else (-gain,)
    order = np.lexsort(keys)
    order = order[gain[order] > 0] if not by_lowest else order[(rated.all(axis=1) & (utilities.weight > 0))[order]]
    after = lead - np.cumsum(gain[order])
    enough = np.flatnonzero(after < -exact)
    if by_lowest:
        for size in np.flatnonzero(np.abs(after) <= exact) + 1:
            changed = u.copy()
            changed[order[:size]] = low, high
            if Lead.of(*distributions(changed, utilities.weight)).sign(alpha) < 0:
                return order[:size]
    return None if enough.size == 0 else order[: enough[0] + 1]


def _harm_above(u: Floats, weight: Floats, alpha: float, low: float, high: float) -> tuple[Floats, ...]:
    """Sorting keys, the last of which ranks first: how little a juror's change helps the rival above the lowest rating.

    At ∞ the lowest rating in which a juror's change makes a difference counts: the rival's that goes away helps, the
    winner's that goes away harms. At a finite α the mean over ratings above zero counts.
    """
    if np.isinf(alpha):
        c, d = np.where((u > low) & (u < high), u, np.inf).T
        helps, harms = d < c, c < d
        third = np.where(helps, -c, np.where(harms, d, 0.0))
        second = np.where(helps, d, np.where(harms, -c, 0.0))
        return third, second, harms * 1.0 - helps
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        logs = np.log(u / high)
        worth = np.where(u > low, logs if alpha == 1 else -np.expm1((1 - alpha) * logs), 0.0)
        return (weight[:, 1] * worth[:, 1] - weight[:, 0] * worth[:, 0],)


def _worth(u: Floats, alpha: float, low: float, high: float) -> tuple[Floats, float, float]:
    """A rising function of utility whose mean is compared at this α, at u, at the lowest and at the highest rating.

    Scaled by the rating at which it is largest, so that no power overflows. Where the lowest rating is 0, from α = 1 on
    only the weight at 0 counts at first, as at ∞ only that at the lowest.
    """
    if np.isinf(alpha) or (low == 0 and alpha >= 1):
        return np.where(u > low, 0.0, -1.0), -1.0, 0.0
    if alpha == 1:
        return np.log(u / high), float(np.log(low / high)), 0.0
    s = 1 - alpha
    reference = high if s > 0 else low
    with np.errstate(divide="ignore", under="ignore"):
        powers = np.exp(s * np.log(u / reference)) * np.sign(s)
        ends = np.exp(s * np.log(np.array([low, high]) / reference)) * np.sign(s)
    return powers, float(ends[0]), float(ends[1])
