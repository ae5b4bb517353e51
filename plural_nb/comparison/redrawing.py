"""People drawn again: sums under Rao–Wu bootstrap weights, the same draws wherever the same people stand."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from scipy import special

from plural_nb.comparison.distances import Floats
from plural_nb.errors import PluralError
from plural_nb.survey.design import Design, Ints
from plural_nb.survey.replicates import bootstrap

REPLICATES = 500


@dataclass(frozen=True, slots=True, eq=False)
class Redrawing:
    """R redrawings of the PSUs (people, without PSUs) of one design.

    factors: (A, R) by which each unit's weights are multiplied; None where a single row is all there is, which is
    exact and does not vary. unit: (n,) of each row. weight: (n,).

    >>> sums = Redrawing.of(Design(np.ones(50)), 200).sums(np.ones((50, 1)))
    >>> sums.shape, bool((sums.round(9) == 50).all())
    ((201, 1, 1), True)
    """

    weight: Floats
    unit: Ints
    factors: Floats | None = field(repr=False)
    replicates: int

    @classmethod
    def of(cls, design: Design, replicates: int = REPLICATES, seed: int = 0) -> Redrawing:
        """Draw from strata and PSUs; a file's own replicate weights and calibration have no part in it.

        Raises SurveyError for a stratum with a single PSU, PluralError for fewer than 100 replicates.
        """
        if replicates < 100:
            raise PluralError(f"A bootstrap of people needs 100 replicates or more, not {replicates}.")
        unit = np.arange(design.n) if design.psu is None else design.psu
        if design.n == 1:
            return cls(design.weight, np.zeros(1, dtype=np.int64), None, replicates)
        made = bootstrap(replace(design, replicates=None, calibration=None), replicates, seed=seed).replicates
        assert made is not None
        return cls(design.weight, np.asarray(unit, dtype=np.int64), made.weights, replicates)

    def sums(self, columns: Floats, group: Ints | None = None, groups: int = 1) -> Floats:
        """Return (1 + R, G, C) weighted sums of columns (n, C) by group: those found, then those of each redrawing.

        group: (n,) 0..G−1, −1 for rows that count nowhere; one group when None.
        """
        found = np.zeros((1 + self.replicates, groups, columns.shape[1]))
        for g in range(groups):
            rows = np.arange(self.weight.size) if group is None else np.flatnonzero(group == g)
            units, place = np.unique(self.unit[rows], return_inverse=True)
            by_unit = np.zeros((units.size, columns.shape[1]))
            np.add.at(by_unit, place, self.weight[rows, None] * columns[rows])
            found[0, g] = by_unit.sum(axis=0)
            found[1:, g] = found[0, g] if self.factors is None else self.factors[units].T @ by_unit
        return found


def redrawings(a: Design, b: Design, replicates: int, seed: int) -> tuple[Redrawing, Redrawing]:
    """Return the redrawings of two sides: one and the same where both have one design, else independent ones."""
    first = Redrawing.of(a, replicates, seed)
    return first, first if a is b else Redrawing.of(b, replicates, seed + 1)


def bounds(
    value: Floats, redrawn: Floats, level: float, *, log: bool = False, debias: bool = True
) -> tuple[Floats, Floats, Floats]:
    """Return a value with the bootstrap's bias taken off, and its bounds, from (R, ...) redrawn values.

    log: on the logarithmic scale, for ratios. debias: whether the bias is taken off, mean(redrawn) − value: variances
    between groups are too large by the sampling error of the group means, and redrawn ones are so twice. NaN where
    nothing varies with people.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        x, drawn = (np.log(value), np.log(redrawn)) if log else (value, redrawn)
        usable = np.isfinite(drawn)
        n = usable.sum(axis=0)
        mean = np.where(usable, drawn, 0.0).sum(axis=0) / n
        sd = np.sqrt(np.where(usable, np.square(drawn - mean), 0.0).sum(axis=0) / (n - 1))
    sd = np.where(sd > 1e-12, sd, np.nan)
    centre = 2 * x - mean if debias else x
    reach = float(special.ndtri((1 + level) / 2)) * sd
    low, high = centre - reach, centre + reach
    if log:
        return np.exp(centre), np.exp(low), np.exp(high)
    return np.asarray(centre), np.asarray(low), np.asarray(high)
