"""Taylor-linearised covariances of shares under strata, PSUs and weights, for all groups at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from plural_nb.errors import SurveyError
from plural_nb.survey.design import Design, Floats, Ints, psus_per_stratum, sampled_fraction


@dataclass(frozen=True, slots=True, eq=False)
class Linearised:
    """The row-wise influence of members on the shares of their group: z_ik = w_i (y_ik - p_gk s_i) / W_g.

    z: (m, K) influence of each member. group: (m,) its group, 0..G-1. row: (m,) its row in the design.
    Everybody else's influence is 0: a domain is never filtered, its PSUs without members still count.
    """

    z: Floats
    group: Ints
    row: Ints


def covariance(influence: Linearised, groups: int, design: Design) -> Floats:
    """Return (G, K, K) covariances sum_h (1-f_h) n_h/(n_h-1) sum_a (z_a - mean)(z_a - mean)' over all PSUs a of h.

    n_h counts every PSU of the stratum, those without members of the group included. Without PSUs each row of the
    design is its own. Raises SurveyError for a stratum with one PSU unless the design's `lonely` says what to do.
    """
    z, group = influence.z, influence.group
    strata, n_h = psus_per_stratum(design)
    if design.psu is None:
        stratum = strata[influence.row]
    else:
        size = int(design.psu.max()) + 1
        cells, place = np.unique(group * size + design.psu[influence.row], return_inverse=True)
        z = sum_by(place, z, cells.size)
        group, stratum = cells // size, strata[cells % size]
    factor, total = stratum_factors(design, n_h)
    cells, place = np.unique(group * n_h.size + stratum, return_inverse=True)
    g, h = cells // n_h.size, cells % n_h.size
    mean = sum_by(place, z, cells.size) / n_h[h][:, None]
    lonely = n_h == 1
    overall = sum_by(group, z, groups) / n_h.sum()  # a lonely PSU is set against the mean of all
    mean[lonely[h]] = overall[g[lonely[h]]]
    empty = n_h[h] - np.bincount(place, minlength=cells.size)
    parts = [np.sqrt(factor[stratum])[:, None] * (z - mean[place]), np.sqrt(factor[h] * empty)[:, None] * mean]
    V = _cross_products(np.concatenate(parts), np.concatenate([group, g]), groups)
    alone = factor * lonely
    absent = alone.sum() - np.bincount(g, weights=alone[h], minlength=groups)
    return np.asarray(total * (V + absent[:, None, None] * overall[:, :, None] * overall[:, None, :]))


def joint_covariance(influence: Linearised, groups: int, design: Design) -> Floats:
    """Return the (G K, G K) covariance of all groups' shares, group by group, with what shared PSUs and strata bring.

    Its blocks on the diagonal are those of `covariance`.
    """
    z, K = influence.z, influence.z.shape[1]
    strata, n_h = psus_per_stratum(design)
    factor, total = stratum_factors(design, n_h)
    unit = influence.row if design.psu is None else design.psu[influence.row]
    # One sparse row per PSU: a person sits in one group, and a PSU has members of few.
    column = influence.group[:, None] * K + np.arange(K)
    shape = (strata.size, groups * K)
    Z = sparse.coo_array((z.ravel(), (np.repeat(unit, K), column.ravel())), shape=shape).tocsr()
    H = sparse.coo_array(
        (np.ones(strata.size), (strata, np.arange(strata.size))), shape=(n_h.size, strata.size)
    ).tocsr()
    sums = (H @ Z).toarray()
    centred = np.where(n_h > 1, factor / np.maximum(n_h, 1), 0.0)
    products = (Z.T @ (Z * factor[strata][:, None])).toarray()
    return np.asarray(total * (products - sums.T @ (centred[:, None] * sums)))


def degrees_of_freedom(design: Design, group: Ints, row: Ints, groups: int) -> Floats:
    """Return (G,) the number of PSUs with members of each group less the number of strata with members of it.

    The design's own `df`, where its documentation states one, stands for every group.
    """
    if design.df is not None:
        return np.full(groups, float(design.df))
    strata, n_h = psus_per_stratum(design)
    if design.psu is None:
        psus = np.bincount(group, minlength=groups)
        stratum = strata[row]
    else:
        size = int(design.psu.max()) + 1
        psus = np.bincount(np.unique(group * size + design.psu[row]) // size, minlength=groups)
        stratum = strata[design.psu[row]]
    with_members = np.bincount(np.unique(group * n_h.size + stratum) // n_h.size, minlength=groups)
    return (psus - with_members).astype(np.float64)


def sum_by(place: Ints, values: Floats, size: int) -> Floats:
    """Return (size, K) sums of the rows of `values` (m, K) that share a place."""
    result = np.empty((size, values.shape[1]))
    for k in range(values.shape[1]):
        result[:, k] = np.bincount(place, weights=values[:, k], minlength=size)
    return result


def stratum_factors(design: Design, n_h: Ints) -> tuple[Floats, float]:
    """Return (1 - f_h) n_h/(n_h - 1) of each stratum, and the factor of the whole that makes up for lonely strata."""
    left = 1 - sampled_fraction(design)
    # A stratum of which every PSU was drawn adds nothing, so that it may well have a single one.
    lonely = (n_h == 1) & (left > 0)
    factor = np.where(n_h == 1, 0.0, left * n_h / np.maximum(n_h - 1, 1))
    strata, alone = int((n_h > 0).sum()), int(lonely.sum())
    if not alone or (strata == 1 and design.psu is None):
        return factor, 1.0
    if design.lonely == "fail":
        raise SurveyError(
            f"{alone} of {strata} strata have a single PSU (stratum {int(np.argmax(lonely)) + 1} in order is one), so "
            "their variance is unknown. Merge strata, or choose lonely = 'centre', 'scale' or 'skip' in the design."
        )
    if design.lonely == "centre":
        return np.where(lonely, left, factor), 1.0
    if design.lonely == "scale":
        if alone == strata:
            raise SurveyError("Every stratum has a single PSU, so lonely = 'scale' has no other strata to go by.")
        return factor, strata / (strata - alone)
    return factor, 1.0


def _cross_products(z: Floats, group: Ints, groups: int) -> Floats:
    order = np.argsort(group, kind="stable")
    z, edges = z[order], np.searchsorted(group[order], np.arange(groups + 1))
    result = np.zeros((groups, z.shape[1], z.shape[1]))
    for g in range(groups):
        part = z[edges[g] : edges[g + 1]]
        result[g] = part.T @ part
    return result
