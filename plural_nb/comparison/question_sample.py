"""Uncertainty over questions: those asked stand for others one might have asked; batteries are drawn whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import special

from plural_nb.comparison.distances import Floats
from plural_nb.errors import PluralError, nearest
from plural_nb.survey.question import Question

REPLICATES = 2000


@dataclass(frozen=True, slots=True, eq=False)
class QuestionSample:
    """A bootstrap over questions that draws clusters of them (a battery, a topic) with replacement.

    keys: (Q,) of the questions. clusters: (Q,) the name of each one's cluster. counts: (R, Q) how often each question
    stands in each replicate. level: of the intervals.

    >>> sample = QuestionSample.of(["a", "b", "c"], ["x", "x", "y"], replicates=500)
    >>> bool((sample.counts[:, 0] == sample.counts[:, 1]).all())
    True
    """

    keys: tuple[str, ...]
    clusters: tuple[str, ...]
    level: float
    counts: Floats = field(repr=False)

    @classmethod
    def of(
        cls,
        keys: Sequence[str],
        clusters: Sequence[str],
        *,
        replicates: int = REPLICATES,
        seed: int = 0,
        level: float = 0.95,
    ) -> QuestionSample:
        """Draw the replicates. Raises PluralError for a level or a number of replicates that cannot be."""
        require_level(level)
        if replicates < 100:
            raise PluralError(f"The bootstrap over questions needs 100 replicates or more, not {replicates}.")
        names, place = np.unique(np.asarray(clusters, dtype=object).astype(str), return_inverse=True)
        drawn = np.random.default_rng(seed).multinomial(names.size, np.full(names.size, 1 / names.size), replicates)
        return cls(tuple(keys), tuple(clusters), level, drawn[:, place].astype(np.float64))

    def clusters_in(self, here: Floats) -> int:
        """How many clusters have a question with a number in `here` (Q,)."""
        return len({name for name, value in zip(self.clusters, here, strict=True) if np.isfinite(value)})

    def means(self, values: Floats) -> Floats:
        """(R,) mean of `values` (Q,) in each replicate; a question with NaN is no part of it."""
        there = np.isfinite(values)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray((self.counts @ np.where(there, values, 0.0)) / (self.counts @ there))

    def interval(self, value: float, replicates: Floats, clusters: int) -> tuple[float, float]:
        """Bounds of a statistic from its (R,) replicates over m clusters; NaN where one cluster is all there is.

        value ∓ t_{m−1}·sqrt(m/(m − 1))·sd: for a mean of clusters of one size this is Student's interval, and it
        holds where clusters are few (with 5, percentiles covered 90% where 95% was meant, and this 95%).
        """
        usable = replicates[np.isfinite(replicates)]
        if clusters < 2 or usable.size < 2:
            return float("nan"), float("nan")
        t = float(special.stdtrit(clusters - 1, (1 + self.level) / 2))
        reach = t * float(np.sqrt(clusters / (clusters - 1))) * float(usable.std())
        return value - reach, value + reach


def clusters_of(questions: Sequence[Question], topics: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Return the cluster of each question: its topic if told, else its battery, else itself.

    Raises PluralError for a topic told of a question that is not there.

    >>> from plural_nb.survey.question import ask_for
    >>> clusters_of([ask_for("Tea?", ["Yes", "No"], key="tea")])
    ('tea',)
    """
    keys = [q.key for q in questions]
    for key in topics or {}:
        if key not in keys:
            raise PluralError(f"A topic is told of {key!r}, which is not among the questions. {nearest(key, keys)}")
    return tuple((topics or {}).get(q.key) or q.battery or q.key for q in questions)


def require_level(level: float) -> None:
    """Raise PluralError for a level outside 0 to 1."""
    if not 0 < level < 1:
        raise PluralError(f"The level must lie between 0 and 1 (0.95 for 95%), not {level!r}.")
