"""Distances between rows of option probabilities, and their entropy; each names its base and its unit."""

from __future__ import annotations

import math
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
from scipy import special

from plural_nb.errors import PluralError, nearest
from plural_nb.survey.question import Question

Floats = npt.NDArray[np.float64]
Unit = Literal["nats", "bits", "normalised"]


def js_distance(p: npt.ArrayLike, q: npt.ArrayLike, *, base: float = 2) -> Floats:
    """Return the Jensen–Shannon distance, the square root of the divergence, along the last axis.

    p, q: (..., K) rows of probabilities over the same options. base: of the logarithm; with 2 the distance lies in
    [0, 1] (Sorensen et al. 2024), with e it is 0.8325546 of that. An option without probability adds 0.

    Raises PluralError for rows that are not probabilities, or differ in their number of options.

    >>> js_distance([1.0, 0.0], [0.0, 1.0]).item(), js_distance([0.5, 0.5], [0.5, 0.5]).item()
    (1.0, 0.0)
    """
    p, q = _rows(p, q)
    _require_base(base)
    m = (p + q) / 2
    m = np.where(m > 0, m, 1.0)  # both probabilities are 0, or too small to halve: x log x/1 adds nothing
    divergence = (_relative_to_middle(p, m) + _relative_to_middle(q, m)).sum(axis=-1) / 2
    return np.asarray(np.minimum(np.sqrt(np.maximum(divergence, 0.0) / math.log(base)), math.sqrt(math.log(2, base))))


def total_variation(p: npt.ArrayLike, q: npt.ArrayLike) -> Floats:
    """Return half the sum of absolute differences along the last axis, in [0, 1].

    >>> total_variation([0.9, 0.1], [0.6, 0.4]).item()
    0.30000000000000004
    """
    p, q = _rows(p, q)
    return np.asarray(np.abs(p - q).sum(axis=-1) / 2)


def hellinger(p: npt.ArrayLike, q: npt.ArrayLike) -> Floats:
    """Return the Hellinger distance sqrt(½ Σ (√p − √q)²) along the last axis, in [0, 1].

    >>> hellinger([1.0, 0.0], [0.0, 1.0]).item()
    1.0
    """
    p, q = _rows(p, q)
    return np.asarray(np.sqrt(np.square(np.sqrt(p) - np.sqrt(q)).sum(axis=-1) / 2))


def kl(p: npt.ArrayLike, q: npt.ArrayLike, *, base: float = math.e) -> Floats:
    """Return the Kullback–Leibler divergence of p from q along the last axis, in nats unless another base is given.

    It is infinite where q gives no probability to an option that p has, and is not symmetric.

    >>> kl([0.5, 0.5], [0.5, 0.5]).item(), kl([0.5, 0.5], [1.0, 0.0]).item()
    (0.0, inf)
    """
    p, q = _rows(p, q)
    _require_base(base)
    return np.asarray(np.maximum(special.rel_entr(p, q).sum(axis=-1), 0.0) / math.log(base))


def entropy(p: npt.ArrayLike, *, unit: Unit = "nats") -> Floats:
    """Return the entropy along the last axis: in "nats", in "bits", or "normalised" by ln K to [0, 1].

    >>> entropy([0.25] * 4).round(4).item(), entropy([0.25] * 4, unit="bits").item()
    (1.3863, 2.0)
    """
    if unit not in get_args(Unit):
        raise PluralError(f"Unknown unit of entropy {unit!r}. {nearest(str(unit), get_args(Unit))}")
    rows, _ = _rows(p, p)
    K = rows.shape[-1]
    if unit == "normalised" and K < 2:
        raise PluralError("The entropy of a single option cannot be normalised: ln 1 is 0.")
    divisor = {"nats": 1.0, "bits": math.log(2), "normalised": math.log(K)}[unit]
    return np.asarray(special.entr(rows).sum(axis=-1) / divisor)


def wasserstein(
    p: npt.ArrayLike, q: npt.ArrayLike, values: npt.ArrayLike | Question, *, normalised: bool = False
) -> Floats:
    """Return the Wasserstein (earth mover's) distance of options on a scale, along the last axis.

    values: (K,) place of each option on the scale, in any order, or the question that declares them.
    normalised: divide by max − min of the values, which makes it lie in [0, 1].

    Raises SurveyError for a nominal question, whose options have no values; PluralError for values that do not fit.
    Σ_j |F_p(j) − F_q(j)|·(v_{j+1} − v_j), options sorted by value (not scipy's `wasserstein_distance(p, q)`, which
    reads probabilities as samples).

    >>> wasserstein([0.1, 0.5, 0.4], [0.2, 0.3, 0.5], [1, 2, 1.5]).round(12).item()
    0.15
    """
    p, q = _rows(p, q)
    v = np.asarray(values.values if isinstance(values, Question) else values, dtype=np.float64)
    if v.shape != (p.shape[-1],):
        raise PluralError(f"There are {v.size} values for {p.shape[-1]} options; give one per option.")
    if not np.isfinite(v).all():
        raise PluralError(f"The values {v.tolist()} are not all finite numbers.")
    order = np.argsort(v, kind="stable")
    steps = np.diff(v[order])
    gap = np.abs(np.cumsum((p - q)[..., order], axis=-1)[..., :-1])
    distance = gap @ steps
    span = float(v.max() - v.min())
    if normalised and span == 0:
        raise PluralError("All options have the same value, so the distance has no scale to be normalised by.")
    return np.asarray(distance / span if normalised else distance)


def _relative_to_middle(x: Floats, m: Floats) -> Floats:
    """X log(x/m), where nearly equal x and m keep their digits: log1p of the small gap, not log of about 1."""
    gap = (x - m) / m
    near = np.abs(gap) < 0.5
    return np.asarray(np.where(near, special.xlog1py(x, np.where(near, gap, 0.0)), special.xlogy(x, x / m)))


def _rows(p: npt.ArrayLike, q: npt.ArrayLike) -> tuple[Floats, Floats]:
    a, b = np.asarray(p, dtype=np.float64), np.asarray(q, dtype=np.float64)
    for rows in (a, b):
        if rows.ndim == 0:
            raise PluralError("A distance needs rows of probabilities, not a single number.")
        wrong = ~((rows >= 0).all(axis=-1) & (np.abs(rows.sum(axis=-1) - 1) < 1e-6))
        if wrong.any():
            first = rows[wrong][0] if rows.ndim > 1 else rows
            raise PluralError(f"{first.tolist()} is not a row of probabilities: not negative, with sum 1.")
    if a.shape[-1] != b.shape[-1]:
        raise PluralError(f"The rows have {a.shape[-1]} and {b.shape[-1]} options; align them first.")
    return a, b


def _require_base(base: float) -> None:
    if not base > 1:
        raise PluralError(f"The base of the logarithm must be greater than 1, not {base!r}.")
