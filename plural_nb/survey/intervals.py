"""Intervals for shares: logit, Korn–Graubard, Wald, arcsine and Wilson, with Student's t on the design's df."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from scipy import special

from plural_nb.errors import SurveyError, nearest
from plural_nb.survey.design import Floats

Interval = Literal["logit", "korn-graubard", "wald", "arcsine", "wilson"]

# Below this a standard error is rounding, not sampling: double precision keeps 16 digits of a share.
_NO_SE = 1e-14


def bounds(
    share: Floats,
    se: Floats,
    df: Floats,
    n: Floats,
    *,
    interval: Interval = "logit",
    level: float = 0.95,
    cap: bool = True,
) -> tuple[Floats, Floats]:
    """Return the lower and upper bounds of shares.

    share, se: (G, K). df, n: (G,), design degrees of freedom and respondents of each group.
    interval: "logit" is expit(logit p -/+ t se/(p(1-p))); "wald" is p -/+ t se and may leave 0 to 1; "korn-graubard"
        is Clopper and Pearson's on n* = p(1-p)/se² (t_{n-1}/t_df)²; "arcsine" is sin²(arcsin √p -/+ t se/(2√(p(1-p))));
        "wilson" is Wilson's on n* = p(1-p)/se² with t for z. Where a share is 0 or 1 or its se is 0, all are
        Korn–Graubard's with n* = n, so no bar is empty.
    cap: keep n* at n or below, as Korn and Graubard do; R's svyciprop does not.

    A group without degrees of freedom (one PSU in each of its strata) gets 0 to 1: its sample cannot tell.
    A group without people gets NaN. Raises SurveyError for an unknown interval or a level outside 0 to 1.

    >>> low, high = bounds(np.array([[0.5, 0.5]]), np.array([[0.05, 0.05]]), np.array([99.0]), np.array([100.0]))
    >>> low.round(3).tolist(), high.round(3).tolist()
    ([[0.402, 0.402]], [[0.598, 0.598]])
    """
    if interval not in get_args(Interval):
        raise SurveyError(f"Unknown interval {interval!r}. {nearest(str(interval), get_args(Interval))}")
    if not 0 < level < 1:
        raise SurveyError(f"The level must lie between 0 and 1 (0.95 for 95%), not {level!r}.")
    df, n = df[:, None], np.broadcast_arrays(n[:, None], share)[0]
    upper = (1 + level) / 2
    certain = (share <= 0) | (share >= 1) | (se <= _NO_SE)
    with np.errstate(all="ignore"):
        t = special.stdtrit(df, upper)
        if interval == "wald":
            low, high = share - t * se, share + t * se
        elif interval == "logit":
            centre, reach = special.logit(share), t * se / (share * (1 - share))
            low, high = special.expit(centre - reach), special.expit(centre + reach)
        elif interval == "arcsine":
            centre, reach = np.arcsin(np.sqrt(share)), t * se / (2 * np.sqrt(share * (1 - share)))
            low = np.square(np.sin(np.maximum(centre - reach, 0)))
            high = np.square(np.sin(np.minimum(centre + reach, np.pi / 2)))
        elif interval == "wilson":
            tt = np.square(t * se) / (share * (1 - share))
            centre, reach = (share + tt / 2) / (1 + tt), np.sqrt(np.square(t * se) + np.square(tt) / 4) / (1 + tt)
            low, high = centre - reach, centre + reach
        else:
            n_star = share * (1 - share) / np.square(se) * np.square(special.stdtrit(n - 1, upper) / t)
            low, high = _clopper_pearson(share, np.minimum(n_star, n) if cap else n_star, level)
        low = np.where(df <= 0, 0.0, low)
        high = np.where(df <= 0, 1.0, high)
        if certain.any():
            low[certain], high[certain] = _clopper_pearson(share[certain], n[certain], level)
    nobody = n == 0
    return np.where(nobody, np.nan, low), np.where(nobody, np.nan, high)


def capped(share: Floats, se: Floats, df: Floats, n: Floats, level: float) -> bool:
    """Whether Korn–Graubard's n* of any share is above its n, so that `cap` lowers it."""
    upper = (1 + level) / 2
    with np.errstate(all="ignore"):
        ratio = np.square(special.stdtrit(n - 1, upper) / special.stdtrit(df, upper))
        n_star = share * (1 - share) / np.square(se) * ratio[:, None]
    inside = (share > 0) & (share < 1) & (se > _NO_SE)
    return bool((inside & (n_star > n[:, None])).any())


def _clopper_pearson(share: Floats, n: Floats, level: float) -> tuple[Floats, Floats]:
    chosen, tail = share * n, (1 - level) / 2
    low = np.where(chosen <= 0, 0.0, special.betaincinv(chosen, n - chosen + 1, tail))
    high = np.where(chosen >= n, 1.0, special.betaincinv(chosen + 1, n - chosen, 1 - tail))
    return low, high
