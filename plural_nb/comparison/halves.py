"""Two halves of the same people: the empirical noise floor, for which nobody needs a formula."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from plural_nb.answers import Answers
from plural_nb.comparison.measuring import Scale, shown, squared
from plural_nb.errors import PluralError, nearest
from plural_nb.survey.design import Floats, psus_per_stratum

_ROOT_HALF = math.sqrt(0.5)


@dataclass(frozen=True, slots=True, eq=False)
class SplitHalves:
    """Distances between random halves of the same people.

    people: in both halves together. distances: {name: (S,) one for each split}.
    """

    people: int
    distances: dict[str, Floats] = field(repr=False)

    def mean(self, name: str = "js_distance", *, full: bool = False) -> float:
        """Mean distance between halves. full: between two samples of the full size, which is 1/√2 of it.

        A distance between samples shrinks with the root of their size as long as the shares' noise is small.
        """
        return float(self._of(name).mean()) * (_ROOT_HALF if full else 1.0)

    def p95(self, name: str = "js_distance", *, full: bool = False) -> float:
        """The distance that 95% of splits stay below; full: see `mean`."""
        return float(np.quantile(self._of(name), 0.95)) * (_ROOT_HALF if full else 1.0)

    def table(self) -> pl.DataFrame:
        """Return one row per distance: name, halves_mean, halves_p95, full_mean, full_p95."""
        rows = [(n, self.mean(n), self.p95(n), self.mean(n, full=True), self.p95(n, full=True)) for n in self.distances]
        names = ["distance", "halves_mean", "halves_p95", "full_mean", "full_p95"]
        return pl.DataFrame(rows, schema=names, orient="row")

    def _of(self, name: str) -> Floats:
        if name not in self.distances:
            raise PluralError(f"There is no distance {name!r}. {nearest(name, list(self.distances))}")
        return self.distances[name]


def split_halves(answers: Answers, *, splits: int = 500, seed: int = 0) -> SplitHalves:
    """Return the distances between two random halves of the same people, over many splits.

    Whole PSUs go to one half or the other, stratum by stratum, so that clustering shows: what is left over of a
    stratum with an odd number of PSUs is tossed for. Weights stay. This is the empirical floor of definitions,
    section 4a: a model nearer to all of the people than `mean(full=True)` cannot be told from another sample of them.

    Raises PluralError for fewer than 20 splits, an exact model row, or fewer than two PSUs with answers.

    >>> from plural_nb.survey.question import ask_for
    >>> tea = Answers.from_places(ask_for("Tea?", ["Yes", "No"]), [0] * 300 + [1] * 700)
    >>> found = split_halves(tea, seed=1)
    >>> round(found.mean("total_variation"), 3), round(found.mean("total_variation", full=True), 3)
    (0.023, 0.016)
    """
    if splits < 20:
        raise PluralError(f"A floor needs 20 splits or more, not {splits}; 500 are usual.")
    if answers.exact:
        raise PluralError("An exact model row has no halves: nobody was sampled.")
    design, question = answers.design, answers.question
    y = answers.rows[:, list(question.substantive)]
    here = answers.domain & (y.sum(axis=1) > 0) & (design.weight != 0)
    unit = np.arange(design.n) if design.psu is None else design.psu
    stratum, _ = psus_per_stratum(design)
    units = int(unit.max()) + 1
    sums = np.stack([
        np.bincount(unit[here], (y[here, k] * design.weight[here]), minlength=units) for k in range(y.shape[1])
    ])  # fmt: skip
    there = np.unique(unit[here])
    if there.size < 2:
        raise PluralError("Halves need answers from two PSUs or more (from two people, without PSUs).")
    first = _halves(stratum[there], splits, np.random.default_rng(seed))
    a = sums[:, there] @ first.T
    b = sums[:, there].sum(axis=1, keepdims=True) - a
    with np.errstate(invalid="ignore", divide="ignore"):
        p, q = a / a.sum(axis=0), b / b.sum(axis=0)
        found = squared(p, q, Scale.of(question), divergences=False)
    return SplitHalves(int(here.sum()), {name: np.asarray(shown(name, value)) for name, value in found.items()})


def _halves(stratum: np.ndarray[tuple[int], np.dtype[np.int64]], splits: int, draw: np.random.Generator) -> Floats:
    """(S, units) 1 for the first half: within each stratum half of the units, one more or less by lot."""
    order = np.argsort(stratum, kind="stable")
    _, start, count = np.unique(stratum[order], return_index=True, return_counts=True)
    chosen = np.zeros((splits, stratum.size))
    for s in range(splits):
        # The units of each stratum in random order, strata one after the other.
        shuffled = order[np.lexsort((draw.random(order.size), stratum[order]))]
        rank = np.arange(order.size) - np.repeat(start, count)
        take = count // 2 + (draw.random(count.size) < 0.5) * (count % 2)
        chosen[s, shuffled[rank < np.repeat(take, count)]] = 1.0
    return chosen
