"""Seating a jury without a lottery programme: at random, in proportion to weights, or by filling quotas one by one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from plural_nb.errors import PluralError
from plural_nb.jury.lottery import Jury
from plural_nb.jury.pool import Pool
from plural_nb.jury.quotas import Quotas
from plural_nb.jury.sortition import explain_infeasible

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# Greedy filling can paint itself into a corner; after so many fresh starts it says so.
_STARTS = 200


def seat_at_random(pool: Pool, size: int, *, seed: int) -> Jury:
    """Return a simple random jury: everyone has the probability size/n.

    Raises PluralError when there are more seats than people.

    >>> import polars as pl
    >>> seat_at_random(Pool.of(pl.DataFrame({"age": ["old"] * 10})), 4, seed=1).probability.tolist()
    [0.4, 0.4, 0.4, 0.4]
    """
    _require_people(pool, size)
    rng = np.random.default_rng(seed)
    seated = np.sort(rng.choice(pool.n, size=size, replace=False))
    return Jury(pool, seated, np.full(size, size / pool.n), "simple random", seed)


def seat_by_weight(pool: Pool, size: int, weight: npt.ArrayLike, *, seed: int) -> Jury:
    """Return a jury in which each person's probability of a seat is proportional to a weight.

    weight: (n,) 0 or more; survey weights make the jury look like the population. Drawn systematically from a
    randomly ordered list, so the probabilities hold exactly; a person whose share is above 1/size has a sure seat and
    the rest share what is left (Särndal, Swensson & Wretman 1992, section 3.6).

    Raises PluralError for weights that are negative, not finite, or positive for fewer people than there are seats.

    >>> import polars as pl
    >>> pool = Pool.of(pl.DataFrame({"age": ["old", "old", "young"]}))
    >>> seat_by_weight(pool, 2, [1, 1, 2], seed=1).table().select("age", "probability").rows()
    [('old', 0.5), ('young', 1.0)]
    """
    _require_people(pool, size)
    w = np.asarray(weight, dtype=np.float64)
    if w.shape != (pool.n,) or not np.isfinite(w).all() or (w < 0).any():
        raise PluralError(f"The weights must be {pool.n} finite numbers, 0 or more, one per person of the pool.")
    if (w > 0).sum() < size:
        raise PluralError(f"Only {(w > 0).sum()} people have a weight above 0, for {size} seats.")
    p = _inclusion(w, size)
    rng = np.random.default_rng(seed)
    order = rng.permutation(pool.n)
    ends = np.cumsum(p[order])
    # Rounding must not lose the last seat: the ends are stretched to the number of seats they sum to.
    ends *= size / ends[-1]
    seated = np.sort(order[np.searchsorted(ends, rng.random() + np.arange(size), side="right")])
    return Jury(pool, seated, p[seated], "proportional to weight", seed)


def seat_by_quota(pool: Pool, quotas: Quotas, *, seed: int) -> Jury:
    """Return a jury filled one by one: a random person of the level that most needs people, until all seats are taken.

    This is how many assemblies are filled. It keeps the quotas, but nobody knows the probabilities (they are NaN), and
    people with rare combinations can be all but shut out: compare `sortition`.

    Raises PluralError when the quotas contradict each other, or every start ends in a dead end.

    >>> import polars as pl
    >>> pool = Pool.of(pl.DataFrame({"age": ["old"] * 6 + ["young"] * 2}))
    >>> seat_by_quota(pool, Quotas(3, {"age": {"young": 1}}), seed=1).table()["age"].to_list()
    ['old', 'old', 'young']
    """
    _require_people(pool, quotas.size)
    if change := explain_infeasible(pool, quotas):
        raise PluralError(f"No jury keeps these quotas. The smallest change that would do: {change}.")
    A = quotas.matrix(pool)[:, pool.type_of] > 0
    low = np.array([row[2] for row in quotas.rows()])
    high = np.array([row[3] for row in quotas.rows()])
    rng = np.random.default_rng(seed)
    for _ in range(_STARTS):
        seated = _fill(A, low, high, quotas.size, rng)
        if seated is not None:
            note = "the probabilities of a seat are not known: quotas were filled greedily"
            return Jury(pool, np.sort(seated), np.full(quotas.size, np.nan), "quota", seed, note)
    raise PluralError(
        f"Filling the quotas one by one ended in a dead end {_STARTS} times; `sortition` finds a jury whenever there "
        "is one."
    )


def _fill(A: npt.NDArray[np.bool_], low: Ints, high: Ints, size: int, rng: np.random.Generator) -> Ints | None:
    """One greedy try; None for a dead end."""
    Q, n = A.shape
    open_, held, seated = np.ones(n, dtype=bool), np.zeros(Q, dtype=np.int64), []
    for _ in range(size):
        left = A[:, open_].sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            need = np.where(held < low, (low - held) / left, 0.0)
        if np.isinf(need).any() or (need > 1).any():
            return None
        choices = np.flatnonzero(open_ & A[int(np.argmax(need))]) if need.max(initial=0) > 0 else np.flatnonzero(open_)
        if choices.size == 0:
            return None
        person = int(rng.choice(choices))
        seated.append(person)
        open_[person] = False
        held += A[:, person]
        full = held >= high
        if full.any():
            open_ &= ~A[full].any(axis=0)
    return np.array(seated) if (held >= low).all() else None


def _inclusion(w: Floats, size: int) -> Floats:
    """(n,) probabilities proportional to w, at most 1, that sum to size."""
    p = np.zeros(w.size)
    sure = np.zeros(w.size, dtype=bool)
    while True:
        rest = ~sure
        p[rest] = (size - sure.sum()) * w[rest] / w[rest].sum() if w[rest].sum() > 0 else 0.0
        p[sure] = 1.0
        over = rest & (p >= 1)
        if not over.any():
            return p
        sure |= over


def _require_people(pool: Pool, size: int) -> None:
    if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 1:
        raise PluralError(f"A jury has 1 seat or more, not {size!r}.")
    if size > pool.n:
        raise PluralError(f"The pool has {pool.n} people for {size} seats.")
