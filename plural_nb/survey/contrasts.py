"""Contrasts: differences between groups, with what they share through PSUs, strata and replicates taken off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from scipy import special

from plural_nb.errors import SurveyError, nearest
from plural_nb.survey.shares import Groups, estimate, group_codes, joint_shares_covariance

if TYPE_CHECKING:
    from plural_nb.answers import Answers


@dataclass(frozen=True, slots=True)
class Contrast:
    """A weighted sum of shares, tested against 0 with Student's t.

    df: PSUs with members of any of the groups contrasted less strata with such; low, high: estimate -/+ t_df se.
    """

    estimate: float
    se: float
    df: float
    low: float
    high: float
    level: float

    @property
    def t(self) -> float:
        """The estimate over its standard error; infinite where that is 0."""
        return self.estimate / self.se if self.se > 0 else float(np.copysign(np.inf, self.estimate))

    @property
    def p(self) -> float:
        """Two-sided probability of a |t| this large or larger were the contrast 0."""
        return float(2 * special.stdtr(self.df, -abs(self.t)))


def contrast(
    answers: Answers,
    coefficients: Mapping[tuple[str, str], float],
    *,
    by: Groups | Sequence[str | None] | pl.Series,
    level: float = 0.95,
) -> Contrast:
    """Return the sum of coefficients times shares, each named by its group and option.

    Its variance is c' V c with the covariance of all groups and options, so that groups that share PSUs are not taken
    for independent. Raises SurveyError for an unknown group or option, or a group without answers.

    >>> from plural_nb.answers import Answers
    >>> from plural_nb.survey.question import ask_for
    >>> tea = Answers.from_places(ask_for("Tea?", ["Yes", "No"]), [0, 0, 0, 1, 0, 1, 1, 1])
    >>> gap = contrast(tea, {("a", "Yes"): 1, ("b", "Yes"): -1}, by=["a"] * 4 + ["b"] * 4)
    >>> gap.estimate, round(gap.se, 4)
    (0.5, 0.3273)
    """
    if not 0 < level < 1:
        raise SurveyError(f"The level must lie between 0 and 1 (0.95 for 95%), not {level!r}.")
    shares = estimate(answers, by=by)
    c = np.zeros(shares.share.shape)
    for (group, option), value in coefficients.items():
        if group not in shares.groups:
            raise SurveyError(f"There is no group {group!r}. {nearest(group, shares.groups)}")
        if option not in shares.options:
            raise SurveyError(f"There is no option {option!r}. {nearest(option, shares.options)}")
        c[shares.groups.index(group), shares.options.index(option)] += value
    used = np.flatnonzero((c != 0).any(axis=1))
    if used.size == 0:
        raise SurveyError("A contrast needs at least one coefficient that is not 0.")
    for g in used:
        if shares.n[g] == 0:
            raise SurveyError(f"Nobody in group {shares.groups[g]!r} has an answer, so it cannot be contrasted.")
    V = joint_shares_covariance(answers, by)[used][:, :, used]
    value = float((c[used] * shares.share[used]).sum())
    se = float(np.sqrt(max(np.einsum("gk,gkhl,hl->", c[used], V, c[used]), 0.0)))
    _, codes = group_codes(answers.design.n, by)
    together = answers.within(np.isin(codes, used))
    df = float(estimate(together).df[0])
    reach = float(special.stdtrit(df, (1 + level) / 2)) * se if df > 0 else np.inf
    return Contrast(value, se, df, value - reach, value + reach, level)


def difference(
    answers: Answers,
    option: str,
    group: str,
    other: str,
    *,
    by: Groups | Sequence[str | None] | pl.Series,
    **rest: Any,
) -> Contrast:
    """Return the share of `option` in one group less that in another; see `contrast`."""
    return contrast(answers, {(group, option): 1.0, (other, option): -1.0}, by=by, **rest)
