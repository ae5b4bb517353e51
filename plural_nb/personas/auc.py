"""AUC: how well predicted probabilities rank who gave an answer above who did not, weighted and in replicates."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from plural_nb.survey.design import Floats

Ints = npt.NDArray[np.int64]


def auc(score: npt.ArrayLike, chosen: npt.ArrayLike, weight: npt.ArrayLike | None = None) -> Floats:
    """Return the weighted area under the ROC curve: P(score of one who chose > of one who did not) + ½ P(equal).

    score: (n,) higher for those expected to choose. chosen: (n,) true or false. weight: (n,) or (n, R) for R
    replicates; 1 when None. Returns a number, or (R,). NaN where all or none chose.

    Hanley and McNeil 1982, Radiology 143.

    >>> float(auc([0.9, 0.4, 0.6, 0.4], [True, False, True, True]))
    0.8333333333333334
    """
    s, y = np.asarray(score, dtype=np.float64), np.asarray(chosen, dtype=bool)
    w = np.ones(s.size) if weight is None else np.asarray(weight, dtype=np.float64)
    flat = w.ndim == 1
    w = w[:, None] if flat else w
    order = np.argsort(s, kind="stable")
    start = np.flatnonzero(np.r_[True, np.diff(s[order]) > 0]) if s.size else np.zeros(0, dtype=np.int64)
    w, y = w[order], y[order]
    hits = np.add.reduceat(w * y[:, None], start, axis=0)
    misses = np.add.reduceat(w * ~y[:, None], start, axis=0)
    below = np.cumsum(misses, axis=0) - misses
    with np.errstate(invalid="ignore", divide="ignore"):
        found = (hits * (below + misses / 2)).sum(axis=0) / (hits.sum(axis=0) * misses.sum(axis=0))
    return np.asarray(found[0] if flat else found)


def auc_of_options(rows: Floats, own: Ints, weight: npt.ArrayLike) -> Floats:
    """Return the AUC of a question of K options: each against the others, averaged by how many chose it.

    rows: (n, K) probabilities. own: (n,) the place each chose. weight: (n,) or (n, R). Options that all or none chose
    are left out; with two options it is the AUC of either. Provost and Domingos 2000.
    """
    w = np.asarray(weight, dtype=np.float64)
    total, parts = np.zeros(w.shape[1:]), np.zeros(w.shape[1:])
    for k in range(rows.shape[1]):
        one = auc(rows[:, k], own == k, w)
        share = (w * (own == k).reshape((-1,) + (1,) * (w.ndim - 1))).sum(axis=0)
        known = np.isfinite(one)
        parts = parts + np.where(known, one * share, 0.0)
        total = total + np.where(known, share, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(parts / np.where(total > 0, total, np.nan))
