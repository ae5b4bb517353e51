"""The noise floor: the distance that two samples from one truth would show, for every distance and many pairs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from scipy import special

from plural_nb.comparison.distances import Floats
from plural_nb.comparison.measuring import DIVERGENCES, Numbers, Scale, shown, squared, squared_noise
from plural_nb.comparison.simulation import simulate_pairs

# Below this many expected answers in a cell the closed form is rough, and the floor is simulated instead.
FEW_EXPECTED = 20
_LARGEST_DF = 1e6
# Design effects count as equal where they leave this share of the degrees of freedom that equal ones would.
_EVEN = 0.95
Method = Literal["closed form", "simulated", "none"]


@dataclass(frozen=True, slots=True)
class NoiseFloor:
    """What sampling alone would show: the mean and the 95th percentile of the distance under one truth.

    method: "closed form" or "simulated", or "none" where neither side is a sample.
    """

    mean: float
    p95: float
    method: Method


_AT_MOST_ONE = frozenset({"js_distance", "total_variation", "hellinger", "wasserstein_normalised"})


@dataclass(frozen=True, slots=True, eq=False)
class Floors:
    """Noise floors of C pairs, by the name of the distance and in its unit.

    mean, p95: (C,) of the distance. square: (C,) mean of the squared distance (of a divergence itself), which is what
    sampling adds to it. p: (C,) probability of a js_distance this large under one truth; NaN without sampling.
    simulated, sampled: (C,) whether the floor was simulated; whether either side is a sample.
    """

    mean: Mapping[str, Floats]
    p95: Mapping[str, Floats]
    square: Mapping[str, Floats]
    p: Floats
    simulated: np.ndarray[tuple[int], np.dtype[np.bool_]]
    sampled: np.ndarray[tuple[int], np.dtype[np.bool_]]

    def one(self, name: str, c: int) -> NoiseFloor:
        """The floor of one pair."""
        method: Method = "simulated" if self.simulated[c] else "closed form"
        return NoiseFloor(float(self.mean[name][c]), float(self.p95[name][c]), method if self.sampled[c] else "none")


def noise_floors(
    p: Floats,
    q: Floats,
    covariance: Floats,
    sizes: tuple[Floats, Floats],
    df: Floats,
    scale: Scale | None = None,
    *,
    noise: Numbers | None = None,
    draws: int = 2000,
    seed: int = 0,
) -> Floors:
    """Return the noise floors of C pairs of shares, in every distance that is defined.

    p, q: (K, C) shares, options first. covariance: (C, K, K) of p − q, with what shared PSUs bring taken off.
    sizes: effective numbers (C,) of the two samples, infinite for an exact model row. df: (C,) of the difference,
    as PSUs contribute to it (`freedom.Freedom`).
    noise: (K, C, R) draws of p − q around its expectation (replicates); normal ones are drawn when None.

    With m = (p + q)/2 and Δ = D_m⁻¹V, E[JSD] ≈ tr Δ/8 nats and js_distance ≈ sqrt(tr Δ/(8 ln 2)) χ_ν/√ν with
    ν = (tr Δ)²/tr Δ², which is K − 1 where design effects are equal: the mean is that of χ_ν (of the noise itself,
    where design effects differ), the 95th percentile that of F(ν, ν·df) (Rao and Scott). Those of Wasserstein and
    total variation come from Var(F_j), Var(p_k − q_k) and the noise. Where a cell's expected count is below 20 all
    are simulated from the pooled row with multinomial samples of the effective sizes (definitions, section 4a).

    The root of an estimated variance falls short by 1/(4ν·df) of it, which the means make up for. Some hundred draws
    leave an error of some percent in a 95th percentile, most of which that of their own X² = Σ (p − q)²/m shows.
    """
    C = p.shape[1]
    m = (p + q) / 2
    sampled = np.isfinite(sizes[0]) | np.isfinite(sizes[1])
    variance = np.maximum(np.einsum("ckk->kc", covariance), 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = np.where(m > 0, 1 / m, 0.0)
        trace = (variance * inverse).sum(axis=0)
        twice = np.einsum("ckl,kc,lc->c", np.square(covariance), inverse, inverse)
        df = np.clip(np.nan_to_num(df, nan=_LARGEST_DF, posinf=_LARGEST_DF), 1.0, _LARGEST_DF)
        # E[tr Δ̂²] = (1 + 1/df) tr Δ² + (tr Δ)²/df and E[(tr Δ̂)²] = (tr Δ)² + 2 tr Δ²/df, as of a Wishart matrix.
        even = (twice - np.square(trace) / df) / (1 + 1 / df - 2 / np.square(df))
        nu = np.where(even > 0, np.square(trace) / even - 2 / df, np.inf)
        nu = np.where(twice > 0, np.clip(nu, 1.0, max(p.shape[0] - 1, 1)), 1.0)
    reach = special.fdtri(nu, nu * df, 0.95)
    heavy = np.sqrt(reach / special.fdtri(nu, nu * _LARGEST_DF, 0.95))
    if noise is None:
        noise = _normal(covariance, draws, seed)
    drawn = squared_noise(noise, m[:, :, None], scale)
    square = {"js_distance": trace / (8 * math.log(2)), "hellinger": trace / 8, "kl": trace / 2}
    square["kl_reversed"] = square["kl"]
    chi = np.exp(special.gammaln((nu + 1) / 2) - special.gammaln(nu / 2)) * np.sqrt(2 / nu)
    mean = {name: (value if name in DIVERGENCES else np.sqrt(value) * chi) for name, value in square.items()}
    p95 = {name: shown(name, value * reach) for name, value in square.items()}
    # Where design effects differ, the mean is that of the noise drawn, scaled to the variance that is known.
    uneven = (twice > 0) & (nu < _EVEN * ((m > 0).sum(axis=0) - 1))
    for name in ("js_distance", "hellinger"):
        if uneven.any():
            mean[name][uneven] = _mean_drawn(drawn[name][uneven], square[name][uneven])
        mean[name] *= 1 + 1 / (4 * nu * df)
    for name, spread in _spreads(covariance, variance, scale).items():
        # The noise lends its shape; its size is known.
        known, centre = math.sqrt(2 / math.pi) * spread, np.sqrt(drawn[name]).mean(axis=-1, dtype=np.float64)
        factor = np.where(centre > 0, known / np.where(centre > 0, centre, 1.0), 1.0)
        mean[name] = known * (1 + 1 / (4 * df))
        square[name] = drawn[name].mean(axis=-1, dtype=np.float64) * factor**2
        p95[name] = np.sqrt(_quantile(drawn[name], 0.95)) * heavy * factor
    # Total variation goes so closely with X² that it has the same error of draws.
    p95["total_variation"] = np.sqrt(
        _quantile(drawn["total_variation"], 0.95) * _corrected(square["js_distance"] * reach, drawn["js_distance"])
    )
    observed = np.asarray(squared(p, q, None, divergences=False)["js_distance"], dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        tail = special.fdtrc(nu, nu * df, observed / np.where(trace > 0, square["js_distance"], np.nan))
    tail = np.where(trace > 0, tail, np.where(observed > 1e-15, 0.0, 1.0))
    floors = Floors(mean, p95, square, np.where(sampled, tail, np.nan), np.zeros(C, dtype=np.bool_), sampled)
    few = _few(m, sizes) & sampled
    if few.any():
        _simulate(floors, few, (p, q, observed), sizes, scale, (nu, df, reach, heavy), draws, seed)
    for of in (floors.mean, floors.p95):
        for name in _AT_MOST_ONE & of.keys():
            np.minimum(
                of[name], 1.0, out=of[name]
            )  # a handful of people: the approximation passes the largest distance
    return floors


def js_noise_floor(p: Floats, q: Floats, covariance: Floats, n_eff: tuple[float | None, float | None]) -> NoiseFloor:
    """Return the noise floor of `js_distance` (base 2) between two rows of shares.

    p, q: (K,) shares. covariance: (K, K) of p − q, with the covariance of shared PSUs taken off.
    n_eff: effective numbers of the two samples; None for an exact model row, which adds no noise.
    See `noise_floors` for how it is made.

    >>> p = np.array([0.5, 0.5])
    >>> V = np.array([[1.0, -1.0], [-1.0, 1.0]]) * 0.25 / 1000
    >>> round(js_noise_floor(p, p, V, (1000.0, None)).mean, 4)
    0.0107
    """
    sizes = tuple(np.array([np.inf if n is None else n]) for n in n_eff)
    found = noise_floors(p[:, None], q[:, None], covariance[None], (sizes[0], sizes[1]), np.array([np.inf]))
    return found.one("js_distance", 0)


def _spreads(covariance: Floats, variance: Floats, scale: Scale | None) -> dict[str, Floats]:
    """Σ of standard deviations: ½ Σ sd(p_k − q_k), and Σ_j sd(F_j)·Δv_j over the range."""
    found = {"total_variation": np.sqrt(variance).sum(axis=0) / 2}
    if scale is not None:
        sorted_ = covariance[:, scale.order][:, :, scale.order]
        running = np.cumsum(np.cumsum(sorted_, axis=1), axis=2)
        sd = np.sqrt(np.maximum(np.einsum("ckk->ck", running)[:, :-1], 0.0))
        found["wasserstein_normalised"] = sd @ scale.steps / scale.span
    return found


def _mean_drawn(drawn: Numbers, square: Floats) -> Floats:
    """Mean of the root of drawn squares (C, R) whose mean is known to be `square`."""
    return np.asarray(np.sqrt(drawn).mean(axis=-1) * np.sqrt(square / drawn.mean(axis=-1)), dtype=np.float64)


def _corrected(known: Floats, drawn: Numbers) -> Floats:
    """(C,) the 95th percentile that is known over that of draws (C, R)."""
    found = _quantile(drawn, 0.95)
    return np.asarray(np.where(found > 0, known / np.where(found > 0, found, 1.0), 1.0))


def _few(m: Floats, sizes: tuple[Floats, Floats]) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    smallest = np.min(np.where(m > 0, m, np.inf), axis=0)
    n = np.minimum(*sizes)
    return np.asarray(np.isfinite(n) & (np.where(np.isfinite(n), n, 0) * smallest < FEW_EXPECTED))


def _simulate(
    floors: Floors,
    few: np.ndarray[tuple[int], np.dtype[np.bool_]],
    rows: tuple[Floats, Floats, Floats],
    sizes: tuple[Floats, Floats],
    scale: Scale | None,
    tail: tuple[Floats, Floats, Floats, Floats],
    draws: int,
    seed: int,
) -> None:
    """Put simulated numbers where counts are few; divergences, infinite in some draws, keep the first order."""
    p, q, observed = (x[..., few] for x in rows)
    nu, df, reach, heavy = (x[few] for x in tail)
    n_a, n_b = sizes[0][few], sizes[1][few]
    square = np.square(heavy)
    floors.simulated[few] = True
    at = np.flatnonzero(few)
    step = max(1, 4_000_000 // (draws * p.shape[0]))
    for begin in range(0, at.size, step):
        part = slice(begin, begin + step)
        made = simulate_pairs(p[:, part], q[:, part], (n_a[part], n_b[part]), draws, seed)
        drawn, factors = squared(*made.sides, scale, divergences=False), made.factors(scale)
        for name, value in drawn.items():
            root, factor = np.sqrt(value), factors[name]
            floors.mean[name][at[part]] = root.mean(axis=-1, dtype=np.float64) * factor
            floors.square[name][at[part]] = value.mean(axis=-1, dtype=np.float64) * factor**2
            floors.p95[name][at[part]] = _quantile(root, 0.95) * heavy[part] * factor
        x2, free = made.pearson()
        known = special.chdtri(free, 0.05) * made.inverse / (8 * math.log(2))
        corrected = _corrected(known * square[part], x2)
        for name in ("js_distance", "total_variation", "hellinger"):
            floors.p95[name][at[part]] = np.sqrt(_quantile(drawn[name], 0.95) * corrected)
        p95 = np.square(floors.p95["js_distance"][at[part]])
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(p95 > 0, observed[part] / p95, np.where(observed[part] > 0, np.inf, 0.0))
        floors.p[at[part]] = special.fdtrc(nu[part], nu[part] * df[part], ratio * reach[part])


def _normal(covariance: Floats, draws: int, seed: int) -> Floats:
    """(K, C, R) normal draws with the covariances."""
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]
    return np.ascontiguousarray(np.moveaxis(root @ _stratified(covariance.shape[1], draws, seed), 1, 0))


@lru_cache(maxsize=16)
def _stratified(K: int, draws: int, seed: int) -> Floats:
    """(K, R) standard normal numbers, one in each of R equal parts of the distribution in every row, shuffled.

    All pairs share them, so that chance in them would bend every pair's 95th percentile alike.
    """
    r = np.random.default_rng(seed)
    parts = np.stack([r.permutation(draws) for _ in range(K)])
    return np.asarray(special.ndtri((parts + r.random((K, draws))) / draws))


def _quantile(values: Numbers, level: float) -> Floats:
    """Quantile along the last axis; sorting rows of a few hundred is quicker than numpy's quantile."""
    return sorted_quantile(np.sort(values, axis=-1), level)


def sorted_quantile(values: Numbers, level: float) -> Floats:
    """Return the quantile along the last axis of values sorted along it, interpolated between neighbours."""
    place = level * (values.shape[-1] - 1)
    low = math.floor(place)
    high = min(low + 1, values.shape[-1] - 1)
    part = place - low
    return np.asarray(values[..., low] * (1 - part) + values[..., high] * part, dtype=np.float64)
