"""Weights fitted to known totals: post-stratification, raking, linear and bounded calibration."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol, get_args

import numpy as np
from scipy import linalg

from plural_nb.errors import SurveyError, nearest
from plural_nb.survey.design import Floats, Ints

Distance = Literal["linear", "raking"]

_ROUNDS = 10_000
# R's survey package projects a raked influence ten times over the margins; so do we, to the same numbers.
_PROJECTIONS = 10


class Calibration(Protocol):
    """A fit of weights to known totals, which a variance must know: what the totals explain no longer varies."""

    @property
    def base(self) -> Floats:
        """(n,) the weights before."""

    def fit(self, weight: Floats) -> Floats:
        """Return (n,) the weights after, from any weights; SurveyError where the totals cannot be met."""

    def refit(self, weight: Floats) -> Floats:
        """Return `fit` of one replicate's weights."""

    def residual(self, z: Floats) -> Floats:
        """Return (n, K) what is left of weighted influences z once the calibration variables are taken out."""


@dataclass(frozen=True, slots=True, eq=False)
class PostStratified:
    """Weights that add up to a known total in each cell. cell: (n,) codes; totals: (C,)."""

    base: Floats = field(repr=False)
    cell: Ints = field(repr=False)
    totals: Floats

    def fit(self, weight: Floats) -> Floats:
        """Return weights times total over sum in each cell."""
        return weight * _ratio(weight, self.cell, self.totals)[self.cell]

    def refit(self, weight: Floats) -> Floats:
        """Return `fit` of one replicate's weights."""
        return self.fit(weight)

    def residual(self, z: Floats) -> Floats:
        """Return influences less their weighted mean in each cell."""
        w = self.fit(self.base)
        return w[:, None] * _less_mean(_unweighted(z, w), self.cell, self.totals.size, self.base)


@dataclass(frozen=True, slots=True, eq=False)
class RakedMargins:
    """Weights that add up to known totals in every margin, by iterative proportional fitting.

    margins: (codes (n,), totals) of each. rounds and error of the last fit are returned by `settle`.
    """

    base: Floats = field(repr=False)
    margins: tuple[tuple[Ints, Floats], ...] = field(repr=False)
    tolerance: float = 1e-12
    max_rounds: int = _ROUNDS

    def fit(self, weight: Floats) -> Floats:
        """Return the raked weights."""
        return self.settle(weight)[0]

    def refit(self, weight: Floats) -> Floats:
        """Return `fit` of one replicate's weights."""
        return self.fit(weight)

    def settle(self, weight: Floats) -> tuple[Floats, int, float]:
        """Return the raked weights, the rounds they took, and the largest relative error of a margin."""
        w, error = weight, np.inf
        for rounds in range(1, self.max_rounds + 1):
            for codes, target in self.margins:
                w = w * _ratio(w, codes, target)[codes]
            error = max(
                float(np.abs(np.bincount(codes, weights=w, minlength=target.size) / target - 1).max())
                for codes, target in self.margins
            )
            if error <= self.tolerance:
                return w, rounds, error
        raise SurveyError(
            f"Raking did not settle in {self.max_rounds} rounds: a margin is still off by {error:.2g} of itself. The "
            "margins may contradict each other for the people at hand; merge small cells or drop a margin."
        )

    def residual(self, z: Floats) -> Floats:
        """Return influences less their means in every margin in turn; the means are unweighted, as in R's rake."""
        w = self.fit(self.base)
        left = _unweighted(z, w)
        ones = np.ones_like(w)
        for _ in range(_PROJECTIONS):
            for codes, target in self.margins:
                left = _less_mean(left, codes, target.size, ones)
        return w[:, None] * left


