"""Ranks of candidates by welfare, and by its limit where welfare is level."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cmp_to_key, partial

import numpy as np
import numpy.typing as npt

from plural_nb.jury.distribution import Distribution, Floats, with_zeros
from plural_nb.jury.lead import Lead

# Logarithms of welfare, and shares of zeros, closer together than this are compared in closer detail.
TIE = 1e-12


def ranks(
    spread: Sequence[Distribution], log_positive: Floats, alpha: Floats
) -> tuple[npt.NDArray[np.int64], tuple[str, ...]]:
    """Return (A, C) ranks, 1 for the best, and what decided at each α.

    spread: the C distributions. log_positive: (A, C) log w_α over the jurors above zero.

    Candidates share a rank only where they tie exactly (to rounding): the others are told apart by the sign of their
    lead, even where their welfare is the same number. For finite α >= 1 the least weight of jurors at zero comes first
    ("fewest zeros"); at ∞ level minima are told apart by leximin. 0 where nobody rated.
    """
    zero = np.array([d.zero for d in spread])
    rated = ~np.isnan(zero)
    leads: dict[tuple[int, int], Lead] = {}

    def order(i: int, j: int, value: float) -> int:
        """Negative where i comes before j."""
        pair = (min(i, j), max(i, j))
        if pair not in leads:
            leads[pair] = Lead.of(spread[pair[0]], spread[pair[1]])
        sign = leads[pair].sign(value)
        return -sign if i == pair[0] else sign

    rank = np.zeros(log_positive.shape, dtype=np.int64)
    decided = []
    for a, value in enumerate(alpha):
        below = value < 1
        key = with_zeros(log_positive[a], zero, np.array(value)) if below else log_positive[a]
        zeros = np.where(rated, 0.0, np.nan) if below else zero
        level = _level_groups(zeros, key)
        place = 1
        for group in level:
            place = _place(rank[a], group, place, partial(order, value=float(value)))
        if np.isinf(value):
            close = any(len(group) > 1 for group in level) or int((zero[rated] > 0).sum()) > 1
            decided.append("leximin" if close else "welfare")
        else:
            decided.append("fewest zeros" if not below and int((zero[rated] > 0).sum()) > 1 else "welfare")
    return rank, tuple(decided)


def leximin_ranks(spread: Sequence[Distribution]) -> npt.NDArray[np.int64]:
    """Return (C,) ranks by leximin: weighted quantile functions are compared from below.

    The candidate with less weight at the lowest utility at which two differ is better; those that agree throughout
    share a rank; 0 for one that nobody rated.

    >>> columns = [[1.0, 1.0, 9.0], [1.0, 2.0, 2.0], [0.5, 9.0, 9.0]]
    >>> leximin_ranks([Distribution.of(np.array(u), np.ones(3)) for u in columns]).tolist()
    [2, 1, 3]
    """
    at = np.array([np.inf])
    rank, _ = ranks(spread, np.column_stack([d.log_welfare(at) for d in spread]), at)
    return np.asarray(rank[0])


def best(log_positive: Floats, zero: Floats, alpha: Floats) -> npt.NDArray[np.bool_]:
    """Return (R, A, C) which candidates are best at each α, by the limit rule from α = 1 on; ties to 1e-12.

    log_positive: (R, A, C), zero: (R, 1, C), alpha: (A, 1), finite.
    """
    zeros = np.where(alpha >= 1, zero, 0.0 * zero)
    key = np.where(alpha >= 1, log_positive, with_zeros(log_positive, zero, alpha))
    fewest = zeros <= np.where(np.isnan(zeros), np.inf, zeros).min(axis=-1, keepdims=True) + TIE
    key = np.where(fewest & ~np.isnan(key), key, -np.inf)
    top = key.max(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore"):
        return np.asarray(fewest & ((key >= top - TIE) | (key == top)))


def _level_groups(zeros: Floats, log_w: Floats) -> list[list[int]]:
    """Candidates in order of fewest zeros and highest welfare, those level to rounding together."""
    groups: list[list[int]] = []
    for c in np.lexsort((-log_w, zeros)):
        if np.isnan(zeros[c]):
            continue
        last = groups[-1][-1] if groups else -1
        level = last >= 0 and abs(zeros[c] - zeros[last]) <= TIE
        if level and (log_w[c] == log_w[last] or abs(log_w[c] - log_w[last]) <= TIE):
            groups[-1].append(int(c))
        else:
            groups.append([int(c)])
    return groups


def _place(rank: npt.NDArray[np.int64], group: list[int], first: int, order: Callable[[int, int], int]) -> int:
    """Give ranks from `first` on to one group and return the next free one."""
    if len(group) > 1:
        group = sorted(group, key=cmp_to_key(order))
    for place, c in enumerate(group):
        tied = place > 0 and order(group[place - 1], c) == 0
        rank[c] = rank[group[place - 1]] if tied else first + place
    return first + len(group)
