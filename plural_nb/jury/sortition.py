"""Sortition: the lottery over juries that keep all quotas and give everyone as fair a chance as can be.

Maximin makes the smallest probability of being seated as large as possible; leximin then the second smallest, and
so on (Flanigan, Gölz, Gupta, Hennig & Procaccia 2021, Nature 596, "Fair algorithms for selecting citizens'
assemblies"). Written from the paper: people who share all features are one *type*, a jury is a count of people of
each type, a linear programme mixes juries, and an integer programme finds the jury that would improve the mix.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
from scipy import optimize, sparse

from plural_nb.errors import PluralError, nearest
from plural_nb.jury.lottery import Lottery
from plural_nb.jury.pool import Pool
from plural_nb.jury.quotas import Quotas

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Rule = Literal["leximin", "maximin"]

# A jury that would raise the objective by less than this is not looked for: probabilities are exact to it.
_GAP = 1e-8
# A type whose share of the dual exceeds this is held down by the quotas in every best lottery.
_HELD = 1e-6
# Juries looked for before the first linear programme, which costs more than finding them.
_FIRST = 200
# So many stages without a new jury, and it is worth looking whether the floors leave any freedom at all.
_QUIET = 5
_EXACT = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}


def sortition(
    pool: Pool, quotas: Quotas, *, rule: Rule = "leximin", progress: Callable[[int, int], None] | None = None
) -> Lottery:
    """Return the fairest lottery over juries from `pool` that keep `quotas`.

    rule: "leximin" or "maximin" (see the module). progress: called with (types settled, types in all).

    Raises PluralError for an unknown rule, and for quotas that nobody can keep: the message has the smallest change
    that would mend them (`smallest_relaxation`). Probabilities are optimal to 1e-8.

    >>> import polars as pl
    >>> people = pl.DataFrame({"age": ["old"] * 6 + ["young"] * 3})
    >>> lottery = sortition(Pool.of(people), Quotas(4, {"age": {"young": 2}}))
    >>> lottery.probability.round(4).tolist()
    [0.3333, 0.3333, 0.3333, 0.3333, 0.3333, 0.3333, 0.6667, 0.6667, 0.6667]
    """
    if rule not in get_args(Rule):
        raise PluralError(f"Unknown rule of sortition {rule!r}. {nearest(str(rule), get_args(Rule))}")
    juries = _Juries(pool, quotas)
    columns = _Columns(juries)
    T = pool.counts.size
    columns.explore()
    # A type that fits into no jury at all has probability 0, whatever the rule; the others start with one jury each.
    floor = np.full(T, np.nan)
    for t in range(T):
        if not columns.covers(t):
            best = juries.best(np.eye(T)[t])
            if best[t] == 0:
                floor[t] = 0.0
            else:
                columns.add(best)
    known, quiet, patience = 0, 0, _QUIET
    while np.isnan(floor).any():
        held, value = _raise_floor(columns, floor)
        floor[held] = value
        quiet = quiet + 1 if len(columns) == known else 0
        known = len(columns)
        if rule == "leximin" and quiet >= patience and np.isnan(floor).any():
            _settle_all(columns, floor, value)
            quiet, patience = 0, 2 * patience
        if progress is not None:
            progress(int((~np.isnan(floor)).sum()), T)
        if rule == "maximin":
            floor[np.isnan(floor)] = value
    return Lottery.of(pool, quotas, columns.array(), _mix(columns, floor), rule)


def smallest_relaxation(pool: Pool, quotas: Quotas) -> Quotas:
    """Return quotas that a jury can keep, with the fewest seats moved in all bounds together.

    The quotas themselves where they can be kept already. Raises PluralError when not even a jury without quotas
    exists: the pool has fewer people than there are seats.

    >>> import polars as pl
    >>> pool = Pool.of(pl.DataFrame({"age": ["old"] * 6 + ["young"] * 2}))
    >>> smallest_relaxation(pool, Quotas(4, {"age": {"young": 3}})).rows()
    [('age', 'young', 2, 3)]
    """
    if pool.n < quotas.size:
        raise PluralError(f"The pool has {pool.n} people for {quotas.size} seats.")
    A, rows = quotas.matrix(pool), quotas.rows()
    Q, T = A.shape
    low, high = _limits(quotas)
    # Variables: people of each type, seats taken off each lower bound, seats added to each upper bound.
    eye, none = np.eye(Q), np.zeros((Q, Q))
    lower = optimize.LinearConstraint(np.hstack([A, eye, none]), low, np.inf)
    upper = optimize.LinearConstraint(np.hstack([A, none, -eye]), -np.inf, high)
    seats = optimize.LinearConstraint(np.r_[np.ones(T), np.zeros(2 * Q)], quotas.size, quotas.size)
    cost = np.r_[np.zeros(T), np.ones(2 * Q)]
    top = np.r_[pool.counts, np.full(2 * Q, quotas.size + pool.n)]
    found = optimize.milp(
        cost, constraints=[lower, upper, seats], integrality=np.ones(cost.size), bounds=optimize.Bounds(0, top)
    )
    less, more = np.rint(found.x[T:]).astype(int).reshape(2, Q)
    bounds: dict[str, dict[str, tuple[int, int]]] = {}
    for q, (feature, level, a, b) in enumerate(rows):
        bounds.setdefault(feature, {})[level] = (a - int(less[q]), b + int(more[q]))
    return Quotas(quotas.size, bounds)


def explain_infeasible(pool: Pool, quotas: Quotas) -> str:
    """Return, in words, the smallest change that makes quotas keepable; empty where they can be kept.

    >>> import polars as pl
    >>> explain_infeasible(Pool.of(pl.DataFrame({"age": ["old", "old", "young"]})), Quotas(2, {"age": {"young": 2}}))
    'age = young: 2 seats becomes 1 to 2 seats'
    """
    relaxed = smallest_relaxation(pool, quotas)
    changes = [
        f"{feature} = {level}: {_range(a, b)} becomes {_range(c, d)}"
        for (feature, level, a, b), (_, _, c, d) in zip(quotas.rows(), relaxed.rows(), strict=True)
        if (a, b) != (c, d)
    ]
    return "; ".join(changes)


@dataclass(frozen=True, slots=True)
class _Programme:
    """What a best jury must satisfy, as HiGHS wants it."""

    constraints: list[optimize.LinearConstraint]
    bounds: optimize.Bounds


class _Juries:
    """All juries that keep the quotas, as the feasible points of an integer programme over counts of types."""

    def __init__(self, pool: Pool, quotas: Quotas) -> None:
        self.pool, self.quotas = pool, quotas
        T = pool.counts.size
        if pool.n < quotas.size:
            raise PluralError(f"The pool has {pool.n} people for {quotas.size} seats.")
        A = quotas.matrix(pool)
        low, high = _limits(quotas)
        rows = np.vstack([A, np.ones((1, T))])
        self._constraint = optimize.LinearConstraint(
            sparse.csr_array(rows), np.r_[low, quotas.size], np.r_[high, quotas.size]
        )
        self._bounds = optimize.Bounds(0, pool.counts)
        if self._solve(np.zeros(T)) is None:
            raise PluralError(
                "No jury keeps these quotas. The smallest change that would do: "
                + explain_infeasible(pool, quotas)
                + "."
            )

    def best(self, gain: Floats) -> Ints:
        """The jury (T,) of largest total gain, `gain` being per person of each type."""
        found = self._solve(gain)
        if found is None:
            raise PluralError("The integer programme found no jury, although there is one; please report this.")
        return found

    def _solve(self, gain: Floats) -> Ints | None:
        scale = float(np.abs(gain).max()) or 1.0
        found = optimize.milp(
            -gain / scale, constraints=self._constraint, integrality=np.ones(gain.size), bounds=self._bounds,
            options={"mip_rel_gap": 0.0},
        )  # fmt: skip
        return None if found.x is None else np.rint(found.x).astype(np.int64)


class _Columns:
    """The juries found so far, with each one's share of every type (the columns of the linear programme)."""

    def __init__(self, juries: _Juries) -> None:
        self.juries, self.counts = juries, juries.pool.counts
        self._known: dict[bytes, int] = {}
        self._list: list[Ints] = []

    def add(self, jury: Ints) -> bool:
        key = jury.tobytes()
        if key in self._known:
            return False
        self._known[key] = len(self._list)
        self._list.append(jury)
        return True

    def explore(self) -> None:
        """Begin with varied juries: whoever has been seated counts for less in the next (multiplicative weights)."""
        gain = np.ones(self.counts.size)
        for _ in range(min(_FIRST, self.counts.size)):
            jury = self.juries.best(gain / self.counts)
            self.add(jury)
            gain *= np.exp(-jury / self.counts)
            gain /= gain.max()

    def covers(self, t: int) -> bool:
        return any(jury[t] > 0 for jury in self._list)

    def __len__(self) -> int:
        return len(self._list)

    def array(self) -> Ints:
        return np.array(self._list)

    def shares(self) -> Floats:
        """(T, P) probability that each jury gives to a person of each type."""
        return np.asarray(self.array().T / self.counts[:, None])


