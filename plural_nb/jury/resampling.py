"""Rao–Wu replicates of a sampled jury: what other juries, drawn in the same way, would have decided."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from plural_nb.errors import PluralError, SurveyError
from plural_nb.jury.distribution import Floats, log_power_mean
from plural_nb.jury.utilities import Utilities
from plural_nb.survey.replicates import bootstrap, replicate_estimates

WHOLE_JURY = "the jury is everyone it speaks for, so there is no interval"


class Replicated(NamedTuple):
    """(R, n) weights of the jurors in each replicate, or None and why there are none."""

    weight: Floats | None
    note: str


def replicate_weights(utilities: Utilities, replicates: int = 500, *, seed: int = 0) -> Replicated:
    """Return the weights of each juror in Rao–Wu bootstrap replicates of the jury's design.

    A design with bootstrap weights of its own keeps them; calibrated weights are calibrated anew in each replicate.
    None, with the reason, for a whole jury and for designs that cannot be resampled.

    >>> replicate_weights(Utilities.of({"Park": [4, 1]})).weight is None
    True
    """
    design = utilities.design
    if design is None:
        return Replicated(None, WHOLE_JURY)
    if replicates < 20:
        raise PluralError(f"An interval needs 20 replicates or more, not {replicates}; 500 are usual.")
    own = design.replicates
    note = ""
    if own is None or own.kind != "bootstrap":
        if own is not None and design.psu is None and design.stratum is None:
            return Replicated(
                None,
                f"no interval: replicate weights of kind {own.kind} are not juries drawn anew, and no PSUs are known",
            )
        try:
            design = bootstrap(replace(design, replicates=None), replicates, seed=seed)
        except SurveyError as problem:
            return Replicated(None, f"no interval: {problem}")
        note = f"percentiles of {replicates} Rao–Wu bootstrap replicates (seed {seed})"
    else:
        note = f"percentiles of the design's own {own.size} bootstrap weights"
    weight = replicate_estimates(design, np.asarray)
    base = utilities.design.weight if utilities.design is not None else utilities.weight
    if not np.array_equal(base, utilities.weight):
        # Only some of the sample sit on the jury, or weigh more there.
        weight = weight * np.divide(utilities.weight, base, out=np.zeros_like(base), where=base > 0)
    return Replicated(np.asarray(weight, dtype=np.float64), note)


def replicated_logs(utilities: Utilities, weight: Floats, alpha: Floats) -> tuple[Floats, Floats]:
    """Return (R, A, C) log w_α over the jurors above zero, and (R, C) the share of zeros, of each replicate.

    NaN where nobody in a replicate rated the candidate.
    """
    R, C = weight.shape[0], len(utilities.candidates)
    logs, zeros = np.full((R, alpha.size, C), np.nan), np.full((R, C), np.nan)
    for c in range(C):
        u = utilities.values[:, c]
        rated = np.flatnonzero(~np.isnan(u))
        if rated.size == 0:
            continue
        order = rated[np.argsort(u[rated], kind="stable")]
        value, first = np.unique(u[order], return_index=True)
        mass = np.add.reduceat(weight[:, order], first, axis=1)
        total = mass.sum(axis=1)
        above = value > 0
        positive = mass[:, above].sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            zeros[:, c] = (total - positive if not above.all() else 0.0 * total) / total
            usable = positive > 0
            share = mass[usable][:, above] / positive[usable, None]
        logs[~usable & (total > 0), :, c] = -np.inf
        if usable.any():
            logs[usable, :, c] = log_power_mean(np.log(value[above]), share, alpha)
    return logs, zeros


def percentiles(replicates: Floats, level: float) -> tuple[Floats, Floats]:
    """Return the bounds that leave (1 - level)/2 of the replicates (first axis) on either side, NaN left out.

    >>> [bound.round(9).tolist() for bound in percentiles(np.arange(101.0)[:, None], 0.9)]
    [[5.0], [95.0]]
    """
    at = [(1 - level) / 2, (1 + level) / 2]
    quantile = np.nanquantile if np.isnan(replicates).any() else np.quantile
    with np.errstate(invalid="ignore"):
        low, high = quantile(replicates, at, axis=0)
    return np.asarray(low), np.asarray(high)


def share_won(won: npt.NDArray[np.bool_]) -> Floats:
    """Return the probability of winning from (R, ..., C) marks; a tie counts as equal parts of a win.

    >>> share_won(np.array([[True, True], [True, False]]))
    array([0.75, 0.25])
    """
    tied = won.sum(axis=-1, keepdims=True)
    return np.asarray((won / np.where(tied > 0, tied, 1)).mean(axis=0))
