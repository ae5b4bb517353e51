"""Scales of utilities: none, each juror's own range, ranks or z, and how the winner depends on the choice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import polars as pl

from plural_nb.errors import PluralError, nearest
from plural_nb.jury.utilities import Utilities
from plural_nb.survey.design import Floats

Scaling = Literal["none", "range", "rank", "z"]


def scaled(utilities: Utilities, scaling: str, *, epsilon: float = 0.01) -> Utilities:
    """Return each juror's utilities on a scale of their own.

    scaling: "none": as they are. "range": the juror's lowest becomes `epsilon` and the highest 1. "rank": the same of
        the juror's ranks, ties sharing their mean. "z": less the juror's mean, over the standard deviation (it has
        negative values: `shifted` before welfare).
    epsilon: what the worst is worth, 0 <= epsilon < 1. At 0 every candidate that is somebody's worst has welfare 0 from
        α = 1 on; the winner is worth looking at against it (`winners_by_scaling`).

    A juror who rates everything alike gets the middle of the scale (0 for z), and the notes count them. Raises
    PluralError for an unknown scaling or an epsilon out of range.

    >>> scaled(Utilities.of([[10.0, 20.0, 30.0]]), "range", epsilon=0.1).values
    array([[0.1 , 0.55, 1.  ]])
    """
    if scaling not in get_args(Scaling):
        raise PluralError(f"Unknown scaling {scaling!r}. {nearest(scaling, get_args(Scaling))}")
    if not 0 <= epsilon < 1:
        raise PluralError(f"epsilon is what a juror's worst candidate is worth, from 0 to below 1; not {epsilon!r}.")
    if scaling == "none":
        return utilities
    u = utilities.values
    rated = ~np.isnan(u)
    counts = rated.sum(axis=1, keepdims=True)
    if scaling == "z":
        filled = np.where(rated, u, 0.0)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = filled.sum(axis=1, keepdims=True) / counts
            gap = u - mean
            sd = np.sqrt(np.where(rated, np.square(gap), 0.0).sum(axis=1, keepdims=True) / counts)
        same = _alike(u)
        values = np.where(same & rated, 0.0, gap / np.where(same | (sd == 0), 1.0, sd))
        what, note = "standard deviations from the juror's mean", "z-scores of each juror"
    else:
        order = _mean_ranks(u) if scaling == "rank" else u
        low = np.where(rated, order, np.inf).min(axis=1, keepdims=True)
        high = np.where(rated, order, -np.inf).max(axis=1, keepdims=True)
        same = _alike(u)
        place = (order - low) / np.where(same, 1.0, high - low)
        values = np.where(same & rated, (1 + epsilon) / 2, epsilon + (1 - epsilon) * place)
        what = f"each juror's {'ranks' if scaling == 'rank' else 'range'}, from {epsilon:g} to 1"
        note = f"{scaling} of each juror put on [{epsilon:g}, 1]"
    notes = [*utilities.notes, note]
    alike = int((same.ravel() & (utilities.weight > 0)).sum())
    if alike:
        who = (
            "1 juror rated everything alike and stands"
            if alike == 1
            else f"{alike:,} jurors rated everything alike and stand"
        )
        notes.append(f"{who} in the middle of the scale")
    return replace(utilities, values=values, scale=what, scaling=scaling, notes=tuple(notes))


def winners_by_scaling(
    utilities: Utilities,
    alpha: Sequence[float] = (0.0, 1.0, np.inf),
    *,
    epsilon: Sequence[float] = (0.001, 0.01, 0.1),
) -> pl.DataFrame:
    """Return who wins under every scaling: scaling, epsilon, alpha, winner (ties joined by " = ").

    alpha: values to decide at. epsilon: for range and rank; z is shifted so that its lowest is epsilon. Scaling none
    has one row per alpha, and none where a utility is negative. Utilities on different scales are not comparable, so
    no row is the right one.

    >>> jury = Utilities.of({"Park": [9.0, 1.0, 2.0], "Road": [3.0, 2.0, 3.0]})
    >>> winners_by_scaling(jury, [0.0], epsilon=[0.01]).select("scaling", "winner").rows()
    [('none', 'Park'), ('range', 'Road'), ('rank', 'Road'), ('z', 'Road')]
    """
    from plural_nb.jury.sweep import winners

    rows: list[tuple[str, float | None, float, str]] = []
    for scaling in get_args(Scaling):
        if scaling == "none" and utilities.lowest < 0:
            continue
        for e in [None] if scaling == "none" else epsilon:
            here = scaled(utilities, scaling, epsilon=0.0 if e is None or scaling == "z" else e)
            if scaling == "z" and e is not None:
                here = here.shifted(e - here.lowest)
            found = winners(here, alpha)
            rows += [(scaling, e, float(a), " = ".join(names)) for a, names in zip(alpha, found, strict=True)]
    schema = {"scaling": pl.String, "epsilon": pl.Float64, "alpha": pl.Float64, "winner": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _alike(u: Floats) -> npt.NDArray[np.bool_]:
    """(n, 1): whether a juror rated everything alike."""
    rated = ~np.isnan(u)
    low = np.where(rated, u, np.inf).min(axis=1, keepdims=True)
    high = np.where(rated, u, -np.inf).max(axis=1, keepdims=True)
    return np.asarray(low >= high) & rated.any(axis=1, keepdims=True)


def _mean_ranks(u: Floats) -> Floats:
    """(n, C): ranks within each row from 1, ties sharing their mean; NaN stays."""
    from scipy.stats import rankdata

    return np.asarray(rankdata(u, axis=1, nan_policy="omit"), dtype=np.float64)