def _raise_floor(columns: _Columns, floor: Floats) -> tuple[npt.NDArray[np.bool_], float]:
    """Raise the smallest probability of the types not settled yet; which of them it holds down, and its value."""
    free = np.isnan(floor)
    while True:
        shares = columns.shares()
        P = shares.shape[1]
        # Maximise z: free types get at least z, settled ones what they were promised.
        upper = sparse.csr_array(np.hstack([-shares, free[:, None].astype(float)]))
        limit = np.where(free, 0.0, -np.nan_to_num(floor) + _GAP)
        equal = np.r_[np.ones(P), 0.0][None, :]
        found = optimize.linprog(
            np.r_[np.zeros(P), -1.0], A_ub=upper, b_ub=limit, A_eq=equal, b_eq=[1.0],
            bounds=[(0, None)] * P + [(None, None)], method="highs", options=_EXACT,
        )  # fmt: skip
        if found.x is None:
            raise PluralError(f"The linear programme of the lottery failed: {found.message}")
        dual = np.maximum(-found.ineqlin.marginals, 0.0)
        worth = float(-found.eqlin.marginals[0])
        jury = columns.juries.best(dual / columns.counts)
        gain = float(dual @ (jury / columns.counts)) - worth
        if gain <= _GAP or not columns.add(jury):
            value = float(found.x[-1])
            held = free & (dual > _HELD)
            if not held.any():
                held = free & (dual >= dual[free].max())
            return held, max(value, 0.0)


