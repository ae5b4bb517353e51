"""Weighting: raking, post-stratification, calibration and trimming of weights to what is known of a population."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from plural_nb.errors import SurveyError, nearest
from plural_nb.survey.calibration import (
    Calibration,
    Distance,
    Linear,
    PostStratified,
    RakedMargins,
    Trimmed,
    trimmed,
)
from plural_nb.survey.design import Design, Floats, Ints, check_base_weight
from plural_nb.survey.encoding import numbers

TOLERANCE = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Reweighted:
    """New weights and what they cost.

    weight: (n,) the new weights. method: what was done, in a word or two. calibration: what variances must know of
    it; None for trimming alone. rounds: passes over all margins, or Newton's steps.
    error: largest relative difference that is left between a total and its target.
    n_eff_kish_before, n_eff_kish_after: (sum w)² / sum w² of base and new weights.
    largest, smallest: of the positive new weights.
    """

    weight: Floats
    method: str
    calibration: Calibration | None
    rounds: int
    error: float
    n_eff_kish_before: float
    n_eff_kish_after: float
    largest: float
    smallest: float

    def sentence(self) -> str:
        """What the new weights cost, in one sentence."""
        return (
            f"{self.method} took {self.rounds} round{'s' * (self.rounds != 1)}; Kish's effective number went from "
            f"{self.n_eff_kish_before:.0f} to {self.n_eff_kish_after:.0f} of {self.weight.size} people, and the "
            f"largest weight is {self.largest / self.smallest:.1f} times the smallest."
        )

    def design(self, design: Design, *, residuals: bool = True) -> Design:
        """Return a design with these weights.

        residuals: let variances count only what the known totals leave unexplained (and calibrate each replicate
            anew); False treats the weights as if they had been drawn so, which is what software does that is only
            given the final weights. Raises SurveyError where the design's weights are not those that were fitted.
        """
        if design.n != self.weight.size:
            raise SurveyError(f"The weights are of {self.weight.size} people, the design of {design.n}.")
        fit = self.calibration if residuals else None
        if fit is not None and not np.array_equal(fit.base, design.weight):
            raise SurveyError(
                "The design's weights are not the base weights that were fitted. Fit them with weight=design.weight."
            )
        return replace(design, weight=self.weight, calibration=fit)


def rake(
    people: pl.DataFrame,
    margins: Mapping[str, Mapping[Any, float]],
    *,
    weight: str | Floats | None = None,
    tolerance: float = TOLERANCE,
    max_rounds: int = 10_000,
) -> Reweighted:
    """Return weights whose weighted margins equal `margins`, by iterative proportional fitting (raking).

    people: one row per respondent. margins: for each column, the population total of each of its values; totals must
    add up to the same number in every margin. One margin alone is post-stratification.
    weight: base weights, a column's name or an array; all 1 when None.
    tolerance: largest relative difference between a weighted margin and its target at the end.

    Raises SurveyError for a value without a target, a target nobody can meet (an empty cell), missing values, totals
    that disagree, or no convergence. Deming and Stephan (1940).

    >>> people = pl.DataFrame({"age": ["young", "old", "old", "old"]})
    >>> rake(people, {"age": {"young": 50, "old": 50}}).weight.round(3).tolist()
    [50.0, 16.667, 16.667, 16.667]
    """
    w, name = _base_weight(people, weight)
    check_base_weight(w, name)
    if not margins:
        raise SurveyError("Raking needs at least one margin: the totals of one column's values.")
    cells = [_margin(people, column, target, w) for column, target in margins.items()]
    totals = {column: float(target.sum()) for column, (_, target) in zip(margins, cells, strict=True)}
    first, total = next(iter(totals.items()))
    for column, other in totals.items():
        if abs(other - total) > 1e-6 * total:
            raise SurveyError(f"The margins disagree: {first!r} adds up to {total:g}, {column!r} to {other:g}.")
    fit = RakedMargins(w, tuple(cells), tolerance, max_rounds)
    raked, rounds, error = fit.settle(w)
    return _reweighted(raked, "Raking", fit, rounds, error, w)


def post_stratify(
    people: pl.DataFrame,
    columns: str | Sequence[str],
    totals: Mapping[Any, float],
    *,
    weight: str | Floats | None = None,
) -> Reweighted:
    """Return weights that add up to a known total in each cell of one or more columns.

    columns: the columns that span the cells. totals: for each value, or tuple of values, its population total.
    weight: base weights, a column's name or an array; all 1 when None.

    Raises SurveyError for a cell without a target or without people, and for missing values.

    >>> people = pl.DataFrame({"sex": ["f", "m", "m"], "age": ["old", "old", "old"]})
    >>> post_stratify(people, ["sex", "age"], {("f", "old"): 50, ("m", "old"): 50}).weight.tolist()
    [50.0, 25.0, 25.0]
    """
    w, name = _base_weight(people, weight)
    check_base_weight(w, name)
    if isinstance(columns, str) or len(columns) == 1:
        column = columns if isinstance(columns, str) else columns[0]
        cell, target = _margin(people, column, totals, w)
    else:
        for column in columns:
            _require_complete(people, column)
        cells = pl.Series(" × ".join(columns), [repr(row) for row in people.select(columns).iter_rows()])
        cell, target = _margin(
            pl.DataFrame([cells]), cells.name, {repr(tuple(key)): total for key, total in totals.items()}, w
        )
    fit = PostStratified(w, cell, target)
    return _reweighted(fit.fit(w), "Post-stratification", fit, 1, 0.0, w)


def calibrate(
    people: pl.DataFrame,
    totals: Mapping[str, float | Mapping[Any, float]],
    *,
    weight: str | Floats | None = None,
    distance: Distance = "linear",
    bounds: tuple[float, float] = (-np.inf, np.inf),
) -> Reweighted:
    """Return weights as near as can be to the base weights whose totals equal known ones.

    totals: for each column the population total of each of its values, or, for a column of numbers, their total.
    distance: "linear" (the generalised regression estimator; weights may become negative) or "raking".
    bounds: least and largest new over base weight.
    weight: base weights, a column's name or an array; all 1 when None.

    Raises SurveyError where no weights within the bounds meet the totals. Deville and Särndal (1992).

    >>> people = pl.DataFrame({"sex": ["f", "m", "m"], "age": [20.0, 30.0, 40.0]})
    >>> calibrate(people, {"sex": {"f": 1.5, "m": 1.5}, "age": 84.0}).weight.round(2).tolist()
    [1.5, 0.6, 0.9]
    """
    w, name = _base_weight(people, weight)
    check_base_weight(w, name)
    if not totals:
        raise SurveyError("Calibration needs at least one known total.")
    x: list[Floats] = []
    known: list[float] = []
    size: float | None = None
    for column, target in totals.items():
        if isinstance(target, Mapping):
            codes, counts = _margin(people, column, target, w)
            if size is not None and abs(counts.sum() - size) > 1e-6 * size:
                raise SurveyError(f"The margins disagree: {column!r} adds up to {counts.sum():g}, others to {size:g}.")
            # Every margin after the first adds up to the same whole, so one of its values says nothing new.
            first = 0 if size is None else 1
            size = float(counts.sum()) if size is None else size
            x += [(codes == c).astype(np.float64) for c in range(first, counts.size)]
            known += counts[first:].tolist()
        else:
            _require_complete(people, column)
            x.append(numbers(people[column], where=f"Column {column!r}"))
            known.append(float(target))
    matrix = np.column_stack(x)
    if np.linalg.matrix_rank(matrix) < matrix.shape[1]:
        raise SurveyError("Some totals follow from the others for the people at hand; merge cells or drop a margin.")
    fit = Linear(w, matrix, np.array(known), distance, bounds)
    found, rounds, error = fit.settle(w)
    return _reweighted(found, "Calibration", fit, rounds, error, w)


def trim(
    weights: Reweighted | Floats, *, lower: float = 0.0, upper: float = np.inf, lower_medians: float | None = None,
    upper_medians: float | None = None,
) -> Reweighted:  # fmt: skip
    """Return weights cut to limits, what was cut spread evenly over the others until nobody is outside.

    weights: an array, or new weights whose calibration the variance goes on to know. lower, upper: limits.
    lower_medians, upper_medians: limits in medians of the weights, instead.

    >>> trim(np.array([1.0, 1.0, 1.0, 9.0]), upper_medians=6).weight.tolist()
    [2.0, 2.0, 2.0, 6.0]
    """
    before = weights.weight if isinstance(weights, Reweighted) else np.asarray(weights, dtype=np.float64)
    median = float(np.median(before))
    lower = lower if lower_medians is None else lower_medians * median
    upper = upper if upper_medians is None else upper_medians * median
    inner = weights.calibration if isinstance(weights, Reweighted) else None
    fit = None if inner is None else Trimmed(inner, lower, upper)
    error = weights.error if isinstance(weights, Reweighted) else 0.0
    return _reweighted(trimmed(before, lower, upper), "Trimming", fit, 1, error, before)


def _reweighted(w: Floats, method: str, fit: Calibration | None, rounds: int, error: float, base: Floats) -> Reweighted:
    positive = w[w > 0]
    largest, smallest = float(positive.max()), float(positive.min())
    return Reweighted(w, method, fit, rounds, error, _kish(base), _kish(w), largest, smallest)


def _base_weight(people: pl.DataFrame, weight: str | Floats | None) -> tuple[Floats, str]:
    if weight is None:
        return np.ones(people.height), "the weight"
    if isinstance(weight, str):
        if weight not in people.columns:
            raise SurveyError(f"There is no weight column {weight!r}. {nearest(weight, people.columns)}")
        return numbers(people[weight], where=f"The weight column {weight!r}"), f"column {weight!r}"
    array = np.asarray(weight, dtype=np.float64)
    if array.shape != (people.height,):
        raise SurveyError(f"There are {array.size} weights for {people.height} people.")
    return array, "the weight"


def _margin(people: pl.DataFrame, column: str, target: Mapping[Any, float], w: Floats) -> tuple[Ints, Floats]:
    series = _require_complete(people, column)
    place = {value: i for i, value in enumerate(target)}
    for value in series.unique().to_list():
        if value not in place:
            rows = int((series == value).sum())
            raise SurveyError(
                f"Column {column!r} has {rows} people with {value!r}, which has no target. "
                f"{nearest(str(value), map(str, target))}"
            )
    totals = np.array([float(t) for t in target.values()])
    for value, t in zip(target, totals, strict=True):
        if not np.isfinite(t) or t <= 0:
            raise SurveyError(f"The target of {column!r} = {value!r} is {t:g}; a target is a positive number.")
    codes = np.array([place[value] for value in series.to_list()], dtype=np.int64)
    reach = np.bincount(codes, weights=w, minlength=totals.size)
    for value, sum_w in zip(target, reach, strict=True):
        if sum_w == 0:
            raise SurveyError(
                f"Nobody has {column!r} = {value!r}, whose target is {target[value]:g}: no weight can reach it. "
                "Merge it with another cell."
            )
    return codes, totals


def _require_complete(people: pl.DataFrame, column: str) -> pl.Series:
    if column not in people.columns:
        raise SurveyError(f"There is no column {column!r} to rake. {nearest(column, people.columns)}")
    series = people[column]
    if series.null_count():
        raise SurveyError(
            f"Column {column!r} is missing for {series.null_count()} of {people.height} people. Give them a value of "
            "their own with a target, or leave them out before raking."
        )
    return series


def _kish(w: Floats) -> float:
    return float(w.sum()) ** 2 / float(w @ w)
