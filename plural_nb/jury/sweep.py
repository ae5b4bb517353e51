"""A sweep over α: welfare, rank and winner of each candidate from α = 0 to ∞, and how surely."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from plural_nb.errors import PluralError
from plural_nb.jury.distribution import Floats, distributions, with_zeros
from plural_nb.jury.ranking import best, ranks
from plural_nb.jury.resampling import percentiles, replicate_weights, replicated_logs, share_won
from plural_nb.jury.utilities import Utilities, nonnegative
from plural_nb.jury.welfare import alpha_at, from_logs, log_welfares, read_alphas


@dataclass(frozen=True, slots=True, eq=False)
class Sweep:
    """Welfare of C candidates at A values of α.

    alpha: (A,) from 0 to inf, ascending. welfare: (A, C) in the units of the utilities; NaN where nobody rated.
    low, high: (A, C) bounds of the interval; NaN for a whole jury and at ∞ (these jurors only: the bootstrap is
        inconsistent for a minimum).
    rank: (A, C) 1 for the best, ties share it, 0 where nobody rated. Where welfare is level at 0, and at ∞ where minima
        are level, ranks are those of the limit: see `ranked_by`.
    ranked_by: (A,) "welfare", "fewest zeros" (for finite α >= 1: least weight of jurors at zero, then w_α over the
        rest) or "leximin" (at ∞).
    probability: (A, C) share of replicates that the candidate won; NaN like the bounds.
    level: of the interval; replicates, seed: what was asked for. notes: what a reader must know.
    """

    utilities: Utilities = field(repr=False)
    alpha: Floats
    welfare: Floats = field(repr=False)
    low: Floats = field(repr=False)
    high: Floats = field(repr=False)
    rank: npt.NDArray[np.int64] = field(repr=False)
    ranked_by: tuple[str, ...] = field(repr=False)
    probability: Floats = field(repr=False)
    level: float
    notes: tuple[str, ...]
    replicates: int = field(default=500, repr=False)
    seed: int = field(default=0, repr=False)

    def winners(self) -> list[tuple[str, ...]]:
        """Return the candidates of rank 1 at each α."""
        names = self.utilities.candidates
        return [tuple(n for n, r in zip(names, row, strict=True) if r == 1) for row in self.rank]

    def table(self) -> pl.DataFrame:
        """Return one row per α and candidate: alpha, candidate, n, welfare, low, high, rank, ranked_by, probability."""
        A, C = self.welfare.shape
        tile = np.tile(self.utilities.rated, A)
        frame = pl.DataFrame(
            {
                "alpha": np.repeat(self.alpha, C),
                "candidate": list(self.utilities.candidates) * A,
                "n": tile,
                "welfare": self.welfare.ravel(),
                "low": self.low.ravel(),
                "high": self.high.ravel(),
                "rank": self.rank.ravel(),
                "ranked_by": np.repeat(self.ranked_by, C),
                "probability": self.probability.ravel(),
            }
        )
        numbers = pl.col("welfare", "low", "high", "probability").fill_nan(None)
        return frame.with_columns(numbers, pl.when(pl.col("rank") > 0).then(pl.col("rank")).alias("rank"))

    def code(self, name: str = "jury") -> str:
        """Return the plain line that makes this sweep again from the utilities called `name`.

        >>> sweep(Utilities.of({"A": [1.0, 2.0]}), [0, np.inf]).code()
        'sweep(jury, [0.0, float("inf")], replicates=500, level=0.95, seed=0)'
        """
        alphas = ", ".join('float("inf")' if np.isinf(alpha) else repr(float(alpha)) for alpha in self.alpha)
        return f"sweep({name}, [{alphas}], replicates={self.replicates}, level={self.level}, seed={self.seed})"

    def sentence(self) -> str:
        """Return who wins at which α, how surely, and what a reader must know, in plain text."""
        won = self.winners()
        starts = [i for i in range(len(won)) if i == 0 or won[i] != won[i - 1]]
        parts = []
        for first, following in zip(starts, [*starts[1:], len(won)], strict=True):
            low, high = (_alpha(self.alpha[i]) for i in (first, following - 1))
            at = f"at α = {low}" if low == high else f"from α = {low} to {high}"
            names = " and ".join(won[first]) or "nobody"
            parts.append(f"{names} {'wins' if len(won[first]) <= 1 else 'are level'} {at}")
        said = [f"Of {len(self.utilities.candidates)} candidates, {'; '.join(parts)}."]
        least = [
            (float(self.probability[a, self.rank[a] == 1].sum()), float(self.alpha[a]))
            for a in range(self.alpha.size)
            if np.isfinite(self.probability[a]).any()
        ]
        if least:
            share, alpha = min(least)
            said.append(f"The winner is least sure at α = {_alpha(alpha)}: {share:.0%} of resampled juries agree.")
        return " ".join([*said, *(f"{note[:1].upper()}{note[1:]}." for note in self.notes)])


def sweep(
    utilities: Utilities, alpha: Any = None, *, replicates: int = 500, level: float = 0.95, seed: int = 0
) -> Sweep:
    """Return welfare, ranks, intervals and the probability of winning over a grid of α.

    alpha: values from 0 to inf; 101 places evenly spaced on the scale α/(1+α) when None, 0, 1 and ∞ among them.
    replicates, seed: of the Rao–Wu bootstrap, where the jury is a sample (`utilities.design`). level: of the interval,
    which is made of percentiles of the replicates.

    Grid points show the curve; `switches` finds the α at which the winner changes exactly. Raises PluralError for
    negative utilities and an α out of range.

    >>> jury = Utilities.of({"Bold": [9.0, 9.0, 1.0], "Mild": [4.0, 4.0, 4.0]})
    >>> sweep(jury, [0, 1, np.inf]).winners()
    [('Bold',), ('Bold',), ('Mild',)]
    """
    alphas = np.unique(read_alphas(alpha_at(np.linspace(0, 1, 101)) if alpha is None else alpha))
    if not 0 < level < 1:
        raise PluralError(f"The level of an interval lies between 0 and 1, not {level!r}.")
    nonnegative(utilities)
    spread = distributions(utilities.values, utilities.weight)
    zero = np.array([d.zero for d in spread])
    logs = log_welfares(spread, alphas)
    welfare = from_logs(utilities, logs, zero, alphas)
    rank, ranked_by = ranks(spread, logs, alphas)
    low, high, probability = (np.full(welfare.shape, np.nan) for _ in range(3))
    drawn = replicate_weights(utilities, replicates, seed=seed)
    notes = [*utilities.about(), drawn.note]
    finite = np.isfinite(alphas)
    if drawn.weight is not None:
        theta, zeros = replicated_logs(utilities, drawn.weight, alphas[finite])
        a = alphas[finite][:, None]
        low[finite], high[finite] = percentiles(np.exp(with_zeros(theta, zeros[:, None, :], a)), level)
        probability[finite] = share_won(best(theta, zeros[:, None, :], a))
        empty = np.isnan(welfare)
        low[empty], high[empty], probability[empty] = np.nan, np.nan, np.nan
        if not finite.all():
            notes.append("the minimum (α = ∞) speaks of these jurors only")
    limits = sorted(set(ranked_by) - {"welfare"})
    if limits:
        notes.append(f"where welfare is level, ranks are those of the limit ({', '.join(limits)})")
    said = tuple(filter(None, notes))
    return Sweep(
        utilities, alphas, welfare, low, high, rank, ranked_by, probability, level, said, replicates, seed
    )  # fmt: skip


def winners(utilities: Utilities, alpha: Any) -> list[tuple[str, ...]]:
    """Return who wins at each α, ties all named, in the order given; without intervals.

    >>> winners(Utilities.of({"Bold": [9.0, 9.0, 1.0], "Mild": [4.0, 4.0, 4.0]}), [np.inf, 0])
    [('Mild',), ('Bold',)]
    """
    alphas = np.atleast_1d(read_alphas(alpha))
    nonnegative(utilities)
    spread = distributions(utilities.values, utilities.weight)
    rank, _ = ranks(spread, log_welfares(spread, alphas), alphas)
    return [tuple(n for n, r in zip(utilities.candidates, row, strict=True) if r == 1) for row in rank]


def _alpha(value: float) -> str:
    return "∞" if np.isinf(value) else f"{value:.3g}"
