"""Majorities between pairs of candidates, and the rules that look at nothing else."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from plural_nb.jury.distribution import Floats

Bools = npt.NDArray[np.bool_]

# Majorities smaller than this share of the weight are a tie.
TIE = 1e-12
_BLOCK = 4_000_000


def margins(values: Floats, weight: Floats) -> Floats:
    """Return (R, C, C) majority margins m_ab: the share who prefer a to b less the share who prefer b to a.

    values: (n, C) utilities, NaN where not rated. weight: (R, n). Shares are of the weight of those who rated both; who
    rates both alike counts for neither; a pair that nobody rated is a tie.

    >>> margins(np.array([[3.0, 1.0], [2.0, 1.0], [1.0, 2.0]]), np.ones((1, 3)))[0]
    array([[ 0.        ,  0.33333333],
           [-0.33333333,  0.        ]])
    """
    R, (n, C) = weight.shape[0], values.shape
    result = np.zeros((R, C, C))
    first, second = np.triu_indices(C, 1)
    rated = ~np.isnan(values)
    total = weight.sum(axis=1)[:, None]
    step = max(_BLOCK // max(n, 1), 1)
    for start in range(0, first.size, step):
        a, b = first[start : start + step], second[start : start + step]
        with np.errstate(invalid="ignore"):
            sign = np.nan_to_num(np.sign(values[:, a] - values[:, b]))
        both = total if rated.all() else weight @ (rated[:, a] & rated[:, b]).astype(np.float64)
        m = weight @ sign / np.where(both > 0, both, 1.0)
        m[np.abs(m) <= TIE] = 0.0
        result[:, a, b], result[:, b, a] = m, -m
    return result


def condorcet_winners(m: Floats) -> Bools:
    """Return (R, C) which candidate beats every other; none where a majority always prefers somebody else.

    >>> condorcet_winners(margins(np.array([[3.0, 2, 1], [3, 1, 2], [1, 3, 2]]), np.ones((1, 3))))
    array([[ True, False, False]])
    """
    C = m.shape[1]
    beaten = m > 0
    beaten[:, np.arange(C), np.arange(C)] = True
    return np.asarray(beaten.all(axis=2))


def smith_sets(m: Floats) -> Bools:
    """Return (R, C) the smallest set of candidates who each beat every candidate outside it.

    >>> cycle = margins(np.array([[3.0, 2, 1, 0], [1, 3, 2, 0], [2, 1, 3, 0]]), np.ones((1, 3)))
    >>> smith_sets(cycle)
    array([[ True,  True,  True, False]])
    """
    reach = m >= 0
    for via in range(m.shape[1]):
        # Whom can a candidate reach over candidates that are not beaten by the next? (Warshall)
        reach |= reach[:, :, via, None] & reach[:, None, via, :]
    return np.asarray(reach.all(axis=2))


def borda_points(m: Floats) -> Floats:
    """Return (R, C) mean points of a juror's order: one for each candidate ranked below, a half for each level with it.

    Where ratings are missing each pair is judged by those who rated both.

    >>> borda_points(margins(np.array([[3.0, 2, 1], [3, 3, 2]]), np.ones((1, 2))))
    array([[1.75, 1.25, 0.  ]])
    """
    C = m.shape[1]
    return np.asarray((m.sum(axis=2) + C - 1) / 2)


def maximal_lotteries(m: Floats) -> Floats:
    """Return (R, C) a lottery over candidates that no other lottery beats by majority (the von Neumann winner).

    It is a best strategy of the symmetric game of margins, whose value is 0; where a Condorcet winner exists it is
    that one. Fishburn (1984), "Probabilistic social choice based on simple voting comparisons".

    >>> cycle = margins(np.array([[3.0, 2, 1], [1, 3, 2], [2, 1, 3]]), np.ones((1, 3)))
    >>> maximal_lotteries(cycle).round(3)
    array([[0.333, 0.333, 0.333]])
    """
    certain = condorcet_winners(m)
    result = certain.astype(np.float64)
    for r in np.flatnonzero(~certain.any(axis=1)):
        result[r] = _best_strategy(m[r])
    return result


def extreme_lotteries(m: Floats) -> Floats:
    """Return (2 C, C) maximal lotteries of (C, C) margins with the least and the largest probability of each candidate.

    They are all alike where the maximal lottery is the only one; their mean is one of them too and favours nobody.

    >>> extreme_lotteries(np.zeros((2, 2)))
    array([[0., 1.],
           [1., 0.],
           [1., 0.],
           [0., 1.]])
    """
    aims = np.eye(m.shape[0])
    return np.array([_best_strategy(m, sign * aim) for aim in aims for sign in (1.0, -1.0)])


def _best_strategy(m: Floats, aim: Floats | None = None) -> Floats:
    """A lottery p with pᵀm >= 0; the one with least aim·p among them where an aim is given."""
    from scipy.optimize import linprog

    C = m.shape[0]
    if aim is None:
        # max v: pᵀm >= v. The value is 0 up to rounding, and asking for the largest keeps the programme feasible.
        cost = np.append(np.zeros(C), -1.0)
        upper = np.column_stack([-m.T, np.ones(C)])
        equal = np.append(np.ones(C), 0.0)[None, :]
        found = linprog(cost, upper, np.zeros(C), equal, [1.0], bounds=[(0, None)] * C + [(None, None)])
    else:
        found = linprog(aim, -m.T, np.full(C, 1e-9), np.ones((1, C)), [1.0], bounds=[(0, None)] * C)
    p = np.maximum(found.x[:C], 0.0)
    p[p < 1e-9] = 0.0
    return np.asarray(p / p.sum())
