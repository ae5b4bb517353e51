"""Options that nobody in a sample chose: what the share that they may have all the same does to a distance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from plural_nb.comparison.distances import Floats
from plural_nb.comparison.measuring import DIVERGENCES, Numbers, Scale, squared
from plural_nb.survey.design import Ints


@dataclass(frozen=True, eq=False)
class Unseen:
    """Pairs in which a sample shows nobody of an option that the other side has.

    at: (C0,) which pairs. squares: (C0, R) each distance squared, with shares drawn for the unseen options. base:
    (C0,) the same where each has the share of one person; drawn: (C0, R) that in each replicate (divergences only:
    without it they are infinite).
    """

    at: Ints
    squares: Mapping[str, Numbers]
    base: Mapping[str, Numbers]
    drawn: Mapping[str, Numbers]


INFINITE = (
    "infinite: an exact row gives no probability to an option of the other side",
    "infinite as seen: a sample shows nobody of an option of the other side, so only a lower bound is known",
)


def infinite_note(value: float, low: float) -> str:
    """Return why a divergence is infinite, by its lower bound; empty where it is finite.

    >>> infinite_note(float("inf"), 0.2).partition(":")[0], infinite_note(0.3, 0.2)
    ('infinite as seen', '')
    """
    return INFINITE[int(np.isfinite(low))] if np.isinf(value) else ""


def unseen_options(
    rows: tuple[Numbers, Numbers],
    drawn: tuple[Numbers, Numbers],
    sizes: tuple[Floats, Floats],
    scale: Scale | None,
    seed: int = 0,
) -> Unseen | None:
    """Return what unseen options may hide, None where each sample shows every option that the other side has.

    rows: shares (K, C) of both sides. drawn: (K, C, R) their replicates, in which an unseen option stays unseen (of an
    exact row one for all: (K, C, 1)). sizes: effective numbers (C,), infinite for an exact row, of which 0 is 0.

    Where nobody of n chose an option, its share may be e/n with e of the gamma distribution ½: Jeffreys' interval,
    whose mean coverage is nominal (Brown, Cai and DasGupta 2001). How little it may be, nothing says.

    >>> p, q = np.array([[0.5], [0.5], [0.0]]), np.array([[0.4], [0.4], [0.2]])
    >>> found = unseen_options((p, q), (p[:, :, None], q[:, :, None]), (np.array([100.0]), np.array([np.inf])), None)
    >>> found.at.tolist(), found.base["kl_reversed"].round(3).tolist()
    ([0], [0.429])
    """
    p, q = rows
    hidden = tuple((one <= 0) & (other > 0) & np.isfinite(n) for one, other, n in ((p, q, sizes[0]), (q, p, sizes[1])))
    at = np.flatnonzero((hidden[0] | hidden[1]).any(axis=0))
    if not at.size:
        return None
    kind, R = drawn[0].dtype, max(each.shape[2] for each in drawn)
    made, once, replicated = [], [], []
    for i in (0, 1):
        here = hidden[i][:, at, None]
        one = (here / np.where(np.isfinite(sizes[i]), sizes[i], 1.0)[at, None]).astype(kind)
        share = rows[i][:, at, None].astype(kind)
        made.append(_filled(share, one * _jeffreys(p.shape[0], R, seed + i).astype(kind)[:, None, :]))
        once.append(_filled(share, one))
        replicated.append(_filled(drawn[i][:, at], one))
    base = squared(once[0], once[1], scale)
    one, other = np.broadcast_arrays(*replicated)
    again = squared(one, other, scale)
    return Unseen(
        at, squared(made[0], made[1], scale), {name: value[:, 0] for name, value in base.items()},
        {name: again[name] for name in DIVERGENCES},
    )  # fmt: skip


def _filled(share: Numbers, extra: Numbers) -> Numbers:
    """Shares with what unseen options have, the others scaled to make room."""
    taken = np.minimum(extra.sum(axis=0), 0.5) / np.where((total := extra.sum(axis=0)) > 0, total, 1)
    extra = extra * taken
    return np.asarray(share * (1 - extra.sum(axis=0)) + extra)


@lru_cache(maxsize=8)
def _jeffreys(K: int, draws: int, seed: int) -> Floats:
    """(K, R) numbers that all pairs share."""
    return np.random.default_rng((seed, 11)).standard_gamma(0.5, (K, draws))
