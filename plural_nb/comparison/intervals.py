"""Intervals of distances, from replicates of the shares: a distance is biased upwards, its interval is not."""

from __future__ import annotations

import numpy as np
from scipy import special

from plural_nb.comparison.distances import Floats
from plural_nb.comparison.measuring import DIVERGENCES, Numbers
from plural_nb.comparison.noise import sorted_quantile
from plural_nb.comparison.unseen import Unseen

_OF_SIGNS = frozenset({"total_variation", "wasserstein_normalised"})


def distance_interval(
    name: str, square: Numbers, drawn: Numbers, noise: Numbers, *, df: Floats, options: int, level: float = 0.95,
    unseen: Unseen | None = None,
) -> tuple[Floats, Floats]:  # fmt: skip
    """Return the bounds (C,) of a distance between two truths, of which a sample showed the square (C,).

    name: of the distance; a divergence is its own square. drawn: (C, R) the square between the shares of each
    replicate. noise: (C, R) the square that each replicate's noise alone would show (`measuring.squared_noise`).
    df: (C,) degrees of freedom of the difference; the noise is widened by Student's t over the normal.
    options: K; with two, all differences lie on one line, and some true difference always fits.
    unseen: options that a sample shows nobody of, None if there are none. They may have some share all the same, which
    lowers the lower bound. A divergence that is infinite only because of them is bounded from below alone, at the whole
    level: [low, ∞); one that is infinite whatever the sample hides (an exact row has a true 0) is so for sure: [∞, ∞).

    Percentiles of replicates are centred on the distance plus twice its bias. Here each replicate answers instead
    how long the true difference must be so that with this replicate's noise one sees what was seen. With the true
    difference s times the one seen, the square is s²·D² + s·L + Q, where Q is that of the noise alone and
    L = drawn − D² − Q; this is exact for a quadratic form, and for any distance at s = 0, at s = 1 and for large s.
    The bounds are percentiles of the distances s·D that solve it, 0 where noise alone shows more than was seen: the
    inversion of a test, as for a noncentral chi-square. Where a distance sums absolute differences, opposite signs
    make it come out short and its noise small at once, so its upper bound is at least the percentile less the bias.

    >>> r = np.random.default_rng(0)
    >>> e = r.normal(0, 0.1, (1, 4000))
    >>> seen, df = np.array([0.25]), np.array([1e6])
    >>> low, high = distance_interval("total_variation", seen, (0.5 + e) ** 2, e**2, df=df, options=2)
    >>> bool(abs(low[0] - 0.304) < 0.01), bool(abs(high[0] - 0.696) < 0.01)
    (True, True)
    """
    seen = np.array(square, dtype=drawn.dtype)[:, None]
    endless = np.zeros(seen.shape[0], dtype=np.bool_)
    if unseen is not None and name in DIVERGENCES:
        endless[unseen.at] = np.isinf(seen[unseen.at, 0])
        part = endless[unseen.at]
        seen[endless, 0] = unseen.base[name][part]
        drawn = drawn.copy()
        drawn[endless] = unseen.drawn[name][part]
    wide = _widening(df, level).astype(drawn.dtype)[:, None]
    ends = (1 - level) / 2, (1 + level) / 2
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        linear = (drawn - seen - noise) / np.sqrt(np.where(seen > 0, seen, 1))
        # |L| ≤ 2·√Q·D by Cauchy and Schwarz, which an L that is a rest of rounding and curvature must not exceed; the
        # allowance is for distances that are no quadratic form where they are large.
        most = 2 * (1 + 4 * np.sqrt(np.minimum(seen, 1))) * np.sqrt(noise)
        linear = np.clip(linear, -most, most)
        if options == 2:  # on one line, noise and difference have the same or opposite directions: |L| is no less
            linear = np.copysign(np.maximum(np.abs(linear), 2 * np.sqrt(noise)), linear)
        linear = linear * wide
        left = np.square(linear) / 4 - noise * np.square(wide) + seen
        fits = (left > 0) | (options == 2)
        root = np.maximum(np.where(fits, np.sqrt(np.maximum(left, 0)) - linear / 2, 0), 0)
    sure = np.isinf(seen[:, 0])
    bad = ~np.isfinite(root).all(axis=1) & ~sure
    root[bad | sure] = 0
    under = None if unseen is None else np.square(root[unseen.at]) + unseen.squares[name] - seen[unseen.at]
    lesser = np.sort(-np.sqrt(np.maximum(left, 0)) - linear / 2, axis=1) if options == 2 else None
    root.sort(axis=1)
    low, high = (sorted_quantile(root, end) for end in ends)
    if lesser is not None:
        high = _on_a_line(root, lesser, high, ends[0])
    elif name in _OF_SIGNS:
        high = np.maximum(high, _percentile(drawn, square, wide[:, 0], ends[1]))
    if unseen is not None and under is not None:
        at, under = unseen.at, np.sqrt(np.maximum(np.sort(under, axis=1), 0))
        alone = sorted_quantile(under, 1 - level)
        low[at] = np.where(endless[at], alone, np.minimum(low[at], sorted_quantile(under, ends[0])))
        high[endless] = np.inf
    low[sure] = high[sure] = np.inf
    low[bad] = high[bad] = np.nan
    return (low**2, high**2) if name in DIVERGENCES else (low, high)


