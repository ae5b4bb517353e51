"""How a jury's weight is spread over the utilities of one candidate: all that welfare of any α looks at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

# Next to α = 1 the sum of powers is close to 1 and its logarithm is taken from expm1, further away from exp: both then
# keep the logarithm of welfare to about 1e-14.
_NEAR_ONE = 1 / 16
_SUM_ABOVE_HALF = 0.69
# Numbers worked on at once; a block of them (0.5 MB) stays in a core's own memory, which halves the time.
_BLOCK = 65_536


@dataclass(frozen=True, slots=True, eq=False)
class Distribution:
    """The weight of jurors over the utilities of one candidate.

    zero: share of the weight whose utility is 0; NaN when nobody rated the candidate.
    log_utility: (V,) natural logarithms of the utilities above 0. mass: (V,) their shares of that weight, adding to 1.
    """

    zero: float
    log_utility: Floats
    mass: Floats

    @classmethod
    def of(cls, utility: Floats, weight: Floats) -> Distribution:
        """Return the distribution of (n,) utilities, NaN where a juror did not rate; weights of 0 do not count.

        >>> Distribution.of(np.array([0.0, 1.0, 1.0, np.nan]), np.ones(4)).mass
        array([1.])
        """
        counted = (weight > 0) & ~np.isnan(utility)
        u, w = utility[counted], weight[counted]
        if u.size == 0:
            return cls(np.nan, u, w)
        above = u > 0
        if not above.all():
            zero = float(w[~above].sum() / w.sum())
            u, w = u[above], w[above]
        else:
            zero = 0.0
        if u.size and np.unique(u[:1000]).size <= min(500, u.size // 2):
            # Ratings on a scale repeat themselves: a hundred values stand for any number of jurors.
            u, place = np.unique(u, return_inverse=True)
            w = np.asarray(np.bincount(place, weights=w), dtype=np.float64)
        return cls(zero, np.log(u), w / w.sum() if u.size else w)

    def ascending(self) -> Distribution:
        """Return the same distribution with distinct utilities in rising order."""
        x, place = np.unique(self.log_utility, return_inverse=True)
        mass = np.bincount(place, weights=self.mass, minlength=x.size)
        return Distribution(self.zero, x, np.asarray(mass, dtype=np.float64))

    def log_welfare(self, alpha: Floats) -> Floats:
        """Return (A,) log w_α over the jurors above zero; -inf when there is none, NaN when nobody rated."""
        if self.log_utility.size == 0:
            return np.full(alpha.shape, np.nan if np.isnan(self.zero) else -np.inf)
        return np.asarray(log_power_mean(self.log_utility, self.mass[None, :], alpha)[0])


def distributions(values: Floats, weight: Floats) -> list[Distribution]:
    """Return the distribution of each column of (n, C) utilities."""
    return [Distribution.of(np.ascontiguousarray(column), weight) for column in values.T]


def with_zeros(log_positive: Floats, zero: Floats, alpha: Floats) -> Floats:
    """Return log w_α from that over the jurors above zero and the share of those at zero; shapes must broadcast.

    Below α = 1 the sum of powers is (1 - zero) times that of the rest; from α = 1 on a zero makes welfare 0.

    >>> with_zeros(np.log([4.0, 4.0]), np.array([0.5, 0.5]), np.array([0.0, 1.0]))
    array([0.69314718,       -inf])
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        thinned = log_positive + np.log1p(-zero) / np.where(alpha < 1, 1 - alpha, 1.0)
    below = np.where(zero < 1, thinned, -np.inf)
    at_zero = np.where(zero > 0, -np.inf, log_positive)
    return np.where(np.isnan(zero), np.nan, np.where(alpha < 1, below, at_zero))


def log_power_mean(x: Floats, mass: Floats, alpha: Floats) -> Floats:
    """Return (R, A) log (sum_i mass_ri exp((1 - α) x_i))^(1/(1-α)), exact to 1e-13 also where α is next to 1 or 1e4.

    x: (V,) logarithms of utilities. mass: (R, V), rows not negative and adding to 1. alpha: (A,) from 0 to inf.
    """
    result = np.empty((mass.shape[0], alpha.size))
    low, high = float(x.min()), float(x.max())
    for a in np.flatnonzero(np.isinf(alpha)):
        result[:, a] = np.where(mass > 0, x, np.inf).min(axis=1) if mass.shape[0] > 1 else low
    if (alpha == 1).any():
        result[:, alpha == 1] = (mass @ x)[:, None]
    reach = min(_NEAR_ONE, _SUM_ABOVE_HALF / (high - low)) if high > low else _NEAR_ONE
    for reference, side in ((high, alpha < 1), (low, (alpha > 1) & np.isfinite(alpha))):
        near = side & (np.abs(1 - alpha) < reach)
        far = side & ~near
        # Exponents are 0 or below, so nothing overflows; the juror at the reference keeps the sum above 0.
        if near.any():
            s = 1 - alpha[near]
            total = _sums(np.expm1, x - reference, mass, s)
            result[:, near] = reference + np.log1p(total) / s
        if far.any():
            s = 1 - alpha[far]
            total = _sums(np.exp, x - reference, mass, s)
            with np.errstate(divide="ignore"):
                result[:, far] = reference + np.log(total) / s
            _mend_vanished(result, np.flatnonzero(far), total, x, mass, alpha)
    return result


def _sums(function: Any, d: Floats, mass: Floats, s: Floats) -> Floats:
    """(R, S): sum_i mass_ri function(s d_i), block by block."""
    total = np.zeros((mass.shape[0], s.size))
    many = mass.shape[0] > 1
    rows = s.size if many else min(s.size, 8)
    columns = max(_BLOCK // rows, 1)
    buffer = np.empty((rows, columns))
    for start in range(0, d.size, columns):
        part, share = d[start : start + columns], mass[:, start : start + columns]
        for first in range(0, s.size, rows):
            powers = buffer[: min(rows, s.size - first), : part.size]
            np.multiply.outer(s[first : first + rows], part, out=powers)
            function(powers, out=powers)
            total[:, first : first + rows] += share @ powers.T
    return total


def _mend_vanished(
    result: Floats, far: npt.NDArray[np.intp], total: Floats, x: Floats, mass: Floats, alpha: Floats
) -> None:
    """Replicates that left out the jurors at the reference may have a sum too small for a number: take their own."""
    for place, a in enumerate(far):
        rows = np.flatnonzero(total[:, place] < 1e-200)
        if rows.size == 0:
            continue
        s = 1 - alpha[a]
        present = mass[rows] > 0
        own = np.where(present, s * x, -np.inf).max(axis=1)
        powers = np.exp(np.where(present, s * x - own[:, None], -np.inf))
        result[rows, a] = (own + np.log((mass[rows] * powers).sum(axis=1))) / s
