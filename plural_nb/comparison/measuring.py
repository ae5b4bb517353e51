"""Every distance of many pairs of share rows at once, options along the first axis, for tables and replicates."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from plural_nb.comparison.distances import Floats
from plural_nb.survey.question import Question

Numbers = npt.NDArray[np.floating[Any]]

DISTANCE_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "js_distance": "Jensen–Shannon distance (base 2)",
        "total_variation": "Total variation",
        "hellinger": "Hellinger distance",
        "wasserstein_normalised": "Wasserstein distance (share of the scale)",
        "wasserstein": "Wasserstein distance (in units of the scale)",
        "kl": "Kullback–Leibler divergence of the first side from the second (nats)",
        "kl_reversed": "Kullback–Leibler divergence of the second side from the first (nats)",
    }
)
# Measures that grow with the square of a small difference and are shown as they are; of the others the root is shown.
DIVERGENCES = frozenset({"kl", "kl_reversed"})
_NEAREST_TO_ONE = {np.dtype(np.float32): np.float32(1 - 2**-24), np.dtype(np.float64): 1 - 2**-53}


@dataclass(frozen=True, slots=True, eq=False)
class Scale:
    """The places of options on a scale: their order by value, the steps between neighbours, and the whole range."""

    order: npt.NDArray[np.int64]
    steps: Floats
    span: float

    @classmethod
    def of(cls, question: Question) -> Scale | None:
        """The scale of a question's substantive options; None where it is nominal or all values are the same."""
        if question.kind == "nominal":
            return None
        values = np.asarray(question.values, dtype=np.float64)
        order = np.argsort(values, kind="stable")
        span = float(values[order[-1]] - values[order[0]])
        return cls(order, np.diff(values[order]), span) if span > 0 else None


def squared(p: Numbers, q: Numbers, scale: Scale | None, *, divergences: bool = True) -> dict[str, Numbers]:
    """Return each distance squared (a divergence as it is) between rows that may hold many pairs.

    p, q: (K, ...) shares, options first, of one floating type. Wasserstein is in shares of the scale.
    divergences: whether those of Kullback and Leibler are wanted too.

    JSD = ½ Σ p·log1p(t) + q·log1p(−t) with t = (p − q)/(p + q) keeps the digits of a small difference, so that
    replicates can be held in single precision: half the memory, and a third of the time.

    >>> found = squared(np.array([[1.0], [0.0]]), np.array([[0.0], [1.0]]), None)
    >>> {name: value.round(6).tolist() for name, value in found.items()}["js_distance"]
    [1.0]
    """
    gap, total = p - q, p + q
    t = gap / np.where(total > 0, total, 1)
    most: Any = _NEAREST_TO_ONE[t.dtype]
    np.clip(t, -most, most, out=t)
    up = np.log1p(t)
    down = np.log1p(np.negative(t, out=t), out=t)
    cross = ((p * up).sum(axis=0), (q * down).sum(axis=0))
    found = {
        "js_distance": np.clip((cross[0] + cross[1]) / (2 * math.log(2)), 0, 1),
        "total_variation": np.square(np.abs(gap).sum(axis=0) / 2),
        "hellinger": np.square(np.sqrt(p) - np.sqrt(q)).sum(axis=0) / 2,
    }
    if scale is not None:
        found["wasserstein_normalised"] = np.square(_moved(gap, scale))
    if not divergences:
        return found
    np.subtract(up, down, out=up)
    if t.dtype == np.float64:
        # t holds no share below 1e-16 of the other; the logarithm of their ratio does.
        with np.errstate(divide="ignore", invalid="ignore"):
            up = np.where((np.abs(up) > 2) & (p > 0) & (q > 0), np.log(p) - np.log(q), up)
    for name, part, other, sign in (("kl", p, q, 1), ("kl_reversed", q, p, -1)):
        value = np.maximum((part * up).sum(axis=0) * sign, 0)
        impossible = ((other <= 0) & (part > 0)).any(axis=0)
        found[name] = np.where(impossible, np.inf, value).astype(t.dtype, copy=False)
    return found


def squared_noise(noise: Numbers, middle: Numbers, scale: Scale | None) -> dict[str, Numbers]:
    """Return what `squared` is of shares that differ by small noise only, around the middle of the pair.

    noise: (K, ...) differences that sum to 0. middle: (K, ...) shares m. JSD and squared Hellinger are ⅛ Σ noise²/m
    nats to first order, the Kullback–Leibler divergences ½ Σ noise²/m.
    """
    with np.errstate(divide="ignore"):
        weight = np.where(middle > 0, 1 / middle, 0).astype(noise.dtype, copy=False)
    chi2 = (np.square(noise) * weight).sum(axis=0)
    found = {
        "js_distance": chi2 / (8 * math.log(2)),
        "total_variation": np.square(np.abs(noise).sum(axis=0) / 2),
        "hellinger": chi2 / 8,
    }
    if scale is not None:
        found["wasserstein_normalised"] = np.square(_moved(noise, scale))
    found["kl"] = found["kl_reversed"] = chi2 / 2
    return found


def shown(name: str, value: Any) -> Any:
    """Return the distance whose `squared` is given: its root, negative values as 0; a divergence as it is."""
    value = np.maximum(value, 0)
    return value if name in DIVERGENCES else np.sqrt(value)


def _moved(gap: Numbers, scale: Scale) -> Numbers:
    """Σ_j |F(j)|·Δv_j over the range, F the running sum of the gap in the order of the scale."""
    running = np.zeros_like(gap[0])
    moved = np.zeros_like(gap[0])
    for k, step in zip(scale.order[:-1], scale.steps, strict=True):
        running = running + gap[k]
        moved += np.abs(running) * gap.dtype.type(step / scale.span)
    return np.asarray(moved)