def paired_interval(gap: Floats, drawn: Numbers, *, df: Floats, level: float = 0.95) -> tuple[Floats, Floats]:
    """Return the bounds (C,) of a difference of two squared distances to one sample, paired over its replicates.

    gap: (C,) difference, each square less what sampling adds to it. drawn: (C, R) difference in each replicate, whose
    percentiles around their mean are reflected (the basic bootstrap) and widened by Student's t.

    >>> drawn = np.linspace(-1, 1, 2001)[None]
    >>> [round(float(end[0]), 2) for end in paired_interval(np.array([2.0]), drawn, df=np.array([1e6]))]
    [1.05, 2.95]
    """
    wide = _widening(df, level)
    ordered = np.sort(drawn - drawn.mean(axis=1, keepdims=True), axis=1)
    low, high = (sorted_quantile(ordered, end) for end in ((1 - level) / 2, (1 + level) / 2))
    return gap - wide * high, gap - wide * low


def t_reach(df: Floats, level: float) -> Floats:
    """Return how many standard errors an interval reaches to each side: Student's t, infinite without freedom."""
    some = np.maximum(np.nan_to_num(df, nan=0.0), 0.0)
    return np.asarray(np.where(some > 0, special.stdtrit(np.where(some > 0, some, 1.0), (1 + level) / 2), np.inf))


def _widening(df: Floats, level: float) -> Floats:
    """Student's t over the normal; below one degree of freedom nothing is known, and one is taken."""
    return np.asarray(special.stdtrit(np.maximum(df, 1.0), (1 + level) / 2) / special.ndtri((1 + level) / 2))


def _on_a_line(root: Numbers, lesser: Numbers, high: Floats, end: float) -> Floats:
    """The upper bound with two options, where noise of either sign may have made a true difference look like this.

    A length s is between a replicate's two solutions in as many replicates as would show this or less of it.
    """
    R = root.shape[1]
    for c in np.flatnonzero(lesser[:, -1] > 0):
        beyond = R - np.searchsorted(lesser[c], root[c], side="right")
        fits = np.flatnonzero(R - np.arange(R) - beyond >= end * R)
        high[c] = root[c, fits[-1]] if fits.size else 0.0
    return high


def _percentile(drawn: Numbers, square: Numbers, wide: Numbers, end: float) -> Floats:
    root = np.sqrt(drawn)
    root.sort(axis=1)
    centre, seen = root.mean(axis=1, dtype=np.float64), np.sqrt(square)
    return np.asarray(seen + wide * (sorted_quantile(root, end) - centre))
