"""A number per respondent: a numeric column, or the scale values of an ordinal question's answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import polars as pl

from plural_nb.errors import SurveyError
from plural_nb.survey.design import Design, Floats, Ints
from plural_nb.survey.shares import Groups, group_codes

if TYPE_CHECKING:
    from plural_nb.answers import Answers


@dataclass(frozen=True, slots=True, eq=False)
class Measure:
    """Numbers of n respondents, each number with the part of the respondent that holds it.

    values: (n, J) numbers. part: (n, J) how much of a row stands at each, adding up to 1, or to 0 where the number is
        missing: a person has one number (J = 1); a model's row spreads over the values of its options.
    design: the sampling design of all n rows. domain: (n,) True for the rows spoken about.

    Raises SurveyError for lengths that do not fit, infinite numbers, or nobody with a number.

    >>> Measure.of([3.0, None, 5.0]).part.tolist()
    [[1.0], [0.0], [1.0]]
    """

    values: Floats = field(repr=False)
    part: Floats = field(repr=False)
    design: Design
    domain: npt.NDArray[np.bool_] = field(repr=False)
    name: str = "the numbers"

    def __post_init__(self) -> None:
        n = self.design.n
        if self.values.shape != self.part.shape or self.values.shape[0] != n or self.domain.shape != (n,):
            raise SurveyError(f"{self.name}: there are {self.values.shape[0]} numbers for {n} rows of the design.")
        if np.isinf(self.values).any():
            raise SurveyError(f"{self.name}: row {int(np.nonzero(np.isinf(self.values))[0][0]) + 1} is infinite.")
        if not (self.domain & (self.part.sum(axis=1) > 0) & (self.design.weight != 0)).any():
            raise SurveyError(f"{self.name}: nobody in the population has a number.")

    @classmethod
    def of(
        cls,
        numbers: Answers | Sequence[float | None] | Floats | pl.Series,
        design: Design | None = None,
        *,
        domain: npt.NDArray[np.bool_] | None = None,
        name: str = "the numbers",
    ) -> Measure:
        """Return a measure of numbers (missing where null or NaN), or of an ordinal or numeric question's answers.

        Answers bring their own design and domain. A nominal question has no values, which is a SurveyError.
        """
        from plural_nb.answers import Answers

        if isinstance(numbers, Answers):
            values = np.array(numbers.question.values)
            part = numbers.rows[:, list(numbers.question.substantive)]
            return cls(np.broadcast_to(values, part.shape), part, numbers.design, numbers.domain, numbers.question.key)
        try:
            column = numbers.cast(pl.Float64).to_numpy() if isinstance(numbers, pl.Series) else numbers
            if not isinstance(column, np.ndarray) or column.dtype == object:
                column = np.array([np.nan if v is None else v for v in column], dtype=np.float64)
            x = column.astype(np.float64)[:, None]
        except (TypeError, ValueError, pl.exceptions.PolarsError):
            raise SurveyError(f"{name}: not all of them are numbers.") from None
        here = ~np.isnan(x)
        everyone = np.ones(x.shape[0], dtype=np.bool_) if domain is None else domain
        design = design or Design(np.ones(x.shape[0]))
        return cls(np.where(here, x, 0.0), here.astype(np.float64), design, everyone, name)

    def within(self, domain: npt.NDArray[np.bool_]) -> Measure:
        """Return the same numbers spoken about only where `domain` (n,) holds too."""
        return Measure(self.values, self.part, self.design, self.domain & domain, self.name)

    def members(self, by: Groups | Sequence[str | None] | pl.Series | None) -> tuple[tuple[str, ...], Ints, Ints]:
        """Return the names of groups, and the rows with a number in the domain with each one's group."""
        names, codes = group_codes(self.design.n, by)
        here = self.domain & (codes >= 0) & (self.part.sum(axis=1) > 0)
        if self.design.replicates is None:
            here &= self.design.weight != 0
        row = np.flatnonzero(here)
        return names, row, codes[row]
