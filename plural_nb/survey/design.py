"""How the respondents were drawn: weights, strata and primary sampling units (PSUs)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from plural_nb.errors import SurveyError, nearest

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

    Raises SurveyError when lengths differ, a weight cannot be one, or a PSU lies in two strata.

    >>> Design(np.array([1.0, 2.0, 1.0])).n_eff_kish()
    2.6666666666666665
    """

    weight: Floats
    stratum: Ints | None = None
    psu: Ints | None = None
    note: str = "simple random sampling"
    weight_name: str = field(default="", kw_only=True)
    lonely: Lonely = field(default="fail", kw_only=True)

    def __post_init__(self) -> None:
        weight = np.ascontiguousarray(self.weight, dtype=np.float64)
        object.__setattr__(self, "weight", weight)
        if weight.ndim != 1 or weight.size == 0:
            raise SurveyError("A design needs one weight per respondent, and at least one respondent.")
        check_base_weight(weight, self.weight_name or "the weight")
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
        """Return the same design with every weight 1."""
        return replace(self, weight=np.ones_like(self.weight), weight_name="")

    @classmethod
    def from_columns(
        cls, weight: Any = None, stratum: Any = None, psu: Any = None, *, n: int | None = None, **rest: Any
    ) -> Design:
        """Return a design from any columns; PSU labels are taken as nested in strata.

        >>> Design.from_columns([1, 1, 2], stratum=["a", "a", "b"], psu=[1, 2, 1]).psu
        array([0, 1, 2])
        """
        columns = [np.asarray(c) for c in (weight, stratum, psu) if c is not None]
        size = len(columns[0]) if columns else n
        if not size:
            raise SurveyError("A design needs at least one respondent.")
        for name, column in (("weight", weight), ("stratum", stratum), ("psu", psu)):
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
        return cls(w, h, a, **rest)


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
