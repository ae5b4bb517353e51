"""One door to the variance of any estimate: Taylor-linearised, calibrated, or from replicate weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from plural_nb.survey.design import Design, Floats
from plural_nb.survey.linearisation import Linearised, covariance, degrees_of_freedom, joint_covariance
from plural_nb.survey.replicates import (
    replicate_covariance,
    replicate_degrees_of_freedom,
    replicate_estimates,
    unusable,
)

Statistic = Callable[[Floats], Floats]


@dataclass(frozen=True, slots=True, eq=False)
class Variance:
    """Covariances (G, K, K) of K estimates in each of G groups, degrees of freedom (G,), and what to note."""

    covariance: Floats
    df: Floats
    note: str = ""


def variance(
    design: Design, influence: Linearised, theta: Floats, statistic: Statistic, at_once: Statistic | None = None
) -> Variance:
    """Return the covariance of estimates theta (G, K) within each group.

    influence: of each member on its group's estimates, for Taylor's way. statistic: the estimates (G, K) under any
    weights (n,), for replicate weights. at_once: the same (R, G, K) of weights (n, R), where that is quicker.
    """
    groups = theta.shape[0]
    df, note = _degrees_of_freedom(design, influence, groups)
    if design.replicates is not None:
        if at_once is not None and design.replicates.unit is None and design.calibration is None:
            thetas = at_once(design.replicates.weights)
        else:
            thetas = replicate_estimates(design, statistic)
        lost = unusable(thetas)
        if 0 < int(lost.max()) < design.replicates.size:
            notes = [note] if note else []
            counts = lost[lost < design.replicates.size]
            notes.append(
                f"up to {int(counts.max())} replicates hold nobody of a group and were left out of its variance"
            )
            note = "; ".join(notes)
        return Variance(replicate_covariance(design, thetas, theta), df, note)
    if design.calibration is not None:
        V = np.stack([_calibrated(design, dense) for dense in _by_group(design, influence, groups)])
        return Variance(V, df, note)
    return Variance(covariance(influence, groups, design), df, note)


def joint_variance(design: Design, influence: Linearised, theta: Floats, statistic: Statistic) -> Floats:
    """Return the (G K, G K) covariance of estimates theta (G, K) across groups too, group by group."""
    G, K = theta.shape
    if design.replicates is not None:
        thetas = replicate_estimates(design, statistic).reshape(design.replicates.size, 1, G * K)
        return np.asarray(replicate_covariance(design, thetas, theta.reshape(1, G * K))[0])
    if design.calibration is not None:
        return _calibrated(design, np.concatenate(list(_by_group(design, influence, G)), axis=1))
    return joint_covariance(influence, G, design)


def _degrees_of_freedom(design: Design, influence: Linearised, groups: int) -> tuple[Floats, str]:
    made = design.replicates
    # Factors of units were made from the design itself, whose PSUs (or rows) are therefore known.
    if made is None or design.df is not None or design.psu is not None or made.unit is not None:
        return degrees_of_freedom(design, influence.group, influence.row, groups), ""
    return replicate_degrees_of_freedom(design, influence.group, influence.row, groups)


def _by_group(design: Design, influence: Linearised, groups: int) -> list[Floats]:
    result = []
    for g in range(groups):
        dense = np.zeros((design.n, influence.z.shape[1]))
        here = influence.group == g
        np.add.at(dense, influence.row[here], influence.z[here])
        result.append(dense)
    return result


def _calibrated(design: Design, dense: Floats) -> Floats:
    assert design.calibration is not None
    rows = np.arange(design.n)
    left = design.calibration.residual(dense)
    return np.asarray(covariance(Linearised(left, np.zeros_like(rows), rows), 1, design)[0])