@dataclass(frozen=True, slots=True, eq=False)
class Linear:
    """Weights whose totals of the columns x equal known ones, as near as can be to the base weights.

    x: (n, p) calibration variables, of full rank. totals: (p,). distance: "linear" (g = 1 + x'λ; the generalised
    regression estimator) or "raking" (g = exp(x'λ)). bounds: least and largest g = new over base weight.
    Deville and Särndal (1992).
    """

    base: Floats = field(repr=False)
    x: Floats = field(repr=False)
    totals: Floats
    distance: Distance = "linear"
    bounds: tuple[float, float] = (-np.inf, np.inf)
    tolerance: float = 1e-12
    max_rounds: int = 200

    def __post_init__(self) -> None:
        if self.distance not in get_args(Distance):
            raise SurveyError(f"Unknown distance {self.distance!r}. {nearest(self.distance, get_args(Distance))}")
        if not self.bounds[0] < 1 < self.bounds[1]:
            raise SurveyError(f"The bounds of new over base weight must lie on both sides of 1, not {self.bounds}.")

    def fit(self, weight: Floats) -> Floats:
        """Return the calibrated weights."""
        return self.settle(weight)[0]

    def refit(self, weight: Floats) -> Floats:
        """Return `fit` of one replicate's weights."""
        return self.fit(weight)

    def settle(self, weight: Floats) -> tuple[Floats, int, float]:
        """Return the calibrated weights, Newton's rounds, and the largest relative error of a total."""
        scale = np.maximum(np.abs(self.totals), 1.0)
        multiplier = np.zeros(self.totals.size)
        error = np.inf
        for rounds in range(self.max_rounds + 1):
            g, slope = self._g(self.x @ multiplier)
            gap = self.totals - self.x.T @ (weight * g)
            error = float(np.abs(gap / scale).max())
            if error <= self.tolerance:
                return weight * g, rounds, error
            curvature = self.x.T @ (self.x * (weight * slope)[:, None])
            step = np.linalg.lstsq(curvature, gap, rcond=None)[0]
            length, best = 1.0, multiplier + step
            # Exponents overshoot far from the solution; half steps until the gap shrinks.
            while length > 1e-4:
                best = multiplier + length * step
                with np.errstate(over="ignore", invalid="ignore"):
                    now = float(np.abs((self.totals - self.x.T @ (weight * self._g(self.x @ best)[0])) / scale).max())
                if now < error:
                    break
                length /= 2
            else:
                break
            multiplier = best
        if error <= 1e-9:
            return weight * self._g(self.x @ multiplier)[0], rounds, error
        raise SurveyError(
            f"No weights within the bounds {self.bounds} meet the totals: one is still off by {error:.2g} of itself. "
            "Widen the bounds, or drop or merge some totals."
        )

    def residual(self, z: Floats) -> Floats:
        """Return influences less their weighted regression on the calibration variables."""
        w, root = self.fit(self.base), np.sqrt(self.base)
        q = linalg.qr(self.x * root[:, None], mode="economic")[0]
        left = _unweighted(z, w) * root[:, None]
        left = left - q @ (q.T @ left)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(root[:, None] > 0, w[:, None] * left / root[:, None], 0.0)

    def _g(self, eta: Floats) -> tuple[Floats, Floats]:
        low, high = self.bounds
        with np.errstate(over="ignore"):
            g = 1 + eta if self.distance == "linear" else np.exp(eta)
        inside = (g > low) & (g < high)
        slope = np.ones_like(g) if self.distance == "linear" else g
        return np.clip(g, low, high), np.where(inside, slope, 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class Trimmed:
    """Calibrated weights that were then trimmed; the variance stays that of the calibration, as in R."""

    inner: Calibration
    lower: float
    upper: float

    @property
    def base(self) -> Floats:
        """(n,) the weights before."""
        return self.inner.base

    def fit(self, weight: Floats) -> Floats:
        """Return the calibrated weights, trimmed."""
        return trimmed(self.inner.fit(weight), self.lower, self.upper)

    def refit(self, weight: Floats) -> Floats:
        """Return `fit` of one replicate's weights; a replicate's zeros are not raised to the lower limit."""
        w = self.inner.refit(weight)
        used = w > 0
        w[used] = trimmed(w[used], self.lower, self.upper)
        return w

    def residual(self, z: Floats) -> Floats:
        """Return the residual of the calibration."""
        return self.inner.residual(z)


def trimmed(weight: Floats, lower: float, upper: float, max_rounds: int = 1000) -> Floats:
    """Return weights within limits; what is cut is spread evenly over the others until nobody is outside.

    >>> trimmed(np.array([1.0, 1.0, 1.0, 9.0]), 0, 6).tolist()
    [2.0, 2.0, 2.0, 6.0]
    """
    w = weight.copy()
    if not lower < upper:
        raise SurveyError(f"The lower limit of a weight, {lower:g}, must be below the upper, {upper:g}.")
    mean = float(w.mean())
    if not lower <= mean <= upper:
        raise SurveyError(f"The mean weight is {mean:g}; weights cannot all lie from {lower:g} to {upper:g}.")
    for _ in range(max_rounds):
        outside = (w < lower) | (w > upper)
        if not outside.any():
            return w
        cut = np.clip(w, lower, upper)
        # Weights at a limit count as inside, are pushed out and cut again: it converges, at the limit, from above.
        if outside.all():
            return cut
        cut[~outside] += float((w - cut).sum()) / int((~outside).sum())
        if np.allclose(cut, np.clip(cut, lower, upper), rtol=1e-15, atol=0):
            return np.clip(cut, lower, upper)
        w = cut
    raise SurveyError(f"Trimming to {lower:g} to {upper:g} did not settle in {max_rounds} rounds; widen the limits.")


def _ratio(weight: Floats, codes: Ints, totals: Floats) -> Floats:
    reach = np.bincount(codes, weights=weight, minlength=totals.size)
    if (reach == 0).any():
        raise SurveyError(
            f"Nobody has weight in cell {int(np.argmax(reach == 0)) + 1} of {totals.size}, whose total is "
            f"{totals[np.argmax(reach == 0)]:g}: no weight can reach it. Merge cells."
        )
    return np.asarray(totals / reach)


def _unweighted(z: Floats, w: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(w[:, None] != 0, z / w[:, None], 0.0)


def _less_mean(values: Floats, codes: Ints, size: int, weight: Floats) -> Floats:
    total = np.bincount(codes, weights=weight, minlength=size)
    result = np.empty_like(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        for k in range(values.shape[1]):
            mean = np.bincount(codes, weights=weight * values[:, k], minlength=size) / total
            result[:, k] = values[:, k] - np.nan_to_num(mean)[codes]
    return result
