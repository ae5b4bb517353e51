"""Quotas: how many seats of a jury each level of a feature may hold, at least and at most."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import polars as pl

from plural_nb.errors import PluralError, nearest
from plural_nb.jury.pool import Pool

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bounds = Mapping[str, Mapping[str, tuple[int, int]]]


@dataclass(frozen=True, slots=True)
class Quotas:
    """The size of a jury and, for levels of features, the fewest and the most seats they may hold.

    size: seats. bounds: {feature: {level: (fewest, most)}}, a single number standing for both. A level that is not
    named may hold any number of seats.

    Raises PluralError for a jury without seats, a negative bound, or more at least than at most.

    >>> Quotas(10, {"age": {"young": (4, 6), "old": 5}}).bounds["age"]["old"]
    (5, 5)
    """

    size: int
    bounds: Bounds

    def __post_init__(self) -> None:
        if isinstance(self.size, bool) or not isinstance(self.size, int | np.integer) or self.size < 1:
            raise PluralError(f"A jury has 1 seat or more, not {self.size!r}.")
        checked: dict[str, Mapping[str, tuple[int, int]]] = {}
        for feature, levels in self.bounds.items():
            checked[feature] = MappingProxyType(
                {str(level): _bound(feature, level, seats) for level, seats in levels.items()}
            )
        object.__setattr__(self, "size", int(self.size))
        object.__setattr__(self, "bounds", MappingProxyType(checked))

    @classmethod
    def proportional(cls, size: int, shares: Mapping[str, Mapping[str, float]], *, leeway: int = 0) -> Quotas:
        """Return quotas that follow the shares of a population: their seats rounded down and up, ± `leeway` seats.

        shares: {feature: {level: share}}, each feature's shares sum to 1, as a weighted survey gives them.
        leeway: further seats below and above, 0 or more.

        Raises PluralError where a feature's shares do not sum to 1.

        >>> Quotas.proportional(10, {"age": {"young": 0.45, "old": 0.55}}).bounds["age"]
        mappingproxy({'young': (4, 5), 'old': (5, 6)})
        """
        if leeway < 0:
            raise PluralError(f"The leeway is 0 seats or more, not {leeway}.")
        bounds = {}
        for feature, levels in shares.items():
            total = sum(levels.values())
            if not abs(total - 1) < 1e-6 or min(levels.values()) < 0:
                raise PluralError(f"The shares of {feature!r} sum to {total:.6g}; they must be 0 or more and sum to 1.")
            bounds[feature] = {
                level: (
                    max(0, math.floor(size * share + 1e-9) - leeway),
                    min(size, math.ceil(size * share - 1e-9) + leeway),
                )
                for level, share in levels.items()
            }
        return cls(size, bounds)

    def rows(self) -> list[tuple[str, str, int, int]]:
        """Return (feature, level, fewest, most), one per quota, in the order given."""
        return [(f, level, low, high) for f, levels in self.bounds.items() for level, (low, high) in levels.items()]

    def table(self, pool: Pool | None = None) -> pl.DataFrame:
        """Return one row per quota: feature, level, fewest, most, and how many of the pool have the level."""
        frame = pl.DataFrame(
            self.rows(),
            schema={"feature": pl.String, "level": pl.String, "fewest": pl.Int64, "most": pl.Int64},
            orient="row",
        )
        if pool is None:
            return frame
        return frame.with_columns(pl.Series("in_pool", self.matrix(pool).astype(np.int64) @ pool.counts))

    def matrix(self, pool: Pool) -> Floats:
        """Return (Q, T): 1 where a type of the pool counts for a quota.

        Raises PluralError, naming the nearest, for a feature or level that the pool does not have. (A level with
        quota 0 at least may be absent.)
        """
        rows = self.rows()
        A = np.zeros((len(rows), pool.counts.size))
        for q, (feature, level, low, _) in enumerate(rows):
            if feature not in pool.features:
                raise PluralError(f"The pool has no feature {feature!r}. {nearest(feature, list(pool.features))}")
            has = np.array([value == level for value in pool.types[feature]])
            if not has.any() and low > 0:
                levels = sorted(set(pool.types[feature]))
                raise PluralError(
                    f"{low} seats are kept for {feature} = {level!r}, but nobody in the pool has it. "
                    f"{nearest(level, levels)}"
                )
            A[q] = has
        return A

    def allows(self, pool: Pool, counts: npt.NDArray[np.integer]) -> bool:
        """Whether a jury with `counts` (T,) people of each type keeps all quotas and has the right size."""
        held = self.matrix(pool) @ counts
        rows = self.rows()
        kept = all(low <= seats <= high for seats, (_, _, low, high) in zip(held, rows, strict=True))
        return bool(kept and counts.sum() == self.size and (counts <= pool.counts).all() and (counts >= 0).all())


def _bound(feature: str, level: object, seats: object) -> tuple[int, int]:
    low, high = (seats, seats) if isinstance(seats, int | np.integer) else tuple(seats)  # type: ignore[arg-type]
    whole = all(isinstance(s, int | np.integer) and not isinstance(s, bool) for s in (low, high))
    if not whole or low < 0 or high < low:
        raise PluralError(
            f"The quota of {feature} = {str(level)!r} is {seats!r}; give (fewest, most), whole numbers from 0 on, "
            "the first not above the second."
        )
    return int(low), int(high)
