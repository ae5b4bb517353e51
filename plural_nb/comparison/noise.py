"""The noise floor: the distance that two samples from one truth would show."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import special

from plural_nb.comparison.distances import Floats, js_distance

# Below this many expected answers in a cell the closed form is rough, and the floor is simulated instead.
FEW_EXPECTED = 20
_DRAWS = 2000


@dataclass(frozen=True, slots=True)
class NoiseFloor:
    """What sampling alone would show: the mean and the 95th percentile of the distance under one truth.

    method: "closed form" or "simulated", or "none" where neither side is a sample.
    """

    mean: float
    p95: float
    method: Literal["closed form", "simulated", "none"]


def js_noise_floor(p: Floats, q: Floats, covariance: Floats, n_eff: tuple[float | None, float | None]) -> NoiseFloor:
    """Return the noise floor of `js_distance` (base 2) between two rows of shares.

    p, q: (K,) shares. covariance: (K, K) of p − q, with the covariance of shared PSUs taken off.
    n_eff: effective numbers of the two samples; None for an exact model row, which adds no noise.

    E[JSD] ≈ ⅛ Σ Var(p_k − q_k)/m_k nats over m_k > 0, m = (p + q)/2, and E[distance] ≈ sqrt(E[JSD]/ln 2) ·
    sqrt(2/(K−1)) · Γ(K/2)/Γ((K−1)/2). Where a cell's expected count is below 20 both numbers are simulated from m
    with multinomial samples of the effective sizes (definitions, section 4a). The seed is fixed.

    >>> p = np.array([0.5, 0.5])
    >>> V = np.array([[1.0, -1.0], [-1.0, 1.0]]) * 0.25 / 1000
    >>> round(js_noise_floor(p, p, V, (1000.0, None)).mean, 4)
    0.0107
    """
    m = (p + q) / 2
    used = m > 0
    m, V = m[used], covariance[np.ix_(used, used)]
    sizes = [n for n in n_eff if n is not None]
    K = m.size
    if not sizes or K < 2 or not np.trace(V) > 0:
        return NoiseFloor(0.0, 0.0, "none" if not sizes else "closed form")
    draw = np.random.default_rng(0)
    if min(sizes) * m.min() < FEW_EXPECTED:
        sides = [
            m[None, :] if n is None else draw.multinomial(max(1, round(n)), m, _DRAWS) / max(1, round(n)) for n in n_eff
        ]
        shown = js_distance(sides[0], sides[1])
        return NoiseFloor(float(shown.mean()), float(np.quantile(shown, 0.95)), "simulated")
    divergence = float((np.diag(V) / m).sum()) / 8
    ratio = math.exp(float(special.gammaln(K / 2) - special.gammaln((K - 1) / 2)))
    mean = math.sqrt(divergence / math.log(2)) * math.sqrt(2 / (K - 1)) * ratio
    gaps = draw.multivariate_normal(np.zeros(K), V, _DRAWS, method="eigh")
    shown = np.sqrt((np.square(gaps) / m).sum(axis=1) / (8 * math.log(2)))
    return NoiseFloor(mean, float(np.quantile(shown, 0.95)), "closed form")
