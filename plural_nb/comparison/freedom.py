"""Degrees of freedom that an estimated variance really has, where PSUs contribute to it unequally."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from plural_nb.answers import Answers
from plural_nb.comparison.distances import Floats
from plural_nb.errors import SurveyError
from plural_nb.survey.design import Design, Ints, psus_per_stratum
from plural_nb.survey.linearisation import stratum_factors

if TYPE_CHECKING:
    from plural_nb.comparison.pairs import Pairs, Side


class Freedom:
    """Effective degrees of freedom of a design in each of some groups, for any set of people who answered.

    design: the whole one. codes: (n,) each row's group, −1 for none. groups: how many.

    The number of PSUs less that of strata counts them all alike. A large stratum with few PSUs, PSUs of unequal size
    and unequal weights leave less: with the variance of a PSU's sum proportional to its Σw² (people within it as if
    independent, the working model of Bell and McCaffrey 2002), the sum over strata of f_h Σ(z_a − mean)² varies like a
    χ² with (E)²/(½ Var) degrees of freedom (Satterthwaite 1946). Noise floors and intervals of distances go by these;
    intervals of shares keep the customary number (definitions, section 3).

    >>> even = Freedom(Design(np.ones(20), psu=np.arange(20) // 2), np.zeros(20, dtype=np.int64), 1)
    >>> even.of(np.ones(20, dtype=bool)).round(6).tolist()
    [9.0]
    >>> uneven = Freedom(Design(np.r_[np.full(2, 5.0), np.ones(18)], psu=np.arange(20) // 2), np.zeros(20, int), 1)
    >>> uneven.of(np.ones(20, dtype=bool)).round(1).tolist()
    [1.8]
    """

    def __init__(self, design: Design, codes: Ints, groups: int) -> None:
        self.groups = groups
        self._known = design.replicates is None and design.df is None
        self._row = np.flatnonzero((codes >= 0) & (design.weight != 0))
        if not self._known:
            return
        strata, self._n_h = psus_per_stratum(design)
        try:
            self._factor, _ = stratum_factors(design, self._n_h)
        except SurveyError:
            self._known = False
            return
        group = codes[self._row]
        self._square = np.square(design.weight[self._row])
        unit = self._row if design.psu is None else design.psu[self._row]
        cells, self._cell = np.unique(group * strata.size + unit, return_inverse=True)
        H = self._n_h.size
        self._parts, self._part = np.unique(cells // strata.size * H + strata[cells % strata.size], return_inverse=True)

    def of(self, answered: npt.NDArray[np.bool_]) -> Floats:
        """Return (G,) degrees of freedom among those (n,) who answered; infinite where the design says nothing."""
        if not self._known:
            return np.full(self.groups, np.inf)
        here = answered[self._row]
        cell = np.bincount(self._cell, weights=self._square * here, minlength=self._part.size)
        size = self._parts.size
        one = np.bincount(self._part, weights=cell, minlength=size)
        two = np.bincount(self._part, weights=np.square(cell), minlength=size)
        g, h = self._parts // self._n_h.size, self._parts % self._n_h.size
        n, f = self._n_h[h], self._factor[h]
        mean = np.bincount(g, weights=f * (1 - 1 / n) * one, minlength=self.groups)
        half = np.bincount(g, weights=f**2 * ((1 - 2 / n) * two + np.square(one / n)), minlength=self.groups)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(half > 0, np.square(mean) / half, np.inf)


def pair_freedom(pairs: Pairs) -> Floats:
    """Return (G,) degrees of freedom of the difference of two sides (Welch and Satterthwaite), infinite if exact."""
    apart, spread = np.zeros(len(pairs.groups)), np.zeros(len(pairs.groups))
    for side in (pairs.a, pairs.b):
        if side.exact or side.shares.covariance is None:
            continue
        trace = np.einsum("gkk->g", np.nan_to_num(side.shares.covariance))
        apart += trace
        with np.errstate(divide="ignore", invalid="ignore"):
            spread += np.where(trace > 0, np.square(trace) / _side_freedom(side), 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(apart > 0, np.square(apart) / spread, np.inf)


def _side_freedom(side: Side) -> Floats:
    """(G,) at most the customary ones."""
    found = np.array(side.shares.df, dtype=np.float64)
    whole = side.answers[0]
    if side.codes is not None and whole is not None:
        return np.fmin(found, _freedom(whole, side.codes, found.size))
    known: dict[int, float] = {}
    for g, one in enumerate(side.answers):
        if one is not None and not one.exact and side.shares.groups[g] not in side.failed:
            if id(one) not in known:
                known[id(one)] = float(_freedom(one, np.zeros(one.design.n, dtype=np.int64), 1)[0])
            found[g] = np.fmin(found[g], known[id(one)])
    return found


def _freedom(answers: Answers, codes: Ints, groups: int) -> Floats:
    answered = answers.domain & (answers.rows[:, list(answers.question.substantive)].sum(axis=1) > 0)
    return Freedom(answers.design, np.where(answered, codes, -1), groups).of(answered)
