"""People drawn again: sums under Rao–Wu bootstrap weights, the same draws wherever the same people stand."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from scipy import special

from plural_nb.comparison.distances import Floats
from plural_nb.errors import PluralError
from plural_nb.survey.design import Design, Ints, psus_per_stratum
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
        """Draw PSUs anew within strata, or take a file's replicate weights, which then are as many as it has.

        Deviations of replicate weights are scaled so that their mean square is the design's variance (sqrt(c_r R) of
        them). Strata of a single PSU are drawn together (one alone with another stratum) where `lonely` allows
        them; weights fitted to known totals are not fitted anew, which leaves intervals a little wide.

        Raises SurveyError for a stratum with a single PSU that is to fail, PluralError for fewer than 100 replicates.
        """
        if replicates < 100:
            raise PluralError(f"A bootstrap of people needs 100 replicates or more, not {replicates}.")
        rows = np.arange(design.n)
        if design.n == 1:
            return cls(design.weight, rows, None, replicates)
        given = design.replicates
        if given is not None:
            c = np.sqrt(given.scale * np.asarray(given.rscales) * given.size)
            weights = np.column_stack([given.weight(r, design.weight) for r in range(given.size)])
            with np.errstate(invalid="ignore", divide="ignore"):
                factors = np.where(design.weight[:, None] > 0, weights / design.weight[:, None], 1.0)
            return cls(design.weight, rows, 1 + c * (factors - 1), given.size)
        unit = rows if design.psu is None else design.psu
        drawn = bootstrap(replace(_together(design), calibration=None), replicates, seed=seed).replicates
        assert drawn is not None
        return cls(design.weight, unit, drawn.weights, replicates)

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


def _together(design: Design) -> Design:
    """The design with its strata of one PSU made one stratum, or put to another where there is one of them."""
    if design.lonely == "fail" or design.stratum is None:
        return design
    _, n_h = psus_per_stratum(design)
    alone = np.flatnonzero(n_h == 1)
    if alone.size == 0:
        return design
    others = np.flatnonzero(n_h > 1)
    target = alone[0] if alone.size > 1 or others.size == 0 else others[0]
    stratum = np.where(np.isin(design.stratum, alone), target, design.stratum)
    return replace(design, stratum=stratum, fpc=None)
