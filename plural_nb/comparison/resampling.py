"""Replicates of shares: Rao–Wu bootstrap of PSUs, or draws with the covariance of a file's replicate weights."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from plural_nb.answers import Answers
from plural_nb.comparison.distances import Floats
from plural_nb.survey.calibration import Calibration
from plural_nb.survey.design import Design, Ints, psus_per_stratum, sampled_fraction
from plural_nb.survey.linearisation import stratum_factors
from plural_nb.survey.replicates import replicate_estimates

Factors = npt.NDArray[np.float32]
# Designs whose factors are kept between calls, so that a panel redraws without drawing anew.
_KEPT = 4
_kept: deque[tuple[Design, int, int, Factors]] = deque(maxlen=_KEPT)


def replicate_shares(
    answers: Answers, codes: Ints, groups: int, *, replicates: int, seed: int
) -> tuple[Floats, Floats]:
    """Return the shares (K, G) of every group, and (K, G, R) of every replicate of the sample.

    codes: (n,) each row's group, −1 for none. Groups of one survey share their replicates, so that what shared PSUs
    bring is in every difference of them; two calls with one design and one seed do too.

    The bootstrap is Rao, Wu and Yue's (1992) with n_h − 1 PSUs per stratum (people, without PSUs). Where the design
    brings replicate weights, or is calibrated, or has a stratum with a single PSU, replicates are normal draws with
    the covariance that the design itself gives. A group without anyone is NaN.

    >>> from plural_nb.survey.question import ask_for
    >>> tea = Answers.from_places(ask_for("Tea?", ["Yes", "No"]), [0] * 30 + [1] * 70)
    >>> p, drawn = replicate_shares(tea, np.zeros(100, dtype=np.int64), 1, replicates=400, seed=1)
    >>> p[:, 0].tolist(), drawn.shape, bool(abs(drawn[0].std() - 0.046) < 0.006)
    ([0.3, 0.7], (2, 1, 400), True)
    """
    design = answers.design
    y = answers.rows[:, list(answers.question.substantive)]
    here = answers.domain & (codes >= 0) & (y.sum(axis=1) > 0)
    if design.replicates is None:
        here &= design.weight != 0
    row = np.flatnonzero(here)
    K = y.shape[1]
    member, option = np.nonzero(y[row])
    cell, value = option * groups + codes[row][member], y[row][member, option]
    who = row[member]

    def totals(weight: Floats) -> Floats:
        sums = np.bincount(cell, weights=value * weight[who], minlength=K * groups)
        return np.asarray(sums, dtype=np.float64).reshape(K, groups)

    with np.errstate(invalid="ignore", divide="ignore"):
        S = totals(design.weight)
        p = S / S.sum(axis=0)
        if not can_rescale(design):
            return p, _around(design, p, (cell, value, who), totals, replicates, seed)
        unit = np.arange(design.n) if design.psu is None else design.psu
        units = int(unit.max()) + 1
        sums = sparse.coo_array((value * design.weight[who], (cell, unit[who])), shape=(K * groups, units)).tocsr()
        drawn = np.asarray(sums @ rescaling_factors(design, replicates, seed))
        drawn = drawn.reshape(K, groups, replicates)
        return p, drawn / drawn.sum(axis=0)


def rescaling_factors(design: Design, replicates: int, seed: int) -> Factors:
    """Return (units, R) Rao–Wu factors of the weights of each PSU, or of each row without PSUs; kept per design."""
    for known, size, start, factors in _kept:
        same = known.n == design.n and known.psu is design.psu and known.stratum is design.stratum
        if same and known.fpc is design.fpc and (size, start) == (replicates, seed):
            return factors
    factors = _factors(design, replicates, seed)
    _kept.append((design, replicates, seed, factors))
    return factors


def _factors(design: Design, replicates: int, seed: int) -> Factors:
    strata, n_h = psus_per_stratum(design)
    present = np.unique(design.psu) if design.psu is not None else np.arange(design.n)
    shrink = np.sqrt(1 - sampled_fraction(design))
    factors = np.ones((strata.size, replicates), dtype=np.float32)
    r = np.random.default_rng(seed)
    order = present[np.argsort(strata[present], kind="stable")]
    begin = 0
    for h in np.flatnonzero(n_h):
        psus = order[begin : begin + n_h[h]]
        begin += n_h[h]
        m = psus.size - 1
        places = r.integers(0, psus.size, size=(replicates, m)) + (np.arange(replicates) * psus.size)[:, None]
        counts = np.bincount(places.ravel(), minlength=replicates * psus.size).reshape(replicates, psus.size).T
        factors[psus] = 1 - shrink[h] + shrink[h] * psus.size / m * counts
    return factors


def can_rescale(design: Design) -> bool:
    """Whether PSUs can be drawn: neither replicate weights nor calibration, and no stratum with one PSU."""
    if design.replicates is not None or design.calibration is not None:
        return False
    _, n_h = psus_per_stratum(design)
    return not bool((n_h == 1).any())


def _around(
    design: Design, p: Floats, cells: tuple[Ints, Floats, Ints], totals: Any, replicates: int, seed: int
) -> Floats:
    """(K, G, R): shares with normal noise of the design's own covariance, joint over groups; kept in [0, 1]."""
    K, G = p.shape
    draw = np.random.default_rng(seed)
    if design.replicates is not None:

        def statistic(weight: Floats) -> Floats:
            S = totals(weight)
            return np.asarray(S / S.sum(axis=0))

        thetas = np.nan_to_num(replicate_estimates(design, statistic) - p)
        scale = np.sqrt(design.replicates.scale * np.asarray(design.replicates.rscales))
        if design.replicates.centre == "mean":
            thetas = thetas - thetas.mean(axis=0)
        z = draw.standard_normal((replicates, thetas.shape[0])) * scale
        noise = z @ thetas.reshape(thetas.shape[0], -1)
    else:
        cell, value, who = cells
        group = cell % G
        W = totals(design.weight).sum(axis=0)
        share = design.weight[who] * value / W[group]
        shape = (design.n, K * G)
        own = sparse.coo_array((share, (who, cell)), shape=shape).toarray()
        part = sparse.coo_array((share, (who, group)), shape=(design.n, G)).toarray()
        influence = own - (p[None] * part[:, None, :]).reshape(design.n, K * G)
        if design.calibration is not None:
            influence = _residual(design.calibration, influence)
        noise = draw.standard_normal((replicates, design.n)) @ _per_psu(design, np.nan_to_num(influence))
    moved = p[:, :, None] + np.moveaxis(noise.reshape(replicates, K, G), 0, 2)
    moved = np.maximum(moved, 0.0)
    return np.asarray(moved / moved.sum(axis=0))


def _residual(calibration: Calibration, influence: Floats) -> Floats:
    return np.asarray(calibration.residual(influence))


def _per_psu(design: Design, influence: Floats) -> Floats:
    """(n, M): centred sums of PSUs, scaled so that their cross-products are the covariance; zero rows fill up."""
    strata, n_h = psus_per_stratum(design)
    factor, total = stratum_factors(design, n_h)
    unit = np.arange(design.n) if design.psu is None else design.psu
    sums = np.zeros((strata.size, influence.shape[1]))
    np.add.at(sums, unit, influence)
    means = np.zeros((n_h.size, influence.shape[1]))
    np.add.at(means, strata, sums)
    means /= np.maximum(n_h, 1)[:, None]
    means[n_h == 1] = sums.sum(axis=0) / n_h.sum()
    centred = (sums - means[strata]) * np.sqrt(total * factor[strata])[:, None]
    result = np.zeros((design.n, influence.shape[1]))
    result[: strata.size] = centred
    return result
