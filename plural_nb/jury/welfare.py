"""Welfare of each candidate for a jury, from utilitarian (α = 0) over Nash (1) to Rawlsian (∞)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from plural_nb.errors import PluralError
from plural_nb.jury.distribution import Distribution, distributions, with_zeros
from plural_nb.jury.utilities import Utilities, nonnegative
from plural_nb.survey.design import Floats

# Powers taken before a second core is worth its start.
_MANY = 20_000_000


def welfare(utilities: Utilities | npt.ArrayLike, alpha: Any, *, weight: npt.ArrayLike | None = None) -> Floats:
    """Return w_α of each candidate, in the units of the utilities.

    w_α = (sum_i ω_i u_i^(1-α))^(1/(1-α)) with weights ω that add to 1: the mean at α = 0, the geometric mean at 1, the
    harmonic mean at 2, the minimum over jurors of weight above 0 at ∞. From α = 1 on a single zero makes it 0.

    utilities: `Utilities`, (n, C) numbers, or (n,) numbers of one candidate; NaN where a juror did not rate: each
        candidate is judged by those who rated it.
    alpha: a number from 0 to inf, or (A,) of them. weight: (n,), where utilities are plain numbers.

    Returns (C,), or (A, C) for (A,) alphas; without the last axis for one candidate's (n,). NaN where nobody rated.
    Relative error below 1e-12 for utilities in [1e-9, 1e9] and α up to 1e4, also next to α = 1. Raises PluralError for
    utilities that are negative (with the shift that mends them) or infinite, and for an α out of range.

    Sorensen et al. 2024, section 4.3; Bakker et al. 2022; Moulin 2003, chapter 3.

    >>> welfare([1.0, 4.0], [0, 1, 2, np.inf]).round(12)
    array([2.5, 2. , 1.6, 1. ])
    """
    alphas = read_alphas(alpha)
    flat = False
    if not isinstance(utilities, Utilities):
        given = np.asarray(utilities)
        flat = given.ndim == 1
        utilities = Utilities.of(given[:, None] if flat else given, weight)
    elif weight is not None:
        raise PluralError("These utilities carry their weights already; leave `weight` out.")
    nonnegative(utilities)
    result = welfare_of(utilities, distributions(utilities.values, utilities.weight), np.atleast_1d(alphas))
    result = result[:, 0] if flat else result
    return np.asarray(result if alphas.ndim else result[0])


def read_alphas(alpha: Any) -> Floats:
    """Return alphas as numbers; PluralError for one that is no number from 0 to inf.

    >>> read_alphas(["0", "inf"])
    array([ 0., inf])
    """
    try:
        alphas = np.asarray(alpha, dtype=np.float64)
    except (TypeError, ValueError):
        raise PluralError(f"α is a number from 0 to inf, not {alpha!r}.") from None
    wrong = ~(alphas >= 0)
    if wrong.any():
        raise PluralError(f"α goes from 0 (utilitarian) to inf (Rawlsian), not {float(alphas[wrong][0]):g}.")
    if alphas.ndim > 1 or alphas.size == 0:
        raise PluralError("Give one α, or a list of them.")
    return alphas


def alpha_at(a: Any) -> Any:
    """Return α = a / (1 - a) of places a on a scale from 0 to 1: α = 0 at its left, 1 in its middle, ∞ at its right.

    >>> alpha_at(np.array([0.0, 0.5, 1.0]))
    array([ 0.,  1., inf])
    """
    a = np.asarray(a, dtype=np.float64)
    with np.errstate(divide="ignore"):
        return a / (1 - a)


def place_of(alpha: Any) -> Any:
    """Return a = α / (1 + α), the place of α in [0, 1].

    >>> place_of([0, 1, np.inf])
    array([0. , 0.5, 1. ])
    """
    alpha = np.asarray(alpha, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        return np.where(np.isinf(alpha), 1.0, alpha / (1 + alpha))


def log_welfares(spread: Sequence[Distribution], alpha: Floats) -> Floats:
    """Return (A, C) log w_α over each candidate's jurors above zero, on as many cores as the work deserves."""
    work = alpha.size * sum(d.log_utility.size for d in spread)
    cores = min(len(spread), os.cpu_count() or 1, 8) if work > _MANY else 1
    if cores == 1:
        return np.column_stack([d.log_welfare(alpha) for d in spread])
    with ThreadPoolExecutor(cores) as pool:
        return np.column_stack(list(pool.map(lambda d: d.log_welfare(alpha), spread)))


def welfare_of(utilities: Utilities, spread: Sequence[Distribution], alpha: Floats) -> Floats:
    """Return (A, C) welfare from distributions; the mean and the minimum without the detour over logarithms."""
    zero = np.array([d.zero for d in spread])
    return from_logs(utilities, log_welfares(spread, alpha), zero, alpha)


def from_logs(utilities: Utilities, log_positive: Floats, zero: Floats, alpha: Floats) -> Floats:
    """Return (A, C) welfare from its logarithms over the jurors above zero and the shares of zeros."""
    result = np.exp(with_zeros(log_positive, zero[None, :], alpha[:, None]))
    counted = ~np.isnan(utilities.values) & (utilities.weight > 0)[:, None]
    if (alpha == 0).any():
        w = np.where(counted, utilities.weight[:, None], 0.0)
        with np.errstate(invalid="ignore"):
            result[alpha == 0] = (w * np.nan_to_num(utilities.values)).sum(axis=0) / w.sum(axis=0)
    if np.isinf(alpha).any():
        low = np.where(counted, utilities.values, np.inf).min(axis=0)
        result[np.isinf(alpha)] = np.where(np.isinf(low), np.nan, low)
    return result
