"""Weighting: raking weights to known margins of a population."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from plural_nb.errors import SurveyError, nearest
from plural_nb.survey.design import Floats, Ints, check_base_weight
from plural_nb.survey.encoding import numbers

TOLERANCE = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Raked:
    """Raked weights and what raking cost.

    weight: (n,) weights whose margins equal the targets. rounds: passes over all margins.
    error: largest relative difference that is left between a margin and its target.
    n_eff_kish_before, n_eff_kish_after: (sum w)² / sum w² of base and raked weights.
    largest, smallest: of the positive raked weights.
    """

    weight: Floats
    rounds: int
    error: float
    n_eff_kish_before: float
    n_eff_kish_after: float
    largest: float
    smallest: float

    def sentence(self) -> str:
        """What raking did, in one sentence."""
        return (
            f"Raking took {self.rounds} rounds; Kish's effective number went from {self.n_eff_kish_before:.0f} to "
            f"{self.n_eff_kish_after:.0f} of {self.weight.size} people, and the largest weight is "
            f"{self.largest / self.smallest:.1f} times the smallest."
        )


def rake(
    people: pl.DataFrame,
    margins: Mapping[str, Mapping[Any, float]],
    *,
    weight: str | Floats | None = None,
    tolerance: float = TOLERANCE,
    max_rounds: int = 10_000,
) -> Raked:
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
    before = _kish(w)
    error = np.inf
    for rounds in range(1, max_rounds + 1):
        for codes, target in cells:
            w = w * (target / np.bincount(codes, weights=w, minlength=target.size))[codes]
        error = max(
            float(np.abs(np.bincount(codes, weights=w, minlength=target.size) / target - 1).max())
            for codes, target in cells
        )
        if error <= tolerance:
            positive = w[w > 0]
            return Raked(w, rounds, error, before, _kish(w), float(positive.max()), float(positive.min()))
    raise SurveyError(
        f"Raking did not settle in {max_rounds} rounds: a margin is still off by {error:.2g} of itself. The margins "
        "may contradict each other for the people at hand; merge small cells or drop a margin."
    )


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
    if column not in people.columns:
        raise SurveyError(f"There is no column {column!r} to rake. {nearest(column, people.columns)}")
    series = people[column]
    if series.null_count():
        raise SurveyError(
            f"Column {column!r} is missing for {series.null_count()} of {people.height} people. Give them a value of "
            "their own with a target, or leave them out before raking."
        )
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


def _kish(w: Floats) -> float:
    return float(w.sum()) ** 2 / float(w @ w)