def _settle_all(columns: _Columns, floor: Floats, value: float) -> None:
    """Settle every type left, in place, where the floors leave no freedom: they allow one set of probabilities only.

    Seen by pushing the probabilities in a random direction and back again: a set with room has width in almost every
    direction. It spares a programme per type where many types each have their own floor.
    """
    free = np.isnan(floor)
    lower = np.where(free, value, floor) - _GAP
    direction = np.where(free, np.random.default_rng(0).normal(size=floor.size), 0.0)
    there, back = (_push(columns, lower, sign * direction) for sign in (1.0, -1.0))
    if np.abs(there - back).max() < 100 * _GAP:
        floor[free] = np.maximum((there + back)[free] / 2, value)


def _push(columns: _Columns, lower: Floats, direction: Floats) -> Floats:
    """(T,) probabilities at least `lower` that go furthest in `direction`."""
    while True:
        shares = columns.shares()
        P = shares.shape[1]
        found = optimize.linprog(
            -direction @ shares, A_ub=sparse.csr_array(-shares), b_ub=-lower, A_eq=np.ones((1, P)), b_eq=[1.0],
            method="highs", options=_EXACT,
        )  # fmt: skip
        if found.x is None:
            raise PluralError(f"The linear programme of the lottery failed: {found.message}")
        dual = np.maximum(-found.ineqlin.marginals, 0.0)
        gain = (direction + dual) / columns.counts
        jury = columns.juries.best(gain)
        if float(gain @ jury) + float(found.eqlin.marginals[0]) <= _GAP or not columns.add(jury):
            return np.asarray(shares @ found.x)


def _mix(columns: _Columns, floor: Floats) -> Floats:
    """(P,) probabilities of the juries found that give every type at least its floor."""
    shares = columns.shares()
    T, P = shares.shape
    # Slack that all may fall short by, made as small as can be: the floors were each met only to the gap.
    upper = np.hstack([-shares, -np.ones((T, 1))])
    found = optimize.linprog(
        np.r_[np.zeros(P), 1.0], A_ub=upper, b_ub=-floor, A_eq=np.r_[np.ones(P), 0.0][None, :], b_eq=[1.0],
        method="highs", options=_EXACT,
    )  # fmt: skip
    return np.asarray(np.maximum(found.x[:P], 0.0))


def _limits(quotas: Quotas) -> tuple[Floats, Floats]:
    rows = quotas.rows()
    return np.array([r[2] for r in rows], dtype=float), np.array([r[3] for r in rows], dtype=float)


def _range(low: int, high: int) -> str:
    return f"{low} seats" if low == high else f"{low} to {high} seats"
