"""First choices: plurality, and instant run-off with every way of breaking its ties followed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from plural_nb.jury.distribution import Floats
from plural_nb.jury.pairwise import TIE, Bools

Ints = npt.NDArray[np.intp]

# Beyond so many sets of remaining candidates in one round, ties are broken in the order listed, and it is said.
_MOST_SETS = 3_000


def first_choices(values: Floats, among: Bools) -> Floats:
    """Return (n, C) each juror's vote for the best-rated of some candidates, shared equally where several are level.

    among: (C,) the candidates who stand. Who rated none of them has no vote.

    >>> first_choices(np.array([[3.0, 1.0, 3.0], [1.0, np.nan, 0.0]]), np.array([True, True, True]))
    array([[0.5, 0. , 0.5],
           [1. , 0. , 0. ]])
    """
    standing = np.where(among & ~np.isnan(values), values, -np.inf)
    top = standing.max(axis=1, keepdims=True)
    chosen = (standing == top) & np.isfinite(top)
    count = chosen.sum(axis=1, keepdims=True)
    return np.asarray(chosen / np.where(count > 0, count, 1))


def plurality_shares(values: Floats, weight: Floats) -> Floats:
    """Return (R, C) shares of first choices among jurors who rated anything. weight: (R, n).

    >>> plurality_shares(np.array([[3.0, 1, 2], [2, 3, 1]]), np.ones((1, 2)))
    array([[0.5, 0.5, 0. ]])
    """
    votes = weight @ first_choices(values, np.ones(values.shape[1], dtype=np.bool_))
    total = votes.sum(axis=1, keepdims=True)
    return np.asarray(votes / np.where(total > 0, total, 1.0))


def instant_runoff(values: Floats, weight: Floats) -> tuple[Bools, Floats, bool, bool]:
    """Return who can win, the last round each reaches, whether there were ties, and whether all ways were followed.

    The candidate with the fewest first choices is dropped, round after round, until one is left. Where several have
    equally few, each is dropped in turn, and all who win in some order are winners.

    values: (n, C); weight: (R, n). Returns (R, C) winners; (R, C) the last round from 1 to C in which a candidate
    stands, the highest over the ways of breaking ties; and two flags.

    >>> orders = np.array([[3.0, 2, 1], [3, 2, 1], [1, 3, 2], [1, 2, 3], [1, 2, 3]])
    >>> instant_runoff(orders, np.ones((1, 5)))[:2]
    (array([[False, False,  True]]), array([[2., 1., 3.]]))
    """
    R, C = weight.shape[0], values.shape[1]
    won, last = np.zeros((R, C), dtype=np.bool_), np.ones((R, C))
    tied, complete = False, True
    # The sets of candidates that stand, and the replicates in which each can arise: all go round by round together.
    standing: dict[tuple[int, ...], Ints] = {tuple(range(C)): np.arange(R)}
    for turn in range(1, C + 1):
        following: dict[tuple[int, ...], list[Ints]] = {}
        for names, rows in standing.items():
            here = list(names)
            last[rows[:, None], here] = turn
            if len(here) == 1:
                won[rows, here[0]] = True
                continue
            among = np.zeros(C, dtype=np.bool_)
            among[here] = True
            votes = (weight[rows] @ first_choices(values, among))[:, here]
            total = votes.sum(axis=1, keepdims=True)
            fewest = votes <= votes.min(axis=1, keepdims=True) + TIE * np.where(total > 0, total, 1.0)
            if (fewest.sum(axis=1) > 1).any():
                tied = True
                if len(standing) > _MOST_SETS:
                    complete = False
                    fewest &= np.cumsum(fewest[:, ::-1], axis=1)[:, ::-1] == 1
            for place in range(len(here)):
                dropped = fewest[:, place]
                if dropped.any():
                    rest = names[:place] + names[place + 1 :]
                    following.setdefault(rest, []).append(rows[dropped])
        standing = {names: np.unique(np.concatenate(rows)) for names, rows in following.items()}
    return won, last, tied, complete
