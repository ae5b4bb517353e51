"""Replicate weights: balanced, Fay's, jackknife, bootstrap and successive differences, a file's own or made here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from plural_nb.errors import SurveyError, nearest
from plural_nb.survey.design import Design, Floats, Ints, psus_per_stratum, sampled_fraction

Centre = Literal["theta", "mean"]
Kind = Literal["BRR", "Fay", "JK1", "JKn", "bootstrap", "successive differences", "other"]

# Eigenvalues of the replicates' cross-products below this fraction of the largest are rounding, when their rank is
# counted: double precision keeps them to 1e-14, and a jackknife of R units has none below 1/R².
_RANK = 1e-12
_LARGEST_JACKKNIFE = 10_000


@dataclass(frozen=True, slots=True, eq=False)
class Replicates:
    """R sets of weights whose estimates vary as the sample's would: Var = scale sum_r rscales_r (theta_r - centre)².

    weights: (n, R) whole weights, or (A, R) factors that multiply the base weights of the rows of each unit. They may
        be negative (the American Community Survey has such).
    scale, rscales: the factor of all and (R,) of each; ones when None.
    centre: "theta", the estimate of the whole sample (Stata's default, R's mse = TRUE), or "mean", that of the
        replicates (R's default).
    kind: for the methods text. unit: (n,) the unit of each row, where `weights` are factors of units.

    Raises SurveyError for fewer than two replicates, missing numbers, or lengths that differ.

    >>> Replicates.brr(np.array([[2.0, 0.0], [0.0, 2.0]])).scale
    0.5
    """

    weights: Floats = field(repr=False)
    scale: float
    rscales: Floats | None = field(default=None, repr=False)
    centre: Centre = "theta"
    kind: Kind = "other"
    unit: Ints | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        weights = np.asarray(self.weights, dtype=np.float64)
        if weights.ndim != 2 or weights.shape[1] < 2:
            raise SurveyError(f"Replicate weights need two columns or more, one per replicate; got {weights.shape}.")
        bad = ~np.isfinite(weights)
        if bad.any():
            row, column = (int(i[0]) for i in np.nonzero(bad))
            raise SurveyError(
                f"Replicate {column + 1} has no weight in row {row + 1}; every row needs a number in each."
            )
        rscales = np.ones(weights.shape[1]) if self.rscales is None else np.asarray(self.rscales, dtype=np.float64)
        if rscales.shape != (weights.shape[1],):
            raise SurveyError(f"There are {weights.shape[1]} replicates but {rscales.size} rscales; give one for each.")
        if not (np.isfinite(rscales).all() and (rscales >= 0).all() and (rscales > 0).any()):
            raise SurveyError("The rscales must be numbers of 0 or more, at least one of them above 0.")
        if not (np.isfinite(self.scale) and self.scale > 0):
            raise SurveyError(f"The scale of the replicates must be a positive number, not {self.scale!r}.")
        for value, allowed, name in ((self.centre, get_args(Centre), "centre"), (self.kind, get_args(Kind), "kind")):
            if value not in allowed:
                raise SurveyError(f"The {name} of the replicates is {value!r}. {nearest(str(value), allowed)}")
        if self.unit is not None and int(self.unit.max()) >= weights.shape[0]:
            raise SurveyError(
                f"There are factors for {weights.shape[0]} units, but unit {int(self.unit.max())} is used."
            )
        object.__setattr__(self, "weights", weights)
        object.__setattr__(self, "rscales", rscales)

    @property
    def n(self) -> int:
        """Number of rows."""
        return int(self.weights.shape[0] if self.unit is None else self.unit.size)

    @property
    def size(self) -> int:
        """Number of replicates."""
        return int(self.weights.shape[1])

    def weight(self, r: int, base: Floats) -> Floats:
        """Return (n,) the weights of replicate r, given the full sample's."""
        column = self.weights[:, r]
        return column if self.unit is None else base * column[self.unit]

    def rank(self, rows: npt.NDArray[np.bool_] | None = None) -> int:
        """Return the rank of the replicate weights in some rows (all when None)."""
        if self.unit is None:
            block = self.weights if rows is None else self.weights[rows]
        else:
            block = self.weights[np.unique(self.unit if rows is None else self.unit[rows])]
        if block.size == 0:
            return 0
        eigen = np.linalg.eigvalsh(block.T @ block if block.shape[0] > block.shape[1] else block @ block.T)
        return int((eigen > _RANK * eigen[-1]).sum())

    @classmethod
    def brr(cls, weights: Any, *, centre: Centre = "theta", unit: Ints | None = None) -> Replicates:
        """Balanced repeated replication: 1/R."""
        return cls(weights, 1 / np.shape(weights)[1], None, centre, "BRR", unit)

    @classmethod
    def fay(cls, weights: Any, rho: float, *, centre: Centre = "theta", unit: Ints | None = None) -> Replicates:
        """Fay's variant with its coefficient 0 <= rho < 1: 1/(R (1 - rho)²)."""
        if not 0 <= rho < 1:
            raise SurveyError(f"Fay's coefficient rho lies from 0 to below 1, not {rho!r}.")
        return cls(weights, 1 / (np.shape(weights)[1] * (1 - rho) ** 2), None, centre, "Fay", unit)

    @classmethod
    def jk1(cls, weights: Any, *, centre: Centre = "theta", unit: Ints | None = None) -> Replicates:
        """Delete-one jackknife without strata: (R - 1)/R."""
        R = np.shape(weights)[1]
        return cls(weights, (R - 1) / R, None, centre, "JK1", unit)

    @classmethod
    def jkn(cls, weights: Any, rscales: Any, *, centre: Centre = "theta", unit: Ints | None = None) -> Replicates:
        """Delete-one jackknife with strata; rscales: (n_h - 1)/n_h of the stratum each replicate thins."""
        return cls(weights, 1.0, np.asarray(rscales, dtype=np.float64), centre, "JKn", unit)

    @classmethod
    def bootstrap(
        cls, weights: Any, *, divisor: Literal["R", "R-1"] = "R", centre: Centre = "theta", unit: Ints | None = None
    ) -> Replicates:
        """Bootstrap: 1/R or 1/(R - 1), as the codebook says."""
        R = np.shape(weights)[1]
        return cls(weights, 1 / (R if divisor == "R" else R - 1), None, centre, "bootstrap", unit)

    @classmethod
    def successive_differences(cls, weights: Any, *, centre: Centre = "theta") -> Replicates:
        """Successive differences, as in the American Community Survey: 4/R."""
        return cls(weights, 4 / np.shape(weights)[1], None, centre, "successive differences")


def replicate_estimates(design: Design, statistic: Callable[[Floats], Floats]) -> Floats:
    """Return (R, ...) the statistic of each replicate; `statistic` takes (n,) weights.

    Where the design is calibrated, each replicate is calibrated anew.
    """
    replicates = _of(design)
    base, fit = design.weight, design.calibration
    if fit is not None:
        base = fit.base
    columns = (replicates.weight(r, base) for r in range(replicates.size))
    return np.stack([np.asarray(statistic(w if fit is None else fit.refit(w))) for w in columns])


def replicate_covariance(design: Design, thetas: Floats, theta: Floats) -> Floats:
    """Return (G, K, K) covariances from (R, G, K) replicate estimates around theta (G, K) or their mean.

    A replicate in which a group has nobody (NaN) is left out of that group's sum, as in R; `unusable` counts them.
    """
    replicates = _of(design)
    c = replicates.scale * np.asarray(replicates.rscales)
    usable = np.asarray(np.isfinite(thetas).all(axis=2))
    filled = np.where(usable[:, :, None], thetas, 0.0)
    centre = theta
    if replicates.centre == "mean":
        counted = usable & (c > 0)[:, None]
        with np.errstate(invalid="ignore", divide="ignore"):
            centre = (filled * counted[:, :, None]).sum(axis=0) / counted.sum(axis=0)[:, None]
    gap = np.where(usable[:, :, None], filled - centre, 0.0)
    V = np.einsum("r,rgk,rgl->gkl", c, gap, gap)
    V[~usable.any(axis=0)] = np.nan
    return np.asarray(V)


def unusable(thetas: Floats) -> Ints:
    """Return (G,) how many replicates have nobody in each group."""
    return np.asarray((~np.isfinite(thetas).all(axis=2)).sum(axis=0), dtype=np.int64)


def replicate_degrees_of_freedom(design: Design, group: Ints, row: Ints, groups: int) -> tuple[Floats, str]:
    """Return (G,) degrees of freedom where neither PSUs nor the file's documentation tell them, and a note.

    It is the rank of the replicate weights of a group's members less one. Raises SurveyError for bootstrap weights
    whose rank is their number: it then tells how many replicates were made and nothing about the sample.
    """
    replicates = _of(design)
    df = np.zeros(groups)
    for g in range(groups):
        inside = np.zeros(design.n, dtype=np.bool_)
        inside[row[group == g]] = True
        rank = replicates.rank(inside)
        if replicates.kind == "bootstrap" and rank >= replicates.size:
            raise SurveyError(
                f"{replicates.size} bootstrap weights without PSUs do not tell the degrees of freedom. Give the "
                "design's df (PSUs less strata, from the survey's documentation)."
            )
        df[g] = max(rank - 1, 0)
    return df, "degrees of freedom are the rank of the replicate weights less one"


def jackknife(design: Design) -> Design:
    """Return the design with JKn replicates made from its strata and PSUs: each PSU is left out once.

    Totals then have exactly the Taylor variance, fpc included. Raises SurveyError for a stratum with one PSU, and for
    more than 10,000 PSUs (people, without PSUs), where the bootstrap does as well with fewer replicates.

    >>> made = jackknife(Design(np.ones(4), psu=np.array([0, 0, 1, 2])))
    >>> made.replicates.size, made.replicates.rscales.round(3).tolist()
    (3, [0.667, 0.667, 0.667])
    """
    strata, n_h, unit, present = _units(design)
    if present.size > _LARGEST_JACKKNIFE:
        raise SurveyError(
            f"A jackknife of {present.size} PSUs would need as many replicates. Make a bootstrap instead "
            "(`bootstrap(design)`)."
        )
    factors = np.ones((strata.size, present.size))
    h = strata[present]
    same = h[:, None] == h[None, :]
    factors[present] = np.where(same, (n_h[h] / (n_h[h] - 1))[None, :], 1.0)
    factors[present, np.arange(present.size)] = 0.0
    left = 1 - sampled_fraction(design)
    rscales = left[h] * (n_h[h] - 1) / n_h[h]
    return replace(design, replicates=Replicates.jkn(factors, rscales, unit=unit))


def bootstrap(design: Design, replicates: int = 500, *, seed: int = 0) -> Design:
    """Return the design with Rao–Wu rescaled bootstrap replicates: n_h - 1 PSUs drawn with replacement per stratum.

    Variances are 1/R sum (theta_r - theta)². An fpc shrinks the factors towards 1. Rao, Wu and Yue (1992).
    Raises SurveyError for a stratum with one PSU.

    >>> bootstrap(Design(np.ones(6)), 50).replicates.weight(3, np.ones(6)).sum().item()
    6.0
    """
    if replicates < 2:
        raise SurveyError(f"A bootstrap needs two replicates or more, not {replicates}.")
    strata, _, unit, present = _units(design)
    draw = np.random.default_rng(seed)
    factors = np.ones((strata.size, replicates))
    left = 1 - sampled_fraction(design)
    for h in np.unique(strata[present]):
        psus = present[strata[present] == h]
        m = psus.size - 1
        counts = draw.multinomial(m, np.full(psus.size, 1 / psus.size), size=replicates).T
        shrink = np.sqrt(left[h])
        factors[psus] = 1 - shrink + shrink * psus.size / m * counts
    return replace(design, replicates=Replicates.bootstrap(factors, unit=unit))


def read_rscales(texts: Sequence[str], where: str) -> Floats:
    """Return the numbers written in lines, separated by spaces, commas or semicolons."""
    words = " ".join(texts).replace(",", " ").replace(";", " ").split()
    try:
        return np.array([float(word) for word in words])
    except ValueError:
        bad = next(word for word in words if not _is_number(word))
        raise SurveyError(f"{where}: {bad!r} is not a number. Write one rscale per replicate, one a line.") from None


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _of(design: Design) -> Replicates:
    if design.replicates is None:
        raise SurveyError("The design has no replicate weights. Make some: jackknife(design) or bootstrap(design).")
    return design.replicates


def _units(design: Design) -> tuple[Ints, Ints, Ints, Ints]:
    """The stratum of each unit, units per stratum, the unit of each row, and the units that occur."""
    strata, n_h = psus_per_stratum(design)
    unit = np.arange(design.n) if design.psu is None else design.psu
    present = np.unique(unit)
    alone = n_h[strata[present]] == 1
    if alone.any():
        raise SurveyError(
            f"{int(alone.sum())} strata have a single PSU, which no replicate can leave out. Merge strata first."
        )
    return strata, n_h, unit, present
