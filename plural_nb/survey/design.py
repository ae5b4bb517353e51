"""How the respondents were drawn: weights, strata, primary sampling units (PSUs), replicates of the sample."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from plural_nb.errors import SurveyError, nearest

if TYPE_CHECKING:
    from plural_nb.survey.calibration import Calibration
    from plural_nb.survey.replicates import Replicates

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Lonely = Literal["fail", "centre", "scale", "skip"]


@dataclass(frozen=True, slots=True, eq=False)
class Design:
    """The sampling design of n rows.

    weight: (n,) base weights, finite, not negative, not all zero.
    stratum: (n,) stratum of each row as codes 0..H-1, or None for one stratum.
    psu: (n,) PSU of each row as codes 0..A-1 that are distinct across strata, or None when each row is its own PSU.
    note: what the standard errors assume, in plain words, for charts and methods text.
    weight_name: what messages call the weight.
    lonely: what a stratum with a single PSU, which has no variance of its own, adds to a variance. "fail": estimates
        raise SurveyError; "centre": its distance from the mean of all PSUs (R's adjust); "scale": the mean of the
        other strata (average); "skip": nothing (remove).
    fpc: (n,) finite population correction of the first stage: the number of PSUs (of people, without PSUs) that the
        population has in the row's stratum, or, where none is above 1, the fraction that was drawn; the same in every
        row of a stratum. None when the sample is a small part of the population.
    replicates: the file's replicate weights; variances are then made from them, and strata, PSUs and fpc only tell
        the degrees of freedom.
    calibration: how the weights were fitted to known totals, which lowers variances (`plural_nb.survey.calibration`).
    df: degrees of freedom stated by the file's documentation, for everybody and every group; counted when None.

    Raises SurveyError when lengths differ, a weight cannot be one, a PSU lies in two strata, or an fpc is not one.

    >>> Design(np.array([1.0, 2.0, 1.0])).n_eff_kish()
    2.6666666666666665
    """

    weight: Floats
    stratum: Ints | None = None
    psu: Ints | None = None
    note: str = "simple random sampling"
    weight_name: str = field(default="", kw_only=True)
    lonely: Lonely = field(default="fail", kw_only=True)
    fpc: Floats | None = field(default=None, kw_only=True, repr=False)
    replicates: Replicates | None = field(default=None, kw_only=True, repr=False)
    calibration: Calibration | None = field(default=None, kw_only=True, repr=False)
    df: float | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        weight = np.ascontiguousarray(self.weight, dtype=np.float64)
        object.__setattr__(self, "weight", weight)
        if weight.ndim != 1 or weight.size == 0:
            raise SurveyError("A design needs one weight per respondent, and at least one respondent.")
        if self.calibration is None:
            check_base_weight(weight, self.weight_name or "the weight")
        elif self.calibration.base.shape != weight.shape:
            raise SurveyError(f"The calibration is of {self.calibration.base.size} rows, the design of {weight.size}.")
        if self.df is not None and not self.df > 0:
            raise SurveyError(f"The degrees of freedom must be a positive number, not {self.df!r}.")
        if self.lonely not in get_args(Lonely):
            raise SurveyError(f"lonely is {self.lonely!r}. {nearest(str(self.lonely), get_args(Lonely))}")
        for name in ("stratum", "psu"):
            codes = getattr(self, name)
            if codes is None:
                continue
            codes = np.ascontiguousarray(codes, dtype=np.int64)
            if codes.shape != weight.shape:
                raise SurveyError(f"The design has {weight.size} weights but {codes.size} {name} codes.")
            if codes.min() < 0:
                raise SurveyError(
                    f"The {name} of row {int(np.argmin(codes)) + 1} is {codes.min()}; codes count from 0."
                )
            object.__setattr__(self, name, codes)
        if self.stratum is not None and self.psu is not None:
            last = np.zeros(int(self.psu.max()) + 1, dtype=np.int64)
            last[self.psu] = self.stratum
            if (last[self.psu] != self.stratum).any():
                raise SurveyError("A PSU lies in two strata; number PSUs within strata, or combine the two columns.")
        if self.fpc is not None:
            object.__setattr__(self, "fpc", np.ascontiguousarray(self.fpc, dtype=np.float64))
            sampled_fraction(self)
        if self.replicates is not None and self.replicates.n != weight.size:
            raise SurveyError(f"The replicate weights have {self.replicates.n} rows, the design {weight.size}.")

    @property
    def n(self) -> int:
        """Number of rows."""
        return int(self.weight.size)

    def n_eff_kish(self, domain: npt.NDArray[np.bool_] | None = None) -> float:
        """Kish's effective number (sum w)^2 / sum w^2 of the rows in `domain`; 0.0 when it is empty."""
        w = self.weight if domain is None else self.weight[domain]
        squares = float(np.square(w).sum())
        return float(w.sum()) ** 2 / squares if squares > 0 else 0.0

    def unweighted(self) -> Design:
        """Return the same design with every weight 1, without replicate weights and calibration."""
        return replace(self, weight=np.ones_like(self.weight), weight_name="", replicates=None, calibration=None)

    @classmethod
    def from_columns(
        cls,
        weight: Any = None,
        stratum: Any = None,
        psu: Any = None,
        *,
        n: int | None = None,
        fpc: Any = None,
        **rest: Any,
    ) -> Design:
        """Return a design from any columns; PSU labels are taken as nested in strata.

        >>> Design.from_columns([1, 1, 2], stratum=["a", "a", "b"], psu=[1, 2, 1]).psu
        array([0, 1, 2])
        """
        columns = [np.asarray(c) for c in (weight, stratum, psu, fpc) if c is not None]
        size = len(columns[0]) if columns else n
        if not size:
            raise SurveyError("A design needs at least one respondent.")
        for name, column in (("weight", weight), ("stratum", stratum), ("psu", psu), ("fpc", fpc)):
            if column is not None and len(column) != size:
                raise SurveyError(f"The {name} column has {len(column)} rows where the first has {size}.")
        try:
            w = np.ones(size) if weight is None else np.asarray(weight, dtype=np.float64)
        except (TypeError, ValueError):
            raise SurveyError(
                "The weights are not all numbers. Write plain numbers, with a point for decimals."
            ) from None
        h = None if stratum is None else np.unique(np.asarray(stratum).astype(str), return_inverse=True)[1]
        a = None
        if psu is not None:
            a = np.unique(np.asarray(psu).astype(str), return_inverse=True)[1]
            if h is not None:
                a = np.unique(h.astype(np.int64) * (int(a.max()) + 1) + a, return_inverse=True)[1]
        return cls(w, h, a, fpc=fpc, **rest)


def psus_per_stratum(design: Design) -> tuple[Ints, Ints]:
    """Return the stratum of each PSU (of each row, without PSUs) and the number of PSUs in each stratum."""
    rows = np.zeros(design.n, dtype=np.int64) if design.stratum is None else design.stratum
    if design.psu is None:
        return rows, np.bincount(rows)
    strata = np.zeros(int(design.psu.max()) + 1, dtype=np.int64)
    strata[design.psu] = rows
    used = np.zeros(strata.size, dtype=np.bool_)
    used[design.psu] = True
    return strata, np.bincount(strata[used], minlength=int(rows.max()) + 1)


def sampled_fraction(design: Design) -> Floats:
    """Return (H,) the fraction f_h of each stratum's PSUs that was drawn; 0 without an fpc.

    Raises SurveyError for an fpc that is missing, differs within a stratum, or is less than the PSUs at hand.
    """
    _, n_h = psus_per_stratum(design)
    if design.fpc is None:
        return np.zeros(n_h.size)
    fpc, rows = design.fpc, np.zeros(design.n, dtype=np.int64) if design.stratum is None else design.stratum
    if fpc.shape != design.weight.shape:
        raise SurveyError(f"The design has {design.n} weights but {fpc.size} values of the fpc.")
    wrong = ~(np.isfinite(fpc) & (fpc > 0))
    if wrong.any():
        raise SurveyError(
            f"The fpc of row {int(np.argmax(wrong)) + 1} is {fpc[np.argmax(wrong)]:g}. Give the number of PSUs in the "
            "population of its stratum, or the fraction that was drawn."
        )
    of_stratum = np.ones(n_h.size)
    of_stratum[rows] = fpc
    if (of_stratum[rows] != fpc).any():
        i = int(np.argmax(of_stratum[rows] != fpc))
        raise SurveyError(
            f"The fpc differs within a stratum ({of_stratum[rows[i]]:g} and {fpc[i]:g} in row {i + 1}'s). It is the "
            "same for every row of a stratum; give the strata it belongs to."
        )
    if (fpc <= 1).all():
        return of_stratum
    few = (n_h > of_stratum) & (n_h > 0)
    if few.any():
        h = int(np.argmax(few))
        raise SurveyError(
            f"The fpc says that the population has {of_stratum[h]:g} PSUs in a stratum of which {n_h[h]} were drawn. "
            "An fpc counts PSUs (people, without PSUs), or is a fraction in every row."
        )
    return np.asarray(n_h / of_stratum)


def check_base_weight(weight: Floats, name: str) -> None:
    """Raise SurveyError for a base weight that is missing, negative, infinite, or zero everywhere."""
    bad = ~np.isfinite(weight)
    if bad.any():
        raise SurveyError(
            f"{name}: {int(bad.sum())} of {weight.size} base weights are missing or infinite (first in row "
            f"{int(np.argmax(bad)) + 1}). Give every respondent a weight; zero keeps one out of the estimates."
        )
    if (weight < 0).any():
        raise SurveyError(
            f"{name}: {int((weight < 0).sum())} base weights are negative (first in row "
            f"{int(np.argmax(weight < 0)) + 1}: {weight[np.argmax(weight < 0)]:g}). A base weight cannot be."
        )
    if not (weight > 0).any():
        raise SurveyError(f"{name}: all {weight.size} base weights are zero, so there is nobody to speak for.")
